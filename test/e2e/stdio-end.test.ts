/** How a stdio connection ends: no process is left behind, whoever goes first. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  CHILD_EXIT_GRACE_MS,
  CHILD_TERM_GRACE_MS,
  type Schedule,
  schedule,
} from '../../src/proxy/stdio/child.ts';
import { HURRIED_GRACE_MS } from '../../src/proxy/stdio/door.ts';
import type { PeerEnd } from '../../src/proxy/stdio/peer.ts';
import { type ChildDoorOptions, runChildDoor } from '../support/child-door.ts';
import {
  Client,
  ORIGIN,
  SCRIPTED_SERVER,
  type ScriptedGate,
  call,
  manualClock,
  notes,
  scriptedGate,
  watchPresence,
} from '../support/stdio-fixtures.ts';

const WRAPPER = fileURLToPath(new URL('../support/stdio-wrapper.ts', import.meta.url));

/** Real timers, a hundred times as fast. */
const hasty: Schedule = (delayMs, run) => schedule(delayMs / 100, run);

function open(
  client: Client,
  options: Partial<ChildDoorOptions> = {},
  gate: ScriptedGate = scriptedGate(),
): Promise<PeerEnd> {
  return runChildDoor({
    gate,
    command: process.execPath,
    args: [SCRIPTED_SERVER],
    env: process.env,
    stdin: client.stdin,
    stdout: client.stdout,
    stderr: client.stderr,
    origin: () => ORIGIN,
    diagnostics: notes(),
    ...options,
  });
}

const stubborn = { ...process.env, SCRIPT_STUBBORN: '1' };

/** Ways in which a connection is asked to end; each gets a door that runs and asks it. */
const ENDINGS: Readonly<
  Record<string, (door: { client: Client; abort: AbortController; orphan: () => void }) => void>
> = {
  'the end of our stdin': ({ client }) => client.stdin.end(),
  'an error of our stdin': ({ client }) => client.stdin.destroy(new Error('EIO')),
  'a signal to us': ({ abort }) => abort.abort(),
  'the death of our parent': ({ orphan }) => orphan(),
  'a client that reads no more': ({ client }) => client.stdout.destroy(new Error('EPIPE')),
};
for (const [title, ask] of Object.entries(ENDINGS)) {
  test(`after ${title} the child’s stdin ends, and a child that obeys exits with its own code`, async () => {
    const client = new Client();
    const clock = manualClock();
    const abort = new AbortController();
    let parent = 100;
    const given = { schedule: clock.schedule, signal: abort.signal, parentPid: () => parent };
    const ended = open(client, { ...given, command: 'cat', args: [] });
    client.send(call(1, 'echo', { text: 'ready' }));
    await client.line('ready');
    const orphan = (): void => {
      parent = 1;
      clock.turn(1000);
    };
    ask({ client, abort, orphan });
    assert.deepEqual(await ended, { code: 0 });
  });
}

test('a signal that came before the start ends the connection too', async () => {
  assert.deepEqual(await open(new Client(), { signal: AbortSignal.abort(), command: 'cat', args: [] }), {
    code: 0,
  });
});

test('a child that does not obey gets SIGTERM after its grace, and SIGKILL after another', async () => {
  const client = new Client();
  const clock = manualClock();
  const ended = open(client, { env: stubborn, schedule: clock.schedule });
  client.send(call(1, 'echo', { text: 'ready' }));
  await client.line('ready');
  client.stdin.end();
  // The end of stdin has been taken in when a further turn of the event loop has passed.
  await new Promise((resolve) => setImmediate(resolve));
  clock.turn(CHILD_EXIT_GRACE_MS.default - 1);
  await new Promise((resolve) => setImmediate(resolve));
  assert.doesNotMatch(client.got.join(), /SIGTERM/);
  clock.turn(1);
  await client.line('got SIGTERM');
  clock.turn(CHILD_TERM_GRACE_MS.default);
  assert.deepEqual(await ended, { code: null, signal: 'SIGKILL' });
});

test('a signal after the end of stdin is passed on at once: the client has lost its patience, and kills next', async () => {
  const client = new Client();
  const clock = manualClock();
  const abort = new AbortController();
  const ended = open(client, { env: stubborn, schedule: clock.schedule, signal: abort.signal });
  client.send(call(1, 'echo', { text: 'ready' }));
  await client.line('ready');
  client.stdin.end();
  await new Promise((resolve) => setImmediate(resolve));
  abort.abort();
  await client.line('got SIGTERM');
  // Two seconds later the clients of the official SDKs kill us, and nobody is left to end the child.
  clock.turn(CHILD_TERM_GRACE_MS.default);
  assert.ok(CHILD_TERM_GRACE_MS.default < 2000);
  assert.deepEqual(await ended, { code: null, signal: 'SIGKILL' });
});

test('a second signal leaves a child that does not obey a quarter of a second', async () => {
  const client = new Client();
  const clock = manualClock();
  const [signal, hurry] = [new AbortController(), new AbortController()];
  const signals = { signal: signal.signal, hurry: hurry.signal };
  const ended = open(client, { env: stubborn, schedule: clock.schedule, ...signals });
  client.send(call(1, 'echo', { text: 'ready' }));
  await client.line('ready');
  signal.abort();
  hurry.abort();
  await client.line('got SIGTERM');
  clock.turn(HURRIED_GRACE_MS);
  assert.deepEqual(await ended, { code: null, signal: 'SIGKILL' });
});

test('the graces can be set', async () => {
  const client = new Client();
  const clock = manualClock();
  const limits = { exitGraceMs: 10, termGraceMs: 20 };
  const ended = open(client, { env: stubborn, schedule: clock.schedule, limits });
  client.send(call(1, 'echo', { text: 'ready' }));
  await client.line('ready');
  client.stdin.end();
  await new Promise((resolve) => setImmediate(resolve));
  clock.turn(10);
  await client.line('got SIGTERM');
  clock.turn(20);
  assert.deepEqual(await ended, { code: null, signal: 'SIGKILL' });
});

test('calls in flight at the end of stdin are still answered within the grace', async () => {
  const client = new Client();
  const gate = scriptedGate();
  const ended = open(client, {}, gate);
  client.send(call(1, 'echo', { text: 'last words' }));
  client.stdin.end();
  await ended;
  assert.match(client.got.join(), /last words/);
  assert.deepEqual(gate.settled, ['1 ok']);
});

test('a grandchild is ended with the child, however stubborn', async (t) => {
  for (const last of ['exit', 'end'] as const) {
    const presence = await watchPresence();
    t.after(() => presence.close());
    const client = new Client();
    const ended = open(client, { env: { ...process.env, SCRIPT_PRESENCE: presence.port }, schedule: hasty });
    client.send(call(1, 'breed'));
    await client.line('bred');
    await presence.arrived('grandchild');
    if (last === 'exit') client.send(call(2, 'exit', { code: '0' }));
    else client.stdin.end();
    assert.deepEqual(await ended, { code: 0 });
    await presence.gone('grandchild');
  }
});

test('kill -9 of the wrapper leaves no child behind', async (t) => {
  const presence = await watchPresence();
  t.after(() => presence.close());
  const wrapper = spawn(process.execPath, [WRAPPER, process.execPath, SCRIPTED_SERVER], {
    env: { ...process.env, SCRIPT_PRESENCE: presence.port },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  await presence.arrived('child');
  wrapper.kill('SIGKILL');
  await presence.gone('child');
});

test('a wrapper whose client dies ends its child and itself', async (t) => {
  const presence = await watchPresence();
  t.after(() => presence.close());
  const wrapper = spawn(process.execPath, [WRAPPER, process.execPath, SCRIPTED_SERVER], {
    env: { ...process.env, SCRIPT_PRESENCE: presence.port },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  await presence.arrived('child');
  const exited = new Promise<number | null>((resolve) => wrapper.once('exit', (code) => resolve(code)));
  for (const pipe of [wrapper.stdin, wrapper.stdout, wrapper.stderr]) pipe.destroy();
  assert.equal(await exited, 0);
  await presence.gone('child');
});
