/** A request that its client takes back, in either era. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { MODERN, remoteScene, stream, turnUntil } from '../../../support/remote-scene.ts';
import { call } from '../../../support/stdio-fixtures.ts';
import { within } from '../../../support/within.ts';

const cancel = (requestId: number | string, more: object = {}): object => ({
  method: 'notifications/cancelled',
  params: { requestId, reason: 'r', ...more },
});
const modern = (id: number | string, method: string, params: object = {}): object => ({
  id,
  method,
  params: { ...params, _meta: MODERN },
});

/** A server that holds one request without an answer; resolves with its response. */
function holding(id: number | string, begin: (response: ServerResponse) => void = () => {}) {
  const held = Promise.withResolvers<ServerResponse>();
  return {
    held: held.promise,
    script: (message: { readonly id?: unknown }, response: ServerResponse): boolean => {
      if (message.id !== id) return false;
      begin(response);
      held.resolve(response);
      return true;
    },
  };
}

for (const [title, begin] of [
  ['before its answer has begun', () => {}],
  [
    'in the middle of its stream',
    (response: ServerResponse) => stream(response)({ method: 'notifications/progress', params: {} }),
  ],
] as const) {
  for (const marked of [true, false]) {
    test(`of 2026-07-28, ${title}: its connection ends, and nothing is POSTed (${marked ? 'with' : 'without'} envelope)`, async (t) => {
      const { held, script } = holding(1, begin);
      const s = await remoteScene(t, script);
      s.client.send(modern(1, 'tools/call', { name: 'x', arguments: {} }));
      const response = await held;
      const closed = once(response, 'close');
      s.client.send(cancel(1, marked ? { _meta: MODERN } : {}), modern(2, 'tools/list'));
      await within('the end of the connection', closed);
      await s.client.line('"id":2');
      assert.deepEqual(s.gate.settled.sort(), ['1 cancelled', '2 ok']);
      assert.equal(s.upstream.received.length, 2);
      assert.ok(s.client.got.every((line) => !line.includes('"id":1')));
    });
  }
}

test('of 2026-07-28, a subscription: it stays open without end until then', async (t) => {
  const listening = { method: 'notifications/subscriptions/acknowledged', params: {} };
  const { held, script } = holding('l', (response) => stream(response)(listening));
  const s = await remoteScene(t, script);
  s.client.send(modern('l', 'subscriptions/listen', { notifications: {} }));
  await s.client.line('acknowledged');
  s.clock.turn(24 * 60 * 60 * 1000);
  const response = await held;
  response.write('data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n');
  await s.client.line('list_changed');
  const closed = once(response, 'close');
  s.client.send(cancel('l'));
  await within('the end of the connection', closed);
});

test('of 2026-07-28, when nothing is open under its id: nothing is POSTed', async (t) => {
  const s = await remoteScene(t);
  s.client.send(modern(1, 'tools/list'));
  await s.client.line('"id":1');
  s.client.send(cancel(1), cancel(9, { _meta: MODERN }), modern(2, 'tools/list'));
  await s.client.line('"id":2');
  assert.equal(s.upstream.received.length, 2);
});

test('before 2026-07-28: it is POSTed, and the answer may come all the same', async (t) => {
  const { held, script } = holding(1);
  const s = await remoteScene(t, script);
  await s.initialize();
  s.client.send(call(1, 'x'));
  const response = await held;
  s.client.send(cancel(1));
  const { headers, body } = await s.posted('notifications/cancelled');
  assert.equal(headers['mcp-session-id'], 'session-1');
  assert.equal(
    body.toString(),
    '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"r"}}',
  );
  response.end('{"jsonrpc":"2.0","id":1,"result":{}}');
  await s.client.line('"id":1');
  assert.deepEqual(s.gate.settled.at(-1), '1 ok');
});

test('before 2026-07-28: where no answer comes, its connection ends after a while, and the client hears nothing', async (t) => {
  const { held, script } = holding(1, (response) => stream(response)(undefined, 'id: 1\n'));
  const s = await remoteScene(t, script, { limits: { cancelGraceMs: 77 } });
  await s.initialize();
  s.client.send(call(1, 'x'));
  const response = await held;
  const closed = once(response, 'close');
  s.client.send(cancel(1));
  await turnUntil(s, 0, () => s.clock.waiting.includes(77));
  s.clock.turn(76);
  assert.ok(!response.closed);
  s.clock.turn(1);
  await within('the end of the connection', closed);
  s.client.send(call(2, 'x'));
  await s.client.line('"id":2');
  assert.ok(s.gate.settled.includes('1 cancelled'));
  assert.ok(s.client.got.every((line) => !line.includes('"id":1')));
});

test('before 2026-07-28: a cancellation of what is answered goes on as well', async (t) => {
  const s = await remoteScene(t);
  await s.initialize();
  s.client.send(cancel(5));
  await s.posted('notifications/cancelled');
});
