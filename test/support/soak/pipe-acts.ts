/** What clients of the soak do before a stdio server: over HTTP, which gives each session a process, and through `wrap`. */
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { startCli, type Running } from '../cli.ts';
import { within } from '../within.ts';
import type { Act } from './acts.ts';
import type { Entry, Fate } from './ledger.ts';
import { callEcho, openSession, postModern, withAgent } from './sessions.ts';
import { callTool, expect, oneOf, read, newTrace, textOf, type Message, type Wire } from './wire.ts';

async function session(wire: Wire): Promise<void> {
  const key = wire.keys.all;
  await withAgent(async (agent) => {
    const session = await openSession(wire, key, agent);
    for (let calls = wire.random(3) + 1; calls > 0; calls -= 1) await callEcho(wire, session, key);
    expect('a denied call', await read(session.post(callTool('delete_all'), 'deny')), 200, /"isError":true/);
    // The others are left to the time after which processes that nobody uses are ended.
    if (wire.random(3) === 0) expect('delete', await read(session.end()), 200);
  });
}

/** All share one process. */
async function modernCalls(wire: Wire): Promise<void> {
  await callEcho(wire, undefined, wire.keys.all);
  await callEcho(wire, undefined, wire.keys.few);
  const vanishing = postModern(wire, callTool('slow', { ms: 2000 }), 'allow', wire.keys.all);
  await wait(wire.random(400));
  vanishing.request.destroy();
}

async function vanisher(wire: Wire): Promise<void> {
  await withAgent(async (agent) => {
    const session = await openSession(wire, wire.keys.all, agent);
    const stream = session.stream();
    const sent = session.post(callTool('slow', { ms: 2000 }), 'allow');
    await wait(wire.random(400));
    sent.request.destroy();
    stream.request.destroy();
  });
}

/** Its server dies on it. */
async function bereaved(wire: Wire): Promise<void> {
  await withAgent(async (agent) => {
    const session = await openSession(wire, wire.keys.all, agent);
    const { text } = await read(session.post(callTool('die'), 'allow'));
    if (!text.includes('"error"')) throw new Error(`a server that died said ${text}`);
    await read(session.post(callTool('echo'), 'allow'));
  });
}

export const PIPE_ACTS: readonly Act[] = [
  { name: 'a session before a process', weight: 4, run: session },
  { name: 'calls before a shared process', weight: 4, run: modernCalls },
  { name: 'one that vanishes before a process', weight: 2, run: vanisher },
  { name: 'one whose process dies', weight: 1, run: bereaved },
];

export interface WrapPlace {
  readonly directory: string;
  readonly env: Readonly<Record<string, string>>;
  /** Of the server. */
  readonly command: readonly string[];
}

/** How the life of `wrap` can end: its client goes, or it is told to go, or it is killed. */
export type WrapEnd = 'stdin' | 'SIGTERM' | 'SIGKILL';

/** `wrap` from its start to one of these ends. */
export function wrapAct({ directory, env, command }: WrapPlace, ends: readonly WrapEnd[]): Act {
  const options = [
    '--policy',
    'policy.yaml',
    '--server',
    'up',
    '--spool',
    'spool',
    '--keys-directory',
    'keys',
  ];
  const run = async (wire: Wire): Promise<void> => {
    const running = startCli(['wrap', ...options, '--', ...command], {
      cwd: directory,
      env: { ...env, NODE_COMPILE_CACHE: `${directory}/compiled` },
    });
    const client = openLines(wire, running);
    const params = {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'soak', version: '1' },
    };
    await client.ask({ method: 'initialize', params }, 'allow');
    client.say({ method: 'notifications/initialized', notification: true }, 'allow');
    for (let calls = wire.random(8) + 1; calls > 0; calls -= 1) {
      await client.ask(callTool('echo', { text: 'wrapped' }), 'allow');
    }
    await client.ask(callTool('delete_all'), 'deny');
    client.say(callTool('slow', { ms: 2000 }), 'allow');
    await wait(wire.random(300));
    await end(running, oneOf(wire.random, ends));
  };
  return { name: 'a wrapped server', weight: 1, run };
}

async function end(running: Running, way: WrapEnd): Promise<void> {
  if (way === 'stdin') running.child.stdin.end();
  else running.child.kill(way);
  await within(`the end of wrap by ${way}`, running.ended, 60_000);
}

/** A client's end of the pipes. */
function openLines(wire: Wire, { child, ended, stderr }: Running) {
  const waiting = new Map<string, { readonly entry: Entry; readonly heard: () => void }>();
  child.stdin.on('error', () => {});
  const gone = ended.then(() => {
    throw new Error(`wrap ended before its answer: ${stderr()}`);
  });
  gone.catch(() => {});
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { id } = JSON.parse(line) as { id?: string };
    const found = waiting.get(id ?? '');
    if (found === undefined) return;
    found.entry.answered = true;
    found.heard();
  });
  const write = (message: Message, fate: Fate): Entry => {
    const { traceId, header } = newTrace();
    const entry = wire.ledger.send(traceId, message.method, fate);
    child.stdin.write(`${textOf(message, { traceparent: header })}\n`);
    return entry;
  };
  return {
    say: (message: Message, fate: Fate) => void write(message, fate),
    async ask(message: Message, fate: Fate): Promise<void> {
      const id = crypto.randomUUID();
      const heard = new Promise<void>((resolve) => {
        const entry = write({ ...message, id }, fate);
        waiting.set(id, { entry, heard: resolve });
      });
      await within(`an answer to ${message.method}`, Promise.race([heard, gone]), 60_000);
      waiting.delete(id);
    },
  };
}
