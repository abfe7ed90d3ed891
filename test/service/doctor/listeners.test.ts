import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { findListeners } from '../../../src/service/doctor/listeners.ts';
import { serveHealth } from '../../../src/telemetry/health.ts';

const host = '127.0.0.1';

async function taken(t: TestContext): Promise<number> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((listening) => server.listen(0, host, listening));
  t.after(() => server.close());
  // A server that listens on TCP has an AddressInfo.
  return (server.address() as AddressInfo).port;
}

const levels = async (...given: Parameters<typeof findListeners>) =>
  (await findListeners(...given)).map(({ level, found }) => `${level} ${found}`);

describe('an address', () => {
  test('that is free can be had, and is free again afterwards', async () => {
    const listeners = [{ name: 'listen', host, port: 0 }] as const;
    assert.deepEqual(await levels({ listeners, running: false }), ['ok free (listen)']);
  });

  test('that another has is a failure, and a warning where it may be ourselves', async (t) => {
    const listeners = [{ name: 'listen', host, port: await taken(t) }] as const;
    assert.deepEqual(await levels({ listeners, running: false }), ['fail in use (listen)']);
    assert.deepEqual(await levels({ listeners, running: true }), ['warn in use (listen)']);
  });

  test('that mcp-verdict itself has is good: its health says so', async (t) => {
    const health = await serveHealth({
      listen: { host, port: 0 },
      version: '9.8.7',
      spool: () => undefined,
      killed: () => [],
    });
    t.after(() => health.close());
    const listeners = [
      { name: 'listen', host, port: await taken(t) },
      { name: 'admin', host, port: health.port },
    ] as const;
    assert.deepEqual(await levels({ listeners, running: true }), [
      'ok mcp-verdict 9.8.7 serves here already (listen)',
      'ok mcp-verdict 9.8.7 serves here already (admin)',
    ]);
  });

  test('of another machine is a failure', async () => {
    const listeners = [{ name: 'listen', host: '203.0.113.1', port: 8080 }] as const;
    assert.deepEqual(await levels({ listeners, running: true }), [
      'fail cannot be listened on (listen): EADDRNOTAVAIL',
    ]);
  });
});
