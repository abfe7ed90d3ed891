/** What belongs to one caller stays out of reach of the others: sessions, answers, and room. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import { ANONYMOUS, type Identity } from '../../../src/identity/identity.ts';
import { callerKey } from '../../../src/proxy/caller.ts';
import { createSessions } from '../../../src/proxy/http/sessions.ts';
import { answerJson, callTool, open, scene, send, startEvents } from '../../support/http-scene.ts';

const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } },
});
const as = (user: string, ...more: string[]): string[] => ['Authorization', user, ...more];
const within = ['Mcp-Session-Id', 's'];

/** Everybody is who they say they are. */
const authenticate = ({ authorization }: { authorization: readonly string[] }) =>
  ({ ok: true, identity: { source: 'api_key', user: authorization[0] } }) as const;

describe('a caller', () => {
  const ann: Identity = { source: 'jwt', issuer: 'i', user: 'ann', agent: { id: 'a' }, roles: ['x'] };
  const key = (identity: Identity, clientAddress?: string): string => callerKey({ identity, clientAddress });

  test('is told from others by every fact of its identity, but not by roles and address', () => {
    for (const other of [
      { ...ann, source: 'api_key' as const },
      { ...ann, issuer: 'j' },
      { ...ann, user: 'bob' },
      { ...ann, agent: { id: 'b' } },
      { ...ann, agent: { name: 'a' } },
      { ...ann, keyId: 'k' },
      { ...ann, delegation: ['d'] },
    ])
      assert.notEqual(key(ann), key(other), JSON.stringify(other));
    assert.equal(key(ann, '10.0.0.1'), key({ ...ann, roles: [] }, '10.0.0.2'));
  });

  test('without an identity is its address', () => {
    assert.notEqual(key(ANONYMOUS, '10.0.0.1'), key(ANONYMOUS, '10.0.0.2'));
    assert.equal(key(ANONYMOUS, '10.0.0.1'), key(ANONYMOUS, '10.0.0.1'));
  });

  test('is recorded with the address that it has, not with ours', async (t) => {
    const { port, gate } = await scene(t);
    await send(port, { body: callTool(1), localAddress: '127.0.0.2' });
    await send(port, { body: 'x', localAddress: '127.0.0.2' });
    assert.equal(gate.decided[0]?.origin.clientAddress, '127.0.0.2');
    assert.equal(gate.rejected[0]?.origin.clientAddress, '127.0.0.2');
  });
});

describe('a session', () => {
  async function opened(t: TestContext) {
    const inside = await scene(t, {
      authenticate,
      upstream: (request, response, { body }) => {
        if (body.includes('"initialize"')) response.setHeader('mcp-session-id', 's');
        if (request.method === 'POST') answerJson(response, { jsonrpc: '2.0', id: 0, result: {} });
        else response.writeHead(200).end();
      },
    });
    await send(inside.port, { body: INITIALIZE, headers: as('ann') });
    return inside;
  }

  for (const method of ['POST', 'GET', 'DELETE']) {
    test(`of one identity is unknown to another that sends ${method}`, async (t) => {
      const { port, received, gate } = await opened(t);
      const request = { method, body: method === 'POST' ? callTool(0) : undefined };
      const foreign = await send(port, { ...request, headers: as('bob', ...within) });
      assert.equal(foreign.status, 404);
      assert.partialDeepStrictEqual(gate.rejected, [
        { reason: 'identity_invalid', code: 'session_foreign', origin: { identity: { user: 'bob' } } },
      ]);
      assert.equal(received.length, 1);
      assert.equal((await send(port, { ...request, headers: as('ann', ...within) })).status, 200);
      assert.equal(received.length, 2);
    });
  }

  test('that has been ended, or that we have not seen begin, is the upstream’s to judge', async (t) => {
    const { port, received } = await opened(t);
    const other = ['Mcp-Session-Id', 'from before we were started'];
    await send(port, { body: callTool(0), headers: as('bob', ...other) });
    await send(port, { method: 'DELETE', headers: as('ann', ...within) });
    await send(port, { body: callTool(0), headers: as('bob', ...within) });
    assert.equal(received.length, 4);
  });

  test('is remembered up to a limit, over which the one unused for longest is forgotten', () => {
    const sessions = createSessions(2);
    sessions.bind('up', 'a', 'ann');
    sessions.bind('up', 'b', 'ann');
    assert.deepEqual([sessions.admits('up', 'a', 'bob'), sessions.admits('up', 'b', 'bob')], [false, false]);
    assert.equal(sessions.admits('up', 'a', 'ann'), true);
    sessions.bind('up', 'c', 'ann');
    assert.deepEqual(
      ['a', 'b', 'c'].map((id) => sessions.admits('up', id, 'bob')),
      [false, true, false],
    );
    assert.equal(sessions.admits('other', 'a', 'bob'), true);
    sessions.bind('up', 'a', 'bob');
    assert.deepEqual([sessions.admits('up', 'a', 'bob'), sessions.admits('up', 'a', 'ann')], [true, false]);
  });
});

describe('a response of a client', () => {
  const ask = { jsonrpc: '2.0', id: 'srv-1', method: 'elicitation/create', params: {} };
  const reply = '{"jsonrpc":"2.0","id":"srv-1","result":{"action":"accept"}}';

  test('to nothing that was asked is dropped and recorded', async (t) => {
    const { port, gate, received } = await scene(t);
    for (const body of [reply, '{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"x"}}']) {
      const answer = await send(port, { body, headers: within });
      assert.deepEqual([answer.status, answer.body.length], [202, 0]);
    }
    assert.deepEqual(received, []);
    assert.partialDeepStrictEqual(gate.rejected, [
      { reason: 'parse', code: 'response_unasked', id: { text: 'srv-1' }, direction: 'to_upstream' },
      { code: 'response_unasked', id: null },
    ]);
  });

  for (const headers of [within, []]) {
    test(`${headers.length > 0 ? 'in' : 'outside of'} a session: once, and from whom it was asked`, async (t) => {
      const held = Promise.withResolvers<ServerResponse>();
      const { port, gate, received } = await scene(t, {
        authenticate,
        upstream: (_, response, { body }) => {
          if (!body.includes('tools/call')) {
            response.writeHead(202).end();
            return;
          }
          startEvents(response)(ask);
          held.resolve(response);
        },
      });
      const stream = await open(port, { body: callTool(1), headers: as('ann', ...headers) });
      await once(stream, 'readable');
      const answer = (user: string) => send(port, { body: reply, headers: as(user, ...headers) });
      await answer('bob');
      assert.deepEqual([received.length, gate.settled], [1, []]);
      await answer('ann');
      await answer('ann');
      assert.equal(received.length, 2);
      assert.partialDeepStrictEqual(gate.settled, [{ method: 'elicitation/create', status: 'ok' }]);
      assert.deepEqual(
        gate.rejected.map(({ code, origin }) => [code, origin.identity?.user]),
        [
          ['response_unasked', 'bob'],
          ['response_unasked', 'ann'],
        ],
      );
      (await held.promise).end();
      stream.resume();
      await once(stream, 'end');
    });
  }

  test('outside of a session is waited for only while its stream is open', async (t) => {
    const { port, gate, received } = await scene(t, {
      upstream: (_, response) => {
        const push = startEvents(response);
        push(ask);
        push({ jsonrpc: '2.0', id: 1, result: {} });
        response.end();
      },
    });
    await send(port, { body: callTool(1) });
    assert.partialDeepStrictEqual(await gate.outcomeOf('elicitation/create'), { status: 'unknown' });
    await send(port, { body: reply });
    assert.equal(received.length, 1);
  });

  test('a call outside of a session whose stream ends early takes no answer of another call', async (t) => {
    const { port, gate } = await scene(t, {
      upstream: (request, response) => {
        const push = startEvents(response);
        if (request.method === 'POST') response.write('id: 1\ndata: \n\n');
        else push({ jsonrpc: '2.0', id: 1, result: {} });
        response.end();
      },
    });
    await send(port, { body: callTool(1) });
    assert.partialDeepStrictEqual(gate.settled, [{ status: 'unknown' }]);
    await send(port, { method: 'GET', headers: ['Last-Event-Id', '1'] });
    assert.equal(gate.settled.length, 1);
  });

  test('a call gets its outcome from no stream of another caller', async (t) => {
    const { port, gate } = await scene(t, {
      authenticate,
      upstream: (request, response) => {
        const push = startEvents(response);
        if (request.method === 'POST') response.write('id: 1\ndata: \n\n');
        else push({ jsonrpc: '2.0', id: 1, result: {} });
        response.end();
      },
    });
    await send(port, { body: callTool(1), headers: as('ann', ...within) });
    await send(port, { method: 'GET', headers: as('bob', ...within) });
    assert.deepEqual(gate.settled, []);
    await send(port, { method: 'GET', headers: as('ann', ...within) });
    assert.partialDeepStrictEqual(gate.settled, [{ status: 'ok' }]);
  });
});

test('one caller that takes its share leaves room for the others, and has it again afterwards', async (t) => {
  const held: ServerResponse[] = [];
  const { port, gate } = await scene(t, {
    authenticate,
    limits: { exchangesMax: 8 },
    upstream: (request, response) => {
      if (request.method === 'GET') {
        startEvents(response);
        held.push(response);
      } else answerJson(response, { jsonrpc: '2.0', id: 1, result: {} });
    },
  });
  const streams = [];
  for (let count = 0; count < 2; count++)
    streams.push(await open(port, { method: 'GET', headers: as('ann') }));
  const refused = await send(port, { body: callTool(1), headers: as('ann') });
  assert.equal(refused.status, 429);
  assert.partialDeepStrictEqual(gate.rejected, [
    { reason: 'limit', code: 'caller_busy', details: { max: 2 }, origin: { identity: { user: 'ann' } } },
  ]);
  assert.equal((await send(port, { body: callTool(1), headers: as('bob') })).status, 200);
  held[0]?.end();
  streams[0]?.resume();
  await once(streams[0]!, 'end');
  assert.equal((await send(port, { body: callTool(1), headers: as('ann') })).status, 200);
  for (const stream of streams) stream.destroy();
});
