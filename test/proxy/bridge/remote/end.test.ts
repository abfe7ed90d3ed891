/** How a connection to a server over HTTP ends: nothing is lost that could still come, and no connection is left. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { HURRIED_GRACE_MS } from '../../../../src/proxy/stdio/door.ts';
import {
  answer,
  assertAlone,
  INITIALIZE,
  MODERN,
  remoteScene,
  type RemoteScene,
  stream,
  turnUntil,
} from '../../../support/remote-scene.ts';
import { call, scriptedGate } from '../../../support/stdio-fixtures.ts';

/** A script that holds what has the method, without an answer; resolves with the response. */
function holding(method: string) {
  const held = Promise.withResolvers<ServerResponse>();
  return {
    held: held.promise,
    script: (
      message: { readonly method?: string },
      response: ServerResponse,
      received: { method: string },
    ) => {
      if (message.method !== method && received.method !== method) return false;
      held.resolve(response);
      return true;
    },
  };
}

const deletes = (s: RemoteScene): number =>
  s.upstream.received.filter(({ method }) => method === 'DELETE').length;

test('at the end of stdin answers are waited for, then the session is ended, then we', async (t) => {
  const { held, script } = holding('tools/call');
  const s = await remoteScene(t, script);
  await s.initialize();
  s.client.send(call(1, 'x'));
  s.client.stdin.end();
  const response = await held;
  assert.equal(deletes(s), 0);
  answer(response, 1, { late: true });
  assert.deepEqual(await s.ended, { code: 0 });
  assert.match(await s.client.line('"id":1'), /late/);
  const { method, headers } = s.upstream.received.at(-1) ?? { method: undefined, headers: {} };
  assert.equal(method, 'DELETE');
  assert.equal(headers['mcp-session-id'], 'session-1');
  assert.deepEqual(s.gate.asked.at(-1)?.message.method, 'transport/delete');
  await assertAlone(s);
});

test('an answer that a slow client has no room for yet is not lost at the end', async (t) => {
  const reading = Promise.withResolvers<void>();
  const got: string[] = [];
  const stdout = new Writable({
    highWaterMark: 1,
    async write(chunk: Buffer, _encoding, done) {
      got.push(chunk.toString());
      await reading.promise;
      done();
    },
  });
  const s = await remoteScene(
    t,
    ({ id }, response) => {
      const write = stream(response);
      for (let n = 1; n <= 5; n += 1) write({ method: 'notifications/message', params: { n } });
      write({ id, result: {} });
      return true;
    },
    { stdout, doorLimits: { pendingMax: 2 } },
  );
  s.client.send(call(1, 'x'));
  await turnUntil(s, 0, () => got.length > 0);
  s.client.stdin.end();
  await new Promise((resolve) => setImmediate(resolve));
  reading.resolve();
  await s.ended;
  const lines = got.join('').trimEnd().split('\n');
  assert.equal(lines.length, 6);
  assert.match(lines.at(-1) ?? '', /"id":1/);
  await assertAlone(s);
});

test('a stream of the server’s own, and a subscription, end with stdin: nobody could end them but the client', async (t) => {
  const s = await remoteScene(t, ({ method }, response, received) => {
    if (received.method !== 'GET' && method !== 'subscriptions/listen') return false;
    stream(response)({ method: 'notifications/message', params: {} });
    return true;
  });
  await s.initialize();
  s.client.send({ id: 'l', method: 'subscriptions/listen', params: { notifications: {}, _meta: MODERN } });
  await turnUntil(s, 0, () => s.client.got.length === 3);
  s.client.stdin.end();
  assert.deepEqual(await s.ended, { code: 0 });
  assert.ok(s.gate.settled.includes('"l" cancelled'));
  await assertAlone(s);
  // Nor is anything still to be tried.
  assert.deepEqual(s.clock.waiting, []);
});

test('what the client has taken back is not waited for', async (t) => {
  const { held, script } = holding('tools/call');
  const s = await remoteScene(t, script);
  await s.initialize();
  s.client.send(call(1, 'x'));
  await held;
  s.client.send({ method: 'notifications/cancelled', params: { requestId: 1 } });
  await s.posted('notifications/cancelled');
  s.client.stdin.end();
  assert.deepEqual(await s.ended, { code: 0 });
  assert.ok(s.gate.settled.includes('1 cancelled'));
  await assertAlone(s);
});

test('a stream that goes on after its answer is not waited for', async (t) => {
  const s = await remoteScene(t, ({ id }, response) => {
    stream(response)({ id, result: {} });
    return true;
  });
  s.client.send(call(1, 'x'), call(2, 'x'));
  await s.client.line('"id":1');
  await s.client.line('"id":2');
  assert.deepEqual(s.clock.waiting.length, 2);
  assert.equal(await s.upstream.connections(), 2);
  // Neither by us, ...
  s.clock.turn(5_000);
  await assertAlone(s);
  s.client.send(call(3, 'x'));
  await s.client.line('"id":3');
  // ... nor at the end.
  s.client.stdin.end();
  assert.deepEqual(await s.ended, { code: 0 });
  await assertAlone(s);
});

test('what has no answer when the time is over is told so, and the session is ended all the same', async (t) => {
  const { held, script } = holding('tools/call');
  const s = await remoteScene(t, script, { limits: { exitGraceMs: 4_000 } });
  await s.initialize();
  s.client.send(call(1, 'x'));
  const closed = once(await held, 'close');
  s.client.stdin.end();
  await turnUntil(s, 0, () => s.clock.waiting.includes(4_000));
  s.clock.turn(4_000);
  assert.deepEqual(await s.ended, { code: 0 });
  assert.match(await s.client.line('"id":1'), /tools\/call had none yet when mcp-verdict was told to stop/);
  assert.ok(s.gate.settled.includes('1 cancelled shutdown'));
  assert.equal(deletes(s), 1);
  await closed;
  await assertAlone(s);
});

test('a signal after the end of stdin gives up at once what has no answer', async (t) => {
  const { held, script } = holding('tools/call');
  const s = await remoteScene(t, script);
  await s.initialize();
  s.client.send(call(1, 'x'));
  await held;
  s.client.stdin.end();
  await turnUntil(s, 0, () => s.clock.waiting.includes(5_000));
  s.abort.abort();
  assert.deepEqual(await s.ended, { code: 0 });
  assert.ok(s.gate.settled.includes('1 cancelled shutdown'));
  assert.equal(deletes(s), 1);
});

test('what waits for the answer to initialize when we are told to stop does not reach the server', async (t) => {
  const { held, script } = holding('initialize');
  const s = await remoteScene(t, script);
  s.client.send(INITIALIZE, call(1, 'x'));
  await held;
  s.client.stdin.end();
  await turnUntil(s, 5_000, () => s.client.got.length === 2);
  // It has never answered, and somebody may want to know.
  assert.deepEqual(await s.ended, { code: 4 });
  assert.match(await s.client.line('"id":"init"'), /was told to stop/);
  assert.match(await s.client.line('"id":1'), /its input is closed/);
  assert.equal(s.upstream.received.length, 1);
});

test('a server that does not end the session is not waited for without end, less after a second signal', async (t) => {
  for (const [hurried, ms] of [
    [false, 1_000],
    [true, HURRIED_GRACE_MS],
  ] as const) {
    const { held, script } = holding('DELETE');
    const s = await remoteScene(t, script);
    await s.initialize();
    s.client.stdin.end();
    await held;
    if (hurried) s.hurry.abort();
    assert.ok(s.clock.waiting.includes(ms));
    s.clock.turn(ms - 1);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await Promise.race([s.ended, Promise.resolve('not yet')]), 'not yet');
    s.clock.turn(1);
    assert.deepEqual(await s.ended, { code: 0 });
    await assertAlone(s);
  }
});

test('a session is not ended where policy does not allow it', async (t) => {
  const gate = scriptedGate(({ message }) => message.method !== 'transport/delete');
  const s = await remoteScene(t, undefined, { gate });
  await s.initialize();
  s.client.stdin.end();
  await s.ended;
  assert.equal(deletes(s), 0);
});

test('without a word from the client nothing is sent, and the end is a good one', async (t) => {
  const s = await remoteScene(t);
  s.client.stdin.end();
  assert.deepEqual(await s.ended, { code: 0 });
  assert.equal(s.upstream.received.length, 0);
});

test('a server that is gone for a while is reached again when it is back', async (t) => {
  const s = await remoteScene(t, ({ method }, response) => {
    if (method !== 'tools/call') return false;
    response.destroy();
    return true;
  });
  await s.initialize();
  s.client.send(call(1, 'x'));
  assert.match(await s.client.line('"id":1'), /it has closed the connection/);
  s.client.send({ id: 2, method: 'ping' });
  await s.client.line('"id":2');
});

test('a limit out of range is refused before anything is sent', async (t) => {
  const s = await remoteScene(t);
  const wrong = await remoteScene(t, undefined, { limits: { openMax: 0 }, url: s.upstream.url });
  await assert.rejects(wrong.ended, { code: 'config_invalid' });
  assert.equal(s.upstream.received.length, 0);
});
