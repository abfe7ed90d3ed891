/** What is in force may change while requests are on their way: none is served by two versions. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { describe, test } from 'node:test';
import type { HttpAuthenticator } from '../../../src/identity/authenticate.ts';
import { callTool, scene, send } from '../../support/http-scene.ts';

const known =
  (user: string): HttpAuthenticator =>
  () => ({ ok: true, identity: { source: 'api_key', user } });
const unknown: HttpAuthenticator = () => ({
  ok: false,
  reason: 'identity_invalid',
  message: 'the key is not known here',
});

/** Sends half of a call, which has been admitted when this resolves. */
async function begin(
  port: number,
  authenticated: Promise<unknown>,
  headers: Readonly<Record<string, string>> = {},
): Promise<ClientRequest> {
  const outgoing = httpRequest({ host: '127.0.0.1', port, method: 'POST', path: '/files/mcp', headers });
  outgoing.setHeader('content-length', BODY.length);
  outgoing.write(BODY.slice(0, 10));
  await authenticated;
  await new Promise((resolve) => setImmediate(resolve));
  return outgoing;
}

async function finish(outgoing: ClientRequest): Promise<{ status: number | undefined }> {
  outgoing.end(BODY.slice(10));
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  response.resume();
  return { status: response.statusCode };
}

const BODY = callTool(1);

/** Resolves when a caller has been asked for. */
function asked(authenticate: HttpAuthenticator) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const noted: HttpAuthenticator = (credentials) => {
    resolve();
    return authenticate(credentials);
  };
  return { authenticate: noted, promise };
}

describe('what comes into force while a body is on its way', () => {
  test('refuses a caller who is not known any more, and the call goes nowhere', async (t) => {
    const { authenticate, promise } = asked(known('alice'));
    const { port, gate, received, change } = await scene(t, { authenticate });
    const call = await begin(port, promise);
    change({ authenticate: unknown });
    assert.equal((await finish(call)).status, 401);
    assert.deepEqual([gate.decided, received], [[], []]);
    assert.partialDeepStrictEqual(gate.rejected, [{ reason: 'identity_invalid' }]);
  });

  test('is what the call is decided by', async (t) => {
    const { authenticate, promise } = asked(known('alice'));
    const { port, gate, change } = await scene(t, { authenticate });
    const call = await begin(port, promise);
    change({ authenticate: known('alice of another issuer') });
    assert.equal((await finish(call)).status, 200);
    assert.partialDeepStrictEqual(gate.decided, [
      { origin: { identity: { user: 'alice of another issuer' } } },
    ]);
  });

  test('may have taken the server away', async (t) => {
    const { authenticate, promise } = asked(known('alice'));
    const { port, received, change } = await scene(t, { authenticate });
    const call = await begin(port, promise);
    change({ servers: new Map() });
    assert.equal((await finish(call)).status, 404);
    assert.deepEqual(received, []);
  });

  test('may have taken the session to somebody else', async (t) => {
    const { port, gate, received, change } = await scene(t, {
      authenticate: known('alice'),
      upstream: (_, response) => void response.writeHead(200, { 'mcp-session-id': 's' }).end('{}'),
    });
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: {} });
    await send(port, { body });
    const { authenticate, promise } = asked(known('alice'));
    change({ authenticate });
    const call = await begin(port, promise, { 'mcp-session-id': 's' });
    change({ authenticate: known('bob') });
    assert.equal((await finish(call)).status, 404);
    assert.equal(received.length, 1);
    assert.partialDeepStrictEqual(gate.rejected, [{ code: 'session_foreign' }]);
  });
});

test('credentials whose check takes long are checked by what is in force when it is done', async (t) => {
  const slow = Promise.withResolvers<void>();
  const { authenticate, promise } = asked(async (credentials) => {
    await slow.promise;
    return known('alice')(credentials);
  });
  const { port, gate, change } = await scene(t, { authenticate });
  const answer = send(port, { method: 'GET' });
  await promise;
  change({ authenticate: unknown });
  slow.resolve();
  assert.equal((await answer).status, 401);
  assert.deepEqual(gate.decided, []);
});

test('a message is read by the limits that are in force', async (t) => {
  const { port, change } = await scene(t, { messageLimits: { bytesMax: 20 } });
  assert.equal((await send(port, { body: BODY })).status, 413);
  change({ messageLimits: {} });
  assert.equal((await send(port, { body: BODY })).status, 200);
});
