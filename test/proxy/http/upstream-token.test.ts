import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  createUpstreamTokens,
  LIFETIME_MS_DEFAULT,
  RENEW_AT,
  RETRY_MS,
} from '../../../src/proxy/http/upstream-token.ts';
import { callTool, scene, send, type Received } from '../../support/http-scene.ts';

const LIFETIME_MS = 100_000;

function source() {
  const state = {
    nowMs: 1_000_000,
    fetches: 0,
    down: false,
    lifetimeMs: LIFETIME_MS as number | undefined,
    told: [] as string[],
  };
  const tokens = createUpstreamTokens({
    fetchToken: async () => {
      state.fetches += 1;
      if (state.down) throw new Error('status 503');
      return { token: `t${state.fetches}`, lifetimeMs: state.lifetimeMs };
    },
    nowMs: () => state.nowMs,
    failed: (message) => state.told.push(message),
  });
  return { state, tokens };
}

describe('a token for an upstream', () => {
  test('is got once, when the first call needs it, however many come at once', async () => {
    const { state, tokens } = source();
    assert.equal(state.fetches, 0);
    const got = await Promise.all([tokens.current(), tokens.current(), tokens.current()]);
    assert.deepEqual([got, state.fetches], [['t1', 't1', 't1'], 1]);
  });

  test('is renewed before its end, without a call that waits for it', async () => {
    const { state, tokens } = source();
    await tokens.current();
    state.nowMs += LIFETIME_MS * RENEW_AT - 1;
    assert.equal(await tokens.current(), 't1');
    assert.equal(state.fetches, 1);
    state.nowMs += 1;
    assert.equal(await tokens.current(), 't1');
    assert.equal(state.fetches, 2);
    assert.equal(await tokens.current(), 't2');
  });

  test('serves to its end while no other can be had, and not beyond', async () => {
    const { state, tokens } = source();
    await tokens.current();
    state.down = true;
    state.nowMs += LIFETIME_MS - 1;
    assert.equal(await tokens.current(), 't1');
    // The fetch that nobody waits for comes to its end.
    await new Promise((resolve) => setImmediate(resolve));
    state.nowMs += RETRY_MS;
    await assert.rejects(tokens.current());
    assert.deepEqual(state.told, ['status 503', 'status 503']);
    await assert.rejects(tokens.current());
    assert.equal(state.fetches, 3, 'asked again before it was time');
    state.down = false;
    state.nowMs += RETRY_MS;
    assert.equal(await tokens.current(), 't4');
  });

  test('whose life nobody tells is good for a while', async () => {
    const { state, tokens } = source();
    state.lifetimeMs = undefined;
    await tokens.current();
    state.nowMs += LIFETIME_MS_DEFAULT;
    assert.equal(await tokens.current(), 't2');
  });

  test('that the upstream refuses is changed for another, once for all calls that it was refused to', async () => {
    const { state, tokens } = source();
    await tokens.current();
    state.nowMs += RETRY_MS;
    assert.deepEqual(await Promise.all([tokens.another('t1'), tokens.another('t1')]), ['t2', 't2']);
    assert.equal(await tokens.another('t1'), 't2', 'a call that was late');
    assert.equal(state.fetches, 2);
    assert.equal(await tokens.another('t2'), undefined, 'an upstream that refuses whatever comes');
    assert.equal(state.fetches, 2);
    state.nowMs += RETRY_MS;
    assert.equal(await tokens.another('t1'), 't2', 'a call that was very late');
    assert.equal(state.fetches, 2);
  });
});

describe('a call to an upstream with tokens', () => {
  const tokens = (...given: readonly string[]) => {
    const left = [...given];
    const refused: string[] = [];
    return {
      refused,
      current: async () => {
        const token = left.shift();
        if (token === undefined) throw new Error('none');
        return token;
      },
      another: async (token: string) => {
        refused.push(token);
        return left.shift();
      },
    };
  };
  const sees = (received: readonly Received[]) => received.map(({ headers }) => headers.authorization);

  test('carries ours, and never the client’s', async (t) => {
    const { port, received } = await scene(t, { upstreamTokens: tokens('ours') });
    const headers = ['Authorization', 'Bearer of-the-client'];
    assert.equal((await send(port, { headers, body: callTool(1) })).status, 200);
    assert.deepEqual(sees(received), ['Bearer ours']);
  });

  test('is made once more with another token where the upstream refuses one, with the same bytes', async (t) => {
    const upstreamTokens = tokens('old', 'new', 'never');
    const { port, received, gate } = await scene(t, {
      upstreamTokens,
      upstream: (_, response, { headers }) => {
        const good = headers.authorization === 'Bearer new';
        response.writeHead(good ? 200 : 401, { 'content-type': 'application/json' });
        response.end(good ? '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}' : '');
      },
    });
    const body = callTool(1);
    assert.equal((await send(port, { body })).status, 200);
    assert.deepEqual(sees(received), ['Bearer old', 'Bearer new']);
    assert.deepEqual(
      received.map((one) => one.body.toString()),
      [body, body],
    );
    assert.deepEqual(upstreamTokens.refused, ['old']);
    assert.equal((await gate.outcomeOf('tools/call')).status, 'ok');
  });

  test('is not made a third time', async (t) => {
    const { port, received } = await scene(t, {
      upstreamTokens: tokens('old', 'new', 'never'),
      upstream: (_, response) => void response.writeHead(401).end(),
    });
    assert.equal((await send(port, { body: callTool(1) })).status, 401);
    assert.deepEqual(sees(received), ['Bearer old', 'Bearer new']);
  });

  test('is not made without a token, and the outcome says so', async (t) => {
    const { port, received, gate } = await scene(t, { upstreamTokens: tokens() });
    const { body } = await send(port, { body: callTool(1) });
    assert.match(body.toString(), /The server files cannot be reached: no_token/);
    assert.deepEqual(received, []);
    const { status, errorType } = await gate.outcomeOf('tools/call');
    assert.deepEqual([status, errorType], ['transport_error', 'no_token']);
  });
});
