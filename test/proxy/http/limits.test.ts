/** Limits of the door that are set otherwise hold in it: at the limit nothing is lost, over it the oldest. */
import assert from 'node:assert/strict';
import * as http from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import type { HttpLimits } from '../../../src/proxy/http/limits.ts';
import { answerJson, callTool, open, scene, send, startEvents } from '../../support/http-scene.ts';

const ASK = { jsonrpc: '2.0', method: 'elicitation/create', params: { message: 'm' } };
const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } },
});

/** A server that names each session and task by the number of its request, and asks something on each GET stream. */
async function numbering(t: TestContext, limits: Partial<HttpLimits> = {}) {
  let sessions = 0;
  let tasks = 0;
  let asked = 0;
  const opened = await scene(t, {
    limits,
    authenticate: ({ authorization }) => ({
      ok: true,
      identity: { source: 'api_key', user: authorization[0] ?? 'ann' },
    }),
    upstream(request, response, { body }) {
      if (request.method === 'GET') {
        startEvents(response)({ ...ASK, id: `q-${(asked += 1)}` });
        response.end();
        return;
      }
      const { id, method } = JSON.parse(body.toString()) as { id?: number; method?: string };
      if (id === undefined || method === undefined) {
        response.writeHead(202).end();
        return;
      }
      if (method === 'initialize') response.setHeader('mcp-session-id', `s-${(sessions += 1)}`);
      const task = { taskId: `t-${(tasks += method === 'tools/call' ? 1 : 0)}`, status: 'working' };
      answerJson(response, { jsonrpc: '2.0', id, result: { task } });
    },
  });
  const { port } = opened;
  const as = (user: string, body: string | undefined, ...headers: string[]) =>
    send(port, {
      headers: ['Authorization', user, ...headers],
      ...(body === undefined ? { method: 'GET' } : { body }),
    });
  return {
    ...opened,
    as,
    begin: async (count: number): Promise<void> => {
      for (let number = 0; number < count; number += 1) await as('ann', INITIALIZE);
    },
    start: async (count: number): Promise<void> => {
      for (let number = 0; number < count; number += 1) await as('ann', callTool(1));
    },
    /** Whether another caller is told that there is no such thing. */
    guarded: {
      session: async (number: number) =>
        (await as('bob', callTool(1), 'Mcp-Session-Id', `s-${number}`)).status === 404,
      task: async (number: number) => {
        const params = { taskId: `t-${number}` };
        const { body } = await as(
          'bob',
          JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'tasks/get', params }),
        );
        return body.includes('Task not found');
      },
    },
  };
}

describe('of tasks, as many as the limit says are their starters’', () => {
  for (const [limits, started, foreign] of [
    [{ tasksMax: 2 }, 2, []],
    [{ tasksMax: 2 }, 3, [1]],
    [{}, 3, []],
  ] as const) {
    test(`${JSON.stringify(limits)}: of ${started}, ${foreign.length} can be had by others`, async (t) => {
      const { start, guarded } = await numbering(t, limits);
      await start(started);
      const open: number[] = [];
      for (let number = 1; number <= started; number += 1)
        if (!(await guarded.task(number))) open.push(number);
      assert.deepEqual(open, foreign);
    });
  }
});

describe('of sessions, as many as the limit says are their callers’', () => {
  for (const [limits, begun, foreign] of [
    [{ sessionsMax: 2 }, 2, []],
    [{ sessionsMax: 2 }, 3, [1]],
    [{}, 3, []],
  ] as const) {
    test(`${JSON.stringify(limits)}: of ${begun}, ${foreign.length} can be had by others`, async (t) => {
      const { begin, guarded } = await numbering(t, limits);
      await begin(begun);
      const open: number[] = [];
      for (let number = 1; number <= begun; number += 1)
        if (!(await guarded.session(number))) open.push(number);
      assert.deepEqual(open, foreign);
    });
  }
});

describe('of what servers ask, as much as the limit says waits for its answer', () => {
  for (const [limits, asked, lost] of [
    [{ pendingMax: 2 }, 2, 0],
    [{ pendingMax: 2 }, 3, 1],
    [{}, 3, 0],
  ] as const) {
    test(`${JSON.stringify(limits)}: of ${asked}, ${lost} are given up`, async (t) => {
      const { as, gate } = await numbering(t, limits);
      for (let number = 0; number < asked; number += 1) await as('ann', undefined, 'Mcp-Session-Id', 's');
      const settled = gate.settled.filter(({ method }) => method === ASK.method);
      assert.deepEqual(
        settled,
        Array.from({ length: lost }, () => ({ method: ASK.method, status: 'unknown' })),
      );
      const reply = JSON.stringify({ jsonrpc: '2.0', id: `q-${asked}`, result: { action: 'accept' } });
      await as('ann', reply, 'Mcp-Session-Id', 's');
      assert.equal(gate.settled.at(-1)?.status, 'ok', 'the newest is lost');
    });
  }

  for (const [limits, settled] of [
    [{ pendingMs: 1 }, [{ method: ASK.method, status: 'unknown' }]],
    [{}, []],
  ] as const) {
    test(`${JSON.stringify(limits)}: nobody waits for longer for what a server asks, and nobody less`, async (t) => {
      t.mock.timers.enable({ apis: ['setInterval'] });
      const { as, gate } = await numbering(t, limits);
      await as('ann', undefined, 'Mcp-Session-Id', 's');
      const end = performance.now() + 2;
      while (performance.now() < end) await new Promise((resolve) => setImmediate(resolve));
      t.mock.timers.tick(60_000);
      assert.deepEqual(
        gate.settled.filter(({ method }) => method === ASK.method),
        settled,
      );
    });
  }
});

test('a caller has as many requests open as its own limit says, though all together may have more', async (t) => {
  const { port, gate } = await scene(t, {
    limits: { exchangesMax: 100, callerExchangesMax: 2 },
    upstream: (request, response) => {
      if (request.method === 'GET') startEvents(response);
      else response.writeHead(202).end();
    },
  });
  const streams = [await open(port, { method: 'GET' })];
  const note = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
  assert.equal((await send(port, { body: note })).status, 202);
  streams.push(await open(port, { method: 'GET' }));
  assert.equal((await send(port, { body: note })).status, 429);
  assert.partialDeepStrictEqual(gate.rejected, [{ code: 'caller_busy', details: { max: 2 } }]);
  for (const stream of streams) stream.destroy();
});

for (const [limits, told] of [
  [{}, 'timeout=60'],
  [{ keepAliveTimeoutMs: 7_000 }, 'timeout=7'],
] as const) {
  test(`${JSON.stringify(limits)}: an idle connection is kept as long as its client is told, ${told}`, async (t) => {
    const { port } = await scene(t, { limits });
    const agent = new http.Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    assert.equal((await send(port, { body: callTool(1), agent })).headers['keep-alive'], told);
  });
}
