/** Streams that are open when something else comes into force. */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import type { HttpAuthenticator } from '../../../src/identity/authenticate.ts';
import type { DoorSettings } from '../../../src/proxy/http/door.ts';
import { callTool, open, scene, send, startEvents, streamReader } from '../../support/http-scene.ts';

const known =
  (user: string, roles: readonly string[] = []): HttpAuthenticator =>
  () => ({ ok: true, identity: { source: 'api_key', user, roles } });

const LISTEN = JSON.stringify({
  jsonrpc: '2.0',
  id: 9,
  method: 'subscriptions/listen',
  params: {
    _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    },
  },
});
const LISTEN_HEADERS = ['MCP-Protocol-Version', '2026-07-28', 'Mcp-Method', 'subscriptions/listen'];

/** A client with a stream open, of whose upstream nothing ends by itself. */
async function streaming(t: TestContext, request: { method?: string; body?: string; headers?: string[] }) {
  const { promise: reached, resolve } = Promise.withResolvers<(value: unknown) => void>();
  const opened = await scene(t, {
    authenticate: known('alice'),
    upstream: (_, response) => resolve(startEvents(response)),
  });
  const stream = await open(opened.port, request);
  const emit = await reached;
  /** Brings other settings into force, and tells the door. */
  const put = (settings: Partial<DoorSettings>): void => {
    opened.change(settings);
    void opened.door.settingsChanged();
  };
  /** Reads the stream up to its end. */
  const rest = async (): Promise<string> => {
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString();
  };
  return { ...opened, stream, emit, put, rest };
}

const NOTE = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x' } };

describe('a stream without an end of its own', () => {
  const refuse: HttpAuthenticator = () => ({
    ok: false,
    reason: 'identity_invalid',
    message: 'the key is not known here',
  });
  for (const [what, request] of [
    ['GET', { method: 'GET' }],
    ['subscriptions/listen', { body: LISTEN, headers: LISTEN_HEADERS }],
  ] as const) {
    test(`${what}: ends in good order when its credentials are not known any more, and that is recorded`, async (t) => {
      const { put, rest, gate } = await streaming(t, { ...request, headers: [...(request.headers ?? [])] });
      put({ authenticate: refuse });
      assert.equal(await rest(), '');
      assert.partialDeepStrictEqual(gate.rejected, [
        {
          reason: 'identity_invalid',
          details: { detail: 'the key is not known here' },
          origin: { server: { name: 'files' } },
        },
      ]);
      if (what === 'GET') return;
      assert.partialDeepStrictEqual(await gate.outcomeOf('subscriptions/listen'), {
        status: 'cancelled',
        errorType: 'revoked',
      });
    });
  }

  test('ends when its credentials prove something else, so that nothing is decided by what they proved', async (t) => {
    const { put, rest, gate } = await streaming(t, { method: 'GET' });
    put({ authenticate: known('alice', ['auditor']) });
    assert.equal(await rest(), '');
    assert.deepEqual(gate.rejected, [], 'nothing was refused');
  });

  test('ends when its server has gone, and when it is another one', async (t) => {
    const gone = await streaming(t, { method: 'GET' });
    gone.put({ servers: new Map() });
    assert.equal(await gone.rest(), '');
    assert.partialDeepStrictEqual(gone.gate.rejected, [{ reason: 'server_unknown' }]);
    const moved = await streaming(t, { method: 'GET' });
    const url = new URL('http://127.0.0.1:1/mcp');
    moved.put({ servers: new Map([['files', { kind: 'http', name: 'files', url, headers: {} }]]) });
    assert.equal(await moved.rest(), '');
  });

  test('ends when who checks its credentials fails', async (t) => {
    const { put, rest, warnings } = await streaming(t, { method: 'GET' });
    put({ authenticate: () => Promise.reject(new Error('oops')) });
    assert.equal(await rest(), '');
    assert.match(warnings.join(), /a stream could not be looked at anew: Error: oops/);
  });

  test('goes on when nothing that it rests on has changed', async (t) => {
    const { put, stream, emit, gate } = await streaming(t, { method: 'GET' });
    let checked = 0;
    const read = streamReader(stream);
    put({
      authenticate: (credentials) => {
        checked += 1;
        return known('alice')(credentials);
      },
    });
    emit(NOTE);
    await read('notifications/message');
    assert.deepEqual([checked, gate.rejected], [1, []]);
  });

  test('is not looked at where the door has the settings that it had', async (t) => {
    let checked = 0;
    const { door, port } = await scene(t, {
      authenticate: (credentials) => {
        checked += 1;
        return known('alice')(credentials);
      },
      upstream: (_, response) => void startEvents(response),
    });
    await open(port, { method: 'GET' });
    void door.settingsChanged();
    assert.equal(checked, 1);
  });
});

test('a call in flight is finished for a caller who is not known any more, and the next one is refused', async (t) => {
  const { promise: go, resolve } = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  const { port, door, change, gate } = await scene(t, {
    authenticate: known('alice'),
    async upstream(_, response) {
      reached.resolve();
      await go;
      response.setHeader('content-type', 'application/json').end('{"jsonrpc":"2.0","id":1,"result":{}}');
    },
  });
  const call = send(port, { body: callTool(1) });
  await reached.promise;
  change({
    authenticate: () => ({ ok: false, reason: 'identity_missing', message: 'no credentials were sent' }),
  });
  void door.settingsChanged();
  assert.equal((await send(port, { body: callTool(2) })).status, 401);
  resolve();
  assert.equal((await call).status, 200);
  assert.partialDeepStrictEqual(gate.settled, [{ status: 'ok' }]);
});

test('who changes settings is told when nothing is in flight any more to a server that has gone', async (t) => {
  const { promise: go, resolve } = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  const { port, door, change, gate } = await scene(t, {
    async upstream(_, response) {
      reached.resolve();
      await go;
      response.setHeader('content-type', 'application/json').end('{"jsonrpc":"2.0","id":1,"result":{}}');
    },
  });
  const call = send(port, { body: callTool(1) });
  await reached.promise;
  change({ servers: new Map() });
  let left = false;
  const leaving = door.settingsChanged().then(() => (left = true));
  assert.equal((await send(port, { body: callTool(2) })).status, 404);
  assert.equal(left, false);
  resolve();
  assert.equal((await call).status, 200);
  await leaving;
  assert.partialDeepStrictEqual(gate.settled, [{ status: 'ok' }]);
});
