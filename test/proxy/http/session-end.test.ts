/** What is left of a session whose server does not know it any more. */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { callTool, scene, send, startEvents } from '../../support/http-scene.ts';

const ASK = { jsonrpc: '2.0', id: 'q', method: 'elicitation/create', params: { message: 'm' } };
const CHANGED = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/roots/list_changed' });
const MODERN = JSON.stringify({
  jsonrpc: '2.0',
  id: 9,
  method: 'tools/call',
  params: { name: 'read', _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } },
});

const MODERN_HEADERS = 'MCP-Protocol-Version 2026-07-28 Mcp-Method tools/call Mcp-Name read'.split(' ');

/** Sessions in each of which the server has asked something; from then on it answers with a status and no more. */
async function asked(t: TestContext, status: number, sessions: readonly string[]) {
  const open = new Set(sessions);
  const opened = await scene(t, {
    authenticate: ({ authorization }) => ({
      ok: true,
      identity: { source: 'api_key', user: authorization[0] ?? 'alice' },
    }),
    upstream(request, response) {
      if (!open.delete(String(request.headers['mcp-session-id']))) {
        response.writeHead(status).end();
        return;
      }
      startEvents(response)(ASK);
      response.end();
    },
  });
  const { port, gate } = opened;
  const from = (session: string, user = 'alice') => ['Mcp-Session-Id', session, 'Authorization', user];
  for (const session of sessions) await send(port, { method: 'GET', headers: from(session) });
  assert.deepEqual(gate.settled, []);
  const outcomes = () => gate.settled.filter(({ method }) => method === ASK.method);
  return { port, from, outcomes };
}

describe('a session that its server answers 404 to', () => {
  for (const [what, request] of [
    ['a call', { body: callTool(1) }],
    ['a notification', { body: CHANGED }],
    ['its end', { method: 'DELETE' }],
  ] as const) {
    test(`leaves nothing that waits in it: ${what}`, async (t) => {
      const { port, from, outcomes } = await asked(t, 404, ['s', 'other']);
      await send(port, { ...request, headers: from('s') });
      assert.partialDeepStrictEqual(outcomes(), [{ status: 'unknown' }]);
      assert.equal(outcomes().length, 1, 'another session has lost what waits in it');
    });
  }

  test('keeps what waits for another caller who has had its id', async (t) => {
    const { port, from, outcomes } = await asked(t, 404, ['s']);
    await send(port, { body: callTool(1), headers: from('s', 'mallory') });
    assert.deepEqual(outcomes(), []);
  });
});

for (const [what, status, request, headers] of [
  ['another status', 400, { body: callTool(1) }, []],
  ['404 to a GET: it may have no such stream', 404, { method: 'GET' }, []],
  ['404 to a call of 2026-07-28: it may have no such method', 404, { body: MODERN }, MODERN_HEADERS],
] as const) {
  test(`a session goes on that its server answers with ${what}`, async (t) => {
    const { port, from, outcomes } = await asked(t, status, ['s']);
    assert.equal((await send(port, { ...request, headers: [...from('s'), ...headers] })).status, status);
    assert.deepEqual(outcomes(), []);
  });
}
