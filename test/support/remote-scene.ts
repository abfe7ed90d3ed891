/** The stdio door before a server that is reached over HTTP: the one scripted, the other all real. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import type { TestContext } from 'node:test';
import { openRemotePeer } from '../../src/proxy/bridge/remote/peer.ts';
import type { RemoteLimits } from '../../src/proxy/bridge/remote/limits.ts';
import { runStdioDoor, type StdioDoorOptions } from '../../src/proxy/stdio/door.ts';
import type { PeerEnd } from '../../src/proxy/stdio/peer.ts';
import { type Handler, type Received, type ScriptedUpstream, startUpstream } from './scripted-upstream.ts';
import {
  Client,
  manualClock,
  type ManualClock,
  type Notes,
  notes,
  ORIGIN,
  type ScriptedGate,
  scriptedGate,
} from './stdio-fixtures.ts';

export interface RemoteScene {
  readonly client: Client;
  readonly gate: ScriptedGate;
  readonly upstream: ScriptedUpstream;
  readonly diagnostics: Notes;
  /** Of the way to the server; that of the door stands still. */
  readonly clock: ManualClock;
  readonly abort: AbortController;
  readonly hurry: AbortController;
  readonly ended: Promise<PeerEnd>;
  /** The first request with that JSON-RPC method; waits for it. */
  posted(method: string): Promise<Received>;
  /** The first request with that HTTP verb; waits for it. */
  asked(verb: string): Promise<Received>;
  /** `initialize` and its answer, and the notification after it. */
  initialize(): Promise<void>;
}

export interface RemoteSceneOptions extends Partial<Pick<StdioDoorOptions, 'stdin' | 'stdout'>> {
  readonly gate?: ScriptedGate;
  readonly limits?: Partial<RemoteLimits>;
  /** Of the door. */
  readonly doorLimits?: StdioDoorOptions['limits'];
  readonly headers?: Readonly<Record<string, string>>;
  /** Instead of the server: where the URL points. */
  readonly url?: URL;
}

/** What a script answers; undefined: see `answerPlainly`. */
export type Script = (
  message: Message,
  response: ServerResponse,
  received: Received,
) => boolean | void | Promise<boolean | void>;

export interface Message {
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: unknown;
}

export async function remoteScene(
  t: TestContext,
  script: Script = () => false,
  options: RemoteSceneOptions = {},
): Promise<RemoteScene> {
  const handler: Handler = async (_, response, received) => {
    const message = messageOf(received);
    if ((await script(message, response, received)) !== false) return;
    answerPlainly(message, response, received);
  };
  const upstream = await startUpstream(handler);
  const client = new Client();
  const gate = options.gate ?? scriptedGate();
  const diagnostics = notes();
  const clock = manualClock();
  const abort = new AbortController();
  const hurry = new AbortController();
  const { schedule } = clock;
  const { limits, headers = {}, url = upstream.url } = options;
  const server = { kind: 'http', name: 'files', url, headers } as const;
  const ended = runStdioDoor({
    stdin: client.stdin,
    stdout: client.stdout,
    ...options,
    gate,
    open: () => openRemotePeer({ upstream: server, gate, origin: ORIGIN, limits, schedule, diagnostics }),
    origin: (claimed) => ({ ...ORIGIN, claimed }),
    limits: { lineBytesMax: limits?.lineBytesMax, ...options.doorLimits },
    diagnostics,
    signal: abort.signal,
    hurry: hurry.signal,
    schedule: manualClock().schedule,
    parentPid: () => 1,
  });
  t.after(async () => {
    // The first to end it in good order, the next for what a failed test has left open.
    abort.abort();
    hurry.abort();
    client.stdin.end();
    upstream.close();
    await ended.catch(() => undefined);
  });
  const posted = (method: string): Promise<Received> =>
    upstream.arrived(`a POST of ${method}`, (received) => messageOf(received).method === method);
  return {
    client,
    gate,
    upstream,
    diagnostics,
    clock,
    abort,
    hurry,
    ended,
    posted,
    asked: (verb) => upstream.arrived(`a ${verb}`, ({ method }) => method === verb),
    async initialize() {
      client.send(INITIALIZE);
      await client.line('"id":"init"');
      client.send({ method: 'notifications/initialized' });
      await posted('notifications/initialized');
    },
  };
}

export const VERSION = '2025-11-25';
export const INITIALIZE = {
  id: 'init',
  method: 'initialize',
  params: { protocolVersion: VERSION, capabilities: {}, clientInfo: { name: 'c', version: '1' } },
};

export const MODERN = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'c', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

export function messageOf({ body }: Received): Message {
  return body.length === 0 ? {} : (JSON.parse(body.toString()) as Message);
}

/** As a server without much to say: a session, no stream of its own, an empty result for each request. */
function answerPlainly({ id, method }: Message, response: ServerResponse, received: Received): void {
  if (received.method === 'GET') response.writeHead(405).end();
  else if (received.method === 'DELETE') response.writeHead(200).end();
  else if (id === undefined || method === undefined) response.writeHead(202).end();
  else if (method === 'initialize') {
    if (!response.hasHeader('mcp-session-id')) response.setHeader('mcp-session-id', 'session-1');
    answer(response, id, {
      protocolVersion: VERSION,
      capabilities: {},
      serverInfo: { name: 's', version: '1' },
    });
  } else answer(response, id, {});
}

export function answer(response: ServerResponse, id: unknown, result: unknown): void {
  const body = JSON.stringify({ jsonrpc: '2.0', id, result });
  response.writeHead(200, { 'content-type': 'application/json' }).end(body);
}

/** Starts an event stream whose head is sent at once. @returns writes an event to it */
export function stream(response: ServerResponse): (message: object | undefined, fields?: string) => void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
  return (message, fields = '') => {
    const data = message === undefined ? '' : `data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`;
    response.write(`${fields}${data}\n`);
  };
}

/** Far beyond what anything here takes. */
const DEADLINE_MS = 10_000;

/** Turns the clock until something holds: what waits for the time may not wait for it yet. */
export async function turnUntil({ clock }: RemoteScene, ms: number, holds: () => boolean): Promise<void> {
  const endMs = performance.now() + DEADLINE_MS;
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`not within ${DEADLINE_MS} ms`);
    await new Promise((resolve) => setImmediate(resolve));
    clock.turn(ms);
  }
}

/** Turns of the loop, which is this test's and the server's too: what one side has done, the other hears well before. */
const TURNS = 2_000;

/** Fails unless the server has no connection any more, or has none in a moment. */
export async function assertAlone({ upstream }: RemoteScene): Promise<void> {
  let standing = 1;
  for (let turn = 0; turn < TURNS && standing > 0; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    standing = await upstream.connections();
  }
  assert.equal(standing, 0, 'connections stand');
}
