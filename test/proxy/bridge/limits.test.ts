/** Limits of the bridge that are set otherwise hold in it. Those of processes, streams and lines stand with what they bound. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BRIDGE_LIMITS } from '../../../src/proxy/bridge/limits.ts';
import {
  answerTo,
  bridgeScene,
  call,
  idIn,
  lineAt,
  lineOf,
  modern,
  reader,
} from '../../support/bridge-scene.ts';

/** At a limit of time, something happens, and not before. */
describe('as long as the limit says, and no longer,', () => {
  for (const limits of [{}, { cancelGraceMs: 20 }]) {
    const { cancelGraceMs = BRIDGE_LIMITS.cancelGraceMs.default } = limits as { cancelGraceMs?: number };
    test(`${cancelGraceMs} ms, a request that was taken back waits for its server`, async (t) => {
      const { begin, ask, servers, clock } = bridgeScene(t, { limits });
      const session = await begin();
      let answered = false;
      const answer = ask({ session, body: call(1) }).then((whole) => ((answered = true), whole));
      await servers[0]?.line('"id":1');
      await ask({ session, body: { method: 'notifications/cancelled', params: { requestId: 1 } } });
      await servers[0]?.line('cancelled');
      clock.turn(cancelGraceMs - 1);
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(answered, false);
      clock.turn(1);
      assert.match((await answer).body, /"code":-31499/);
    });
  }

  for (const limits of [{}, { keepAliveMs: 20 }]) {
    const { keepAliveMs = BRIDGE_LIMITS.keepAliveMs.default } = limits as { keepAliveMs?: number };
    test(`${keepAliveMs} ms, a client hears nothing`, async (t) => {
      const { begin, open, servers, clock } = bridgeScene(t, { limits });
      const session = await begin();
      let opened = false;
      const opening = open({ session, body: call(1) }).then((answer) => ((opened = true), answer));
      await servers[0]?.line('"id":1');
      clock.turn(keepAliveMs - 1);
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(opened, false);
      clock.turn(1);
      await reader(await opening)(': keep-alive\n\n');
    });
  }
});

test('a process is given the times that it has to end, as they are set', async (t) => {
  for (const limits of [{}, { exitGraceMs: 7, termGraceMs: 9 }]) {
    const times: unknown[] = [];
    const scene = bridgeScene(t, {
      limits,
      start: (_, { exitGraceMs, termGraceMs }) => {
        times.push([exitGraceMs, termGraceMs]);
        return Promise.reject(new Error('not now'));
      },
    });
    assert.equal((await scene.send({ body: modern(1) })).ok, false);
    const { exitGraceMs = 2_000, termGraceMs = 2_000 } = limits as {
      exitGraceMs?: number;
      termGraceMs?: number;
    };
    assert.deepEqual(times, [[exitGraceMs, termGraceMs]]);
  }
});

describe('of the tools that a server lists, as much as the limit says is remembered', () => {
  const region = { type: 'string', 'x-mcp-header': 'Region' };
  const read = { name: 'read', inputSchema: { type: 'object', properties: { region } } };
  // As it is counted: the name, and what is to be repeated.
  const bytes =
    'read'.length + JSON.stringify({ ok: true, parameters: [{ name: 'Region', path: ['region'] }] }).length;
  for (const [limits, checked] of [
    [{ toolHeaderBytesMax: bytes }, true],
    [{ toolHeaderBytesMax: bytes - 1 }, false],
    [{}, true],
  ] as const) {
    test(`${JSON.stringify(limits)}: a call is ${checked ? '' : 'not '}checked by what its tool wants`, async (t) => {
      const scene = bridgeScene(t, { limits });
      const list = scene.ask({ body: modern(1, 'tools/list') });
      const server = await scene.server(0);
      const id = idIn(await lineAt(server, 0));
      server.say({ id, result: { tools: [read] } });
      await list;
      const body = modern(2, 'tools/call', {}, { arguments: { region: 'us' } });
      const answer = scene.ask({ body, headers: { 'mcp-param-region': 'eu' } });
      if (!checked) server.say(answerTo(idIn(await lineOf(scene, 0))));
      assert.equal((await answer).status, checked ? 400 : 200);
    });
  }
});
