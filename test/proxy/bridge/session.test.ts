/** Sessions over pipes, as clients of 2025-11-25 and before see them begin and end: one process each. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VerdictError } from '../../../src/errors.ts';
import { answerTo, BOB, bridgeScene, call, FILES, initialize } from '../../support/bridge-scene.ts';

describe('a session', () => {
  test('begins with initialize, in a process of its own, under an id that nobody guesses', async (t) => {
    const { begin, servers } = bridgeScene(t);
    const ids = [await begin(), await begin()];
    assert.equal(servers.length, 2);
    assert.equal(new Set(ids).size, 2);
    // 24 random bytes.
    for (const id of ids) assert.match(id, /^[A-Za-z0-9_-]{32}$/);
  });

  test('ends with DELETE: its process is ended, its requests fail, and nobody finds it any more', async (t) => {
    const { begin, send, ask, servers } = bridgeScene(t);
    const session = await begin();
    const pending = send({ session, body: call(1) });
    await servers[0]?.line('"id":1');
    assert.equal((await ask({ session, method: 'DELETE' })).status, 200);
    assert.deepEqual(await pending, { ok: false, code: 'session_ended', connected: true });
    assert.equal(servers[0]?.stopped, true);
    assert.equal((await ask({ session, body: call(2) })).status, 404);
    assert.equal((await ask({ session, method: 'DELETE' })).status, 404);
  });

  test('is gone when its process is: its requests fail, its stream ends, and a client begins anew', async (t) => {
    const { begin, send, open, ask, servers } = bridgeScene(t);
    const session = await begin();
    const stream = await open({ session });
    const pending = send({ session, body: call(1) });
    await servers[0]?.line('"id":1');
    servers[0]?.exit(3);
    assert.deepEqual(await pending, { ok: false, code: 'child_exit', connected: true });
    stream.resume();
    await new Promise((resolve) => stream.on('end', resolve));
    assert.equal((await ask({ session, body: call(2) })).status, 404);
    assert.notEqual(await begin({ number: 1 }), session);
  });

  test('whose process has gone still brings what that wrote before', async (t) => {
    const { begin, ask, servers } = bridgeScene(t);
    const session = await begin();
    const answer = ask({ session, body: call(1) });
    await servers[0]?.line('"id":1');
    servers[0]?.die(0);
    await new Promise(setImmediate);
    servers[0]?.say(answerTo(1));
    assert.equal((await answer).status, 200);
    servers[0]?.stdout.end();
  });

  test('whose process writes no more, but does not exit, is ended', async (t) => {
    const { begin, servers } = bridgeScene(t);
    await begin();
    servers[0]?.stdout.end();
    await new Promise(setImmediate);
    assert.equal(servers[0]?.stopped, true);
  });

  test('leaves no timer behind when it ends, though its process takes its time', async (t) => {
    const { begin, send, open, ask, servers, clock } = bridgeScene(t);
    const session = await begin();
    if (servers[0] !== undefined) servers[0].obedient = false;
    await open({ session });
    const pending = send({ session, body: call(1) });
    await servers[0]?.line('"id":1');
    await ask({ session, method: 'DELETE' });
    await pending;
    await new Promise(setImmediate);
    assert.equal(clock.waiting.length, 0);
  });

  test('that nobody waits for any more when its turn comes is not begun', async (t) => {
    const { begin, send, servers } = bridgeScene(t, { limits: { childrenMax: 1 } });
    await begin();
    const [server] = servers;
    assert.ok(server !== undefined);
    server.obedient = false;
    const gone = new AbortController();
    const waiting = send({ body: initialize(), identity: BOB, signal: gone.signal });
    assert.equal(server.stopped, true);
    gone.abort('client_closed');
    await waiting;
    server.exit(0);
    await new Promise(setImmediate);
    assert.equal(servers.length, 1);
    await begin({ identity: BOB });
  });

  test('of another caller is not there, and its process sees nothing', async (t) => {
    const { begin, ask, servers } = bridgeScene(t);
    const session = await begin();
    for (const sending of [{ body: call(1) }, { method: 'GET' }, { method: 'DELETE' }] as const) {
      const foreign = await ask({ session, identity: BOB, ...sending });
      const unknown = await ask({ session: 'none', ...sending });
      assert.deepEqual([foreign.status, foreign.body], [404, unknown.body]);
    }
    assert.equal(servers[0]?.got.length, 1);
    assert.equal(servers[0]?.stopped, false);
  });

  test('of a server that is configured otherwise now is not there', async (t) => {
    const { begin, ask } = bridgeScene(t);
    const session = await begin();
    assert.equal((await ask({ session, body: call(1), upstream: { ...FILES } })).status, 404);
  });

  test('ends when its server is not configured any more, and others stay', async (t) => {
    const { bridge, begin, ask, servers } = bridgeScene(t);
    const other = { ...FILES, name: 'other' };
    const session = await begin();
    await begin({ upstream: other });
    bridge.keepOnly(new Set([other]));
    assert.deepEqual(
      servers.map(({ stopped }) => stopped),
      [true, false],
    );
    assert.equal((await ask({ session, body: call(1) })).status, 404);
  });

  test('ends when its server is stopped by hand, and others stay; the next one has another process', async (t) => {
    const { bridge, begin, ask, servers } = bridgeScene(t);
    const session = await begin();
    await begin({ upstream: { ...FILES, name: 'other' } });
    const open = ask({ session, body: call(1) });
    await servers[0]?.line('"id":1');
    bridge.endServers(new Set(['files']));
    await assert.rejects(open, /failed: killed/);
    assert.deepEqual(
      servers.map(({ stopped }) => stopped),
      [true, false],
    );
    assert.equal((await ask({ session, body: call(1) })).status, 404);
    assert.notEqual(await begin(), session);
  });

  test('is needed by everything but initialize', async (t) => {
    const { ask, servers } = bridgeScene(t);
    for (const sending of [
      { body: call(1) },
      { body: { method: 'notifications/initialized' } },
      { body: { id: 1, result: {} } },
      { method: 'GET' },
      { method: 'DELETE' },
    ] as const) {
      assert.equal((await ask(sending)).status, 400);
    }
    assert.equal(servers.length, 0);
  });

  test('begins once: a second initialize within it is refused', async (t) => {
    const { begin, ask, servers } = bridgeScene(t);
    const session = await begin();
    assert.equal((await ask({ session, body: initialize() })).status, 400);
    assert.equal((await ask({ session: 'none', body: initialize() })).status, 404);
    assert.equal(servers[0]?.got.length, 1);
  });

  test('that its server refuses to begin is none: no process stays behind', async (t) => {
    const { ask, server } = bridgeScene(t);
    const answer = ask({ body: initialize() });
    const process = await server(0);
    await process.line('initialize');
    process.say({ id: 0, error: { code: -32_602, message: 'no' } });
    assert.equal((await answer).headers['mcp-session-id'], undefined);
    assert.equal((await server(0)).stopped, true);
  });

  test('whose client goes before it has begun is none: no process stays behind', async (t) => {
    const { send, server } = bridgeScene(t);
    const gone = new AbortController();
    const answer = send({ body: initialize(), signal: gone.signal });
    await (await server(0)).line('initialize');
    gone.abort('client_closed');
    assert.partialDeepStrictEqual(await answer, { ok: false, code: 'ABORT_ERR' });
    assert.equal((await server(0)).stopped, true);
  });

  test('takes any version that it knows in the header or has agreed on, and no other', async (t) => {
    const { begin, ask, servers } = bridgeScene(t);
    const session = await begin({ version: '2027-01-01' });
    const status = async (version: string): Promise<number> => {
      const headers = { 'mcp-protocol-version': version };
      return (await ask({ session, headers, body: { method: 'notifications/initialized' } })).status;
    };
    assert.equal(await status('2025-06-18'), 202);
    assert.equal(await status('2027-01-01'), 202);
    assert.equal(await status('2026-07-28'), 400);
    assert.equal(await status('x'), 400);
    assert.equal(servers[0]?.got.length, 3);
  });

  test('whose server cannot be started fails as one that cannot be reached', async (t) => {
    const { send, failStarts, notes } = bridgeScene(t);
    const cause = Object.assign(new Error('spawn x ENOENT'), { code: 'ENOENT' });
    failStarts(new VerdictError('command_failed', { command: 'x', detail: cause.message }, { cause }));
    assert.deepEqual(await send({ body: initialize() }), { ok: false, code: 'ENOENT', connected: false });
    assert.match(notes.lines.join(), /server files: The command x cannot be started: spawn x ENOENT/);
  });

  test('beyond the share of a caller ends the one of its own that was not used for longest', async (t) => {
    const { begin, ask, servers, send } = bridgeScene(t, { limits: { callerChildrenMax: 2 } });
    const [first, second] = [await begin(), await begin()];
    const pending = send({ session: first, body: call(1) });
    await servers[0]?.line('"id":1');
    await begin();
    assert.deepEqual(
      servers.map(({ stopped }) => stopped),
      [false, true, false],
    );
    assert.equal((await ask({ session: second, body: call(1) })).status, 404);
    servers[0]?.say(answerTo(1));
    assert.ok((await pending).ok);
  });

  test('beyond the share of a caller that uses all of it is refused', async (t) => {
    const { begin, open, send, servers } = bridgeScene(t, { limits: { callerChildrenMax: 1 } });
    await open({ session: await begin() });
    const refused = { ok: false, code: 'callerChildrenMax', connected: false };
    assert.deepEqual(await send({ body: initialize() }), refused);
    assert.equal(servers.length, 1);
    await begin({ identity: BOB });
  });

  test('that nobody uses ends after a while, and one with a stream open stays', async (t) => {
    const { begin, open, ask, clock, servers } = bridgeScene(t, { limits: { childIdleMs: 1000 } });
    const [left, listening, used] = [await begin(), await begin(), await begin()];
    const stream = await open({ session: listening });
    clock.turn(999);
    await ask({ session: used, body: { method: 'notifications/initialized' } });
    clock.turn(1);
    assert.deepEqual(
      servers.map(({ stopped }) => stopped),
      [true, false, false],
    );
    assert.equal((await ask({ session: left, body: call(1) })).status, 404);
    stream.destroy();
    await new Promise((resolve) => stream.on('close', resolve));
    clock.turn(1000);
    assert.deepEqual(
      servers.map(({ stopped }) => stopped),
      [true, true, true],
    );
  });

  test('that a request without an end keeps is given up once its client has gone', async (t) => {
    const { begin, send, clock, servers } = bridgeScene(t, { limits: { childIdleMs: 1000 } });
    const session = await begin();
    const gone = new AbortController();
    const pending = send({ session, body: call(1), signal: gone.signal });
    await servers[0]?.line('"id":1');
    clock.turn(5000);
    assert.equal(servers[0]?.stopped, false);
    gone.abort('client_closed');
    await pending;
    clock.turn(1000);
    assert.equal(servers[0]?.stopped, true);
  });

  test('is refused once the bridge closes, and those that are open end', async (t) => {
    const { bridge, begin, send, servers } = bridgeScene(t);
    const session = await begin();
    const pending = send({ session, body: call(1) });
    await servers[0]?.line('"id":1');
    await bridge.close();
    assert.deepEqual(await pending, { ok: false, code: 'shutdown', connected: true });
    assert.deepEqual(await send({ body: initialize() }), { ok: false, code: 'shutdown', connected: false });
  });
});
