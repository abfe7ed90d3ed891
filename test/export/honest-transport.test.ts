/** What has been sent takes no memory any more, and what may still be read is left alone. */
import assert from 'node:assert/strict';
import { Agent, createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { sendOnce } from '../../src/export/honest-transport.ts';
import { systemTimers } from '../../src/export/timers.ts';

/** More than the system takes at once. */
const LARGE_BYTES = 64 * 1024 * 1024;

async function send(t: TestContext, data: Uint8Array, heard: RequestListener, compression: 'gzip' | 'none') {
  const server = createServer(heard);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const agent = new Agent({ keepAlive: true });
  t.after(() => {
    agent.destroy();
    server.closeAllConnections();
    server.close();
  });
  // A server that listens on TCP has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  return sendOnce(data, 5000, {
    url: `http://127.0.0.1:${port}/`,
    headers: async () => ({}),
    agent,
    compression,
    userAgent: 'test',
    timers: systemTimers,
  });
}

for (const compression of ['none', 'gzip'] as const) {
  test(`a batch that was sent is given back: compression ${compression}`, async (t) => {
    const data = new TextEncoder().encode('a'.repeat(100_000));
    const attempt = await send(
      t,
      data,
      (request, response) => void request.resume().on('end', () => response.end()),
      compression,
    );
    assert.ok('status' in attempt && attempt.status === 200);
    assert.equal(data.byteLength, 0);
  });
}

test('a batch answered before it was read stays: the system still reads from it', async (t) => {
  const data = new Uint8Array(LARGE_BYTES);
  const attempt = await send(t, data, (_, response) => void response.writeHead(413).end(), 'none');
  assert.ok('status' in attempt && attempt.status === 413);
  assert.equal(data.byteLength, LARGE_BYTES);
});

test('a slice of what others use is left alone', async (t) => {
  const shared = new Uint8Array(100);
  const attempt = await send(
    t,
    shared.subarray(0, 50),
    (request, response) => void request.resume().on('end', () => response.end()),
    'none',
  );
  assert.ok('status' in attempt && attempt.status === 200);
  assert.equal(shared.byteLength, 100);
});
