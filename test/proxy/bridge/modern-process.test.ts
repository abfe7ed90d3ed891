/** The process that requests of 2026-07-28 share: what it may not do, and how it ends and begins. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VerdictError } from '../../../src/errors.ts';
import {
  answerTo,
  BOB,
  bridgeScene,
  CHANGED,
  FILES,
  sampling,
  lineOf,
  idIn,
  modern,
} from '../../support/bridge-scene.ts';

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';
const changedFor = (subscription: unknown) => ({
  ...CHANGED,
  params: { _meta: { [SUBSCRIPTION]: subscription } },
});

describe('a process of the modern era', () => {
  test('may ask nothing of a client: it is refused, and nobody hears of it', async (t) => {
    const scene = bridgeScene(t);
    const answer = scene.ask({ body: modern(1) });
    const id = idIn(await lineOf(scene, 0));
    const server = await scene.server(0);
    server.say(sampling('q'));
    const refusal = JSON.parse(await server.line('"q"'));
    assert.equal(refusal.error.code, -32_601);
    server.say(answerTo(id));
    assert.doesNotMatch((await answer).body, /sampling/);
    assert.match(scene.notes.lines.join(), /a request of its own \(sampling\/createMessage\) was refused/);
  });

  test('that says what names no request says it to nobody', async (t) => {
    const scene = bridgeScene(t);
    const answer = scene.ask({ body: modern(1), headers: { accept: 'text/event-stream' } });
    const id = idIn(await lineOf(scene, 0));
    const server = await scene.server(0);
    server.say(
      CHANGED,
      changedFor(id),
      changedFor(99),
      { method: 'notifications/cancelled', params: { requestId: id } },
      { id: null, error: { code: -32_700, message: 'what?' } },
      { id: 99, result: {} },
      '{"jsonrpc":"2.0","method":"x","Method":"y"}',
      answerTo(id),
    );
    assert.match((await answer).body, /^data: [^\n]*"result"[^\n]*\n\n$/);
  });

  test('has one revision: a request of another one gets a process that has not seen any yet', async (t) => {
    const scene = bridgeScene(t);
    void scene.send({ body: modern(1) });
    await lineOf(scene, 0, 0);
    const later = scene.ask({
      body: modern(2, 'tools/call', { 'io.modelcontextprotocol/protocolVersion': '2027-01-01' }),
    });
    const id = idIn(await lineOf(scene, 0, 1));
    (await scene.server(1)).say({ id, error: { code: -32_022, message: 'unsupported' } });
    assert.equal((await later).status, 400);
    void scene.send({ body: modern(3) });
    await lineOf(scene, 1, 0);
    assert.equal(scene.servers.length, 2);
  });

  test('that exits fails its requests, and the next one starts another', async (t) => {
    const scene = bridgeScene(t);
    const first = scene.ask({ body: modern(1) });
    (await scene.server(0)).say(answerTo(idIn(await lineOf(scene, 0))));
    await first;
    const lost = scene.send({ body: modern(2) });
    await lineOf(scene, 1);
    (await scene.server(0)).exit(3);
    assert.deepEqual(await lost, { ok: false, code: 'child_exit', connected: true });
    void scene.send({ body: modern(3) });
    await lineOf(scene, 0, 1);
    assert.match(scene.notes.lines.join(), /server files: its process exited with code 3/);
  });

  test('that ends before it has said anything is left alone for a while, and for longer each time', async (t) => {
    const scene = bridgeScene(t);
    const attempt = async (number: number): Promise<void> => {
      const lost = scene.send({ body: modern(1) });
      await lineOf(scene, 0, number);
      (await scene.server(number)).exit(1);
      assert.partialDeepStrictEqual(await lost, { ok: false, code: 'child_exit' });
    };
    await attempt(0);
    const early = { ok: false, code: 'start_backoff', connected: false };
    assert.deepEqual(await scene.send({ body: modern(1) }), early);
    scene.clock.turn(250);
    await attempt(1);
    scene.clock.turn(250);
    assert.deepEqual(await scene.send({ body: modern(1) }), early);
    scene.clock.turn(250);
    const good = scene.ask({ body: modern(1) });
    (await scene.server(2)).say(answerTo(idIn(await lineOf(scene, 0, 2))));
    assert.equal((await good).status, 200);
    (await scene.server(2)).exit(1);
    await new Promise(setImmediate);
    void scene.send({ body: modern(1) });
    await scene.server(3);
  });

  test('that cannot be started is left alone too, for one caller and not for others', async (t) => {
    const scene = bridgeScene(t);
    const cause = Object.assign(new Error('spawn x EACCES'), { code: 'EACCES' });
    scene.failStarts(new VerdictError('command_failed', { command: 'x', detail: cause.message }, { cause }));
    const failed = await scene.send({ body: modern(1) });
    assert.deepEqual(failed, { ok: false, code: 'EACCES', connected: false });
    assert.partialDeepStrictEqual(await scene.send({ body: modern(1) }), { code: 'start_backoff' });
    scene.failStarts(undefined);
    void scene.send({ body: modern(1), identity: BOB });
    await scene.server(0);
  });

  test('that nobody uses ends after a while, and the next request starts another', async (t) => {
    const scene = bridgeScene(t, { limits: { childIdleMs: 1000 } });
    const first = scene.ask({ body: modern(1) });
    (await scene.server(0)).say(answerTo(idIn(await lineOf(scene, 0))));
    await first;
    scene.clock.turn(999);
    assert.equal(scene.servers[0]?.stopped, false);
    scene.clock.turn(1);
    assert.equal(scene.servers[0]?.stopped, true);
    void scene.send({ body: modern(2) });
    await lineOf(scene, 0, 1);
  });

  test('that somebody uses does not end, however long the request takes', async (t) => {
    const scene = bridgeScene(t, { limits: { childIdleMs: 1000 } });
    const first = scene.ask({ body: modern(1) });
    const server = await scene.server(0);
    server.say(answerTo(idIn(await lineOf(scene, 0))));
    await first;
    const second = scene.ask({ body: modern(2) });
    const id = idIn(await lineOf(scene, 1));
    scene.clock.turn(5000);
    server.say(answerTo(id));
    assert.equal((await second).status, 200);
  });

  test('that nobody uses makes room for that of another caller, when it has ended', async (t) => {
    const scene = bridgeScene(t, { limits: { childrenMax: 1 } });
    const first = scene.ask({ body: modern(1) });
    const server = await scene.server(0);
    server.obedient = false;
    server.say(answerTo(idIn(await lineOf(scene, 0))));
    await first;
    void scene.send({ body: modern(1), identity: BOB });
    await new Promise(setImmediate);
    assert.deepEqual([server.stopped, scene.servers.length], [true, 1]);
    server.exit(0);
    await lineOf(scene, 0, 1);
  });

  test('of a server that is configured otherwise now finishes what it has begun, and gets no more', async (t) => {
    const scene = bridgeScene(t);
    const former = scene.ask({ body: modern(1) });
    const id = idIn(await lineOf(scene, 0));
    const changed = { ...FILES };
    void scene.send({ body: modern(2), upstream: changed });
    await lineOf(scene, 0, 1);
    (await scene.server(0)).say(answerTo(id));
    assert.equal((await former).status, 200);
    scene.bridge.keepOnly(new Set([changed]));
    assert.deepEqual(
      scene.servers.map(({ stopped }) => stopped),
      [true, false],
    );
  });

  test('ends when its server is stopped by hand, however it is configured, and others stay', async (t) => {
    const scene = bridgeScene(t);
    const former = scene.ask({ body: modern(1) });
    await lineOf(scene, 0, 0);
    void scene.send({ body: modern(1), upstream: { ...FILES, share: 'all' } });
    await lineOf(scene, 0, 1);
    void scene.send({ body: modern(1), upstream: { ...FILES, name: 'other' } });
    await lineOf(scene, 0, 2);
    scene.bridge.endServers(new Set(['files']));
    await assert.rejects(former, /failed: killed/);
    assert.deepEqual(
      scene.servers.map(({ stopped }) => stopped),
      [true, true, false],
    );
    void scene.send({ body: modern(2) });
    await lineOf(scene, 0, 3);
  });

  test('that begins to read late gets what is still wanted, and hears of what is not', async (t) => {
    const scene = bridgeScene(t);
    void scene.send({ body: modern(0) });
    await lineOf(scene, 0);
    const server = await scene.server(0);
    server.stdin.pause();
    const gone = new AbortController();
    const big = (id: string) => modern(id, 'tools/call', {}, { arguments: { x: 'x'.repeat(100_000) } });
    const beingWritten = scene.send({ body: big('a'), signal: gone.signal });
    const waiting = scene.send({ body: big('b'), signal: gone.signal });
    void scene.send({ body: big('c') });
    await new Promise(setImmediate);
    server.say(sampling('unheard'));
    await new Promise(setImmediate);
    gone.abort('client_closed');
    await Promise.all([beingWritten, waiting]);
    server.stdin.resume();
    await server.line('"requestId":2');
    const ids = server.got.filter((line) => line.includes('tools/call')).map((line) => idIn(line));
    assert.deepEqual(ids, [1, 2, 4]);
    assert.ok(!server.got.some((line) => /"requestId":3|unheard/.test(line)));
    assert.match(scene.notes.lines.join(), /it does not read the answers to its requests/);
  });

  test('that does not read makes us hold no more than what is open', async (t) => {
    const scene = bridgeScene(t);
    void scene.send({ body: modern(0) });
    await lineOf(scene, 0);
    const server = await scene.server(0);
    server.stdin.pause();
    server.stdin.removeAllListeners('data');
    const gone = new AbortController();
    const big = modern(1, 'tools/call', {}, { arguments: { x: 'x'.repeat(100_000) } });
    const lost = Array.from({ length: 20 }, () => scene.send({ body: big, signal: gone.signal }));
    await new Promise(setImmediate);
    gone.abort('client_closed');
    await Promise.all(lost);
    assert.ok(server.stdin.readableLength + server.stdin.writableLength < 300_000);
  });
});
