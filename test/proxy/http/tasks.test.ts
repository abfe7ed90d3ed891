/** A task is had by whoever has started it, and by nobody else who has learned its id. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerJson, callTool, scene, scriptedGate, send, startEvents } from '../../support/http-scene.ts';

/** Callers by a header, and an upstream that answers a call with a task, in the form that is wanted. */
const open = (t: Parameters<typeof scene>[0], answer: object, streamed: boolean) =>
  scene(t, {
    gate: scriptedGate(),
    authenticate: async ({ authorization }) => ({
      ok: true,
      identity: { source: 'api_key', user: authorization[0] ?? '', keyId: authorization[0] ?? '' },
    }),
    upstream(_, response, { body }) {
      const { id, method } = JSON.parse(body.toString()) as { id: number; method: string };
      const message = { jsonrpc: '2.0', id, result: method === 'tools/call' ? answer : { taskId: 't-1' } };
      if (!streamed) return answerJson(response, message);
      startEvents(response)(message);
      response.end();
    },
  });

const FORMS: Readonly<Record<string, object>> = {
  '2025-11-25': { task: { taskId: 't-1', status: 'working' } },
  '2026-07-28': { resultType: 'task', taskId: 't-1', status: 'working' },
};

for (const [revision, answer] of Object.entries(FORMS))
  for (const streamed of [false, true])
    test(`a task of ${revision} that came ${streamed ? 'on a stream' : 'as JSON'} is its starter’s`, async (t) => {
      const { port, gate, received } = await open(t, answer, streamed);
      const as = (who: string, body: string) => send(port, { headers: ['Authorization', who], body });
      await as('ann', callTool(1));
      const before = received.length;
      for (const method of ['tasks/get', 'tasks/result', 'tasks/update', 'tasks/cancel']) {
        const body = JSON.stringify({ jsonrpc: '2.0', id: 2, method, params: { taskId: 't-1' } });
        assert.equal(JSON.parse((await as('bob', body)).body.toString()).error.code, -32602, method);
      }
      const notifications = { taskIds: ['t-1'] };
      const listen = { jsonrpc: '2.0', id: 3, method: 'subscriptions/listen', params: { notifications } };
      assert.equal(JSON.parse((await as('bob', JSON.stringify(listen))).body.toString()).error.code, -32602);
      assert.equal(received.length, before);
      assert.deepEqual(
        [...new Set(gate.rejected.map(({ code, reason }) => `${code} ${reason}`))],
        ['task_foreign identity_invalid'],
      );
      const own = JSON.stringify({ jsonrpc: '2.0', id: 4, method: 'tasks/get', params: { taskId: 't-1' } });
      assert.match((await as('ann', own)).body.toString(), /"result"/);
      // One that is not known here the upstream may know.
      assert.match((await as('bob', own.replace('t-1', 't-2'))).body.toString(), /"result"/);
    });
