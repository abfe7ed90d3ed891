/** A door on loopback with a scripted gate before it and a scripted upstream behind it. */
import { once } from 'node:events';
import * as http from 'node:http';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { errorRow } from '../../src/errors.ts';
import { ANONYMOUS } from '../../src/identity/identity.ts';
import { errorAnswer, toolDenial } from '../../src/proxy/message/answer.ts';
import type { Direction, Gate, Governable, Origin } from '../../src/proxy/gate.ts';
import type { Outcome, Rejection, Ruling } from '../../src/proxy/gate.ts';
import {
  createHttpDoor,
  type DoorSettings,
  type HttpDoor,
  type HttpDoorOptions,
} from '../../src/proxy/http/door.ts';
import type { UpstreamTokens } from '../../src/proxy/http/upstream-token.ts';
import { type Handler, type Received, startUpstream } from './scripted-upstream.ts';
import { within } from './within.ts';

export type { Received } from './scripted-upstream.ts';

export interface Settled extends Outcome {
  readonly method: string;
}

export interface ScriptedGate extends Gate {
  readonly decided: { message: Governable; origin: Origin; direction: Direction }[];
  readonly rejected: Rejection[];
  /** First settlements only, as the contract says. */
  readonly settled: Settled[];
  /** Resolves with the outcome of the first message of that method. */
  outcomeOf(method: string): Promise<Settled>;
}

export const TRACEPARENT = '00-11111111111111111111111111111111-2222222222222222-01';

type Rule = (message: Governable, direction: Direction) => boolean | Promise<boolean>;

export function scriptedGate(
  allows: Rule = () => true,
  lists: Partial<Pick<Gate, 'show' | 'listChanges' | 'killSwitch'>> = {},
): ScriptedGate {
  const decided: ScriptedGate['decided'] = [];
  const rejected: Rejection[] = [];
  const settled: Settled[] = [];
  const waiting: (() => void)[] = [];
  const settleFor = (method: string) => {
    let done = false;
    return (outcome: Outcome): void => {
      if (done) return;
      done = true;
      settled.push({ method, ...outcome });
      for (const wake of waiting.splice(0)) wake();
    };
  };
  return {
    show: (bytes) => ({ ok: true, bytes }),
    ...lists,
    decided,
    rejected,
    settled,
    async outcomeOf(method) {
      for (;;) {
        const found = settled.find((outcome) => outcome.method === method);
        if (found !== undefined) return found;
        await within(`an outcome of ${method}`, new Promise<void>((resolve) => waiting.push(resolve)));
      }
    },
    async decide(message, origin, direction): Promise<Ruling> {
      decided.push({ message, origin, direction });
      if (await allows(message, direction)) {
        const settle = message.kind === 'request' ? settleFor(message.method) : () => {};
        const asked =
          message.kind === 'request'
            ? { method: message.method, modern: false, protocolVersion: undefined }
            : undefined;
        return { forward: true, asked, trace: { traceparent: TRACEPARENT, tracestate: 'v=1' }, settle };
      }
      if (message.kind === 'notification') {
        return { forward: false, answer: { httpStatus: 202, body: undefined } };
      }
      if (message.kind === 'transport') {
        const body = errorAnswer(null, 'denied', { detail: 'Denied.' });
        return { forward: false, answer: { httpStatus: 405, body } };
      }
      const id = message.kind === 'input' ? message.within?.id : message.id;
      if (id === undefined || id === null) throw new Error('there is nobody to tell');
      const note = { uid: 'u', effect: 'deny', reason: 'rule' } as const;
      const body =
        message.method === 'tools/call'
          ? toolDenial(id, 'Denied.', note, false)
          : errorAnswer(id, 'denied', { detail: 'Denied.' });
      return { forward: false, answer: { httpStatus: 200, body } };
    },
    reject(rejection) {
      rejected.push(rejection);
      const { id, code, details } = rejection;
      return { httpStatus: errorRow(code).http ?? 400, body: errorAnswer(id, code, details) };
    },
  };
}

export interface Scene {
  readonly gate: ScriptedGate;
  readonly door: HttpDoor;
  readonly port: number;
  /** What reached the upstream, in order. */
  readonly received: Received[];
  readonly warnings: string[];
  /** Brings other settings into force. */
  change(settings: Partial<DoorSettings>): void;
  close(): Promise<void>;
}

type FixedOptions = Omit<HttpDoorOptions, 'gate' | 'settings'>;

export interface SceneOptions extends Partial<FixedOptions & Omit<DoorSettings, 'servers'>> {
  readonly gate?: ScriptedGate;
  /** Default: answers every request with an empty result, everything else with 202. */
  readonly upstream?: Handler;
  /** Instead of the upstream: where its URL points. */
  readonly upstreamUrl?: URL;
  readonly upstreamHeaders?: Readonly<Record<string, string>>;
  readonly upstreamTokens?: UpstreamTokens;
}

/** Opens a scene for one test. */
export async function scene(t: TestContext, options: SceneOptions = {}): Promise<Scene> {
  const opened = await openScene(options);
  t.after(() => opened.close());
  return opened;
}

async function openScene(options: SceneOptions): Promise<Scene> {
  const warnings: string[] = [];
  const upstream = await startUpstream(options.upstream ?? answerEmpty);
  const { received } = upstream;
  const gate = options.gate ?? scriptedGate();
  const url = options.upstreamUrl ?? upstream.url;
  const headers = options.upstreamHeaders ?? {};
  let settings: DoorSettings = {
    authenticate: () => ({ ok: true, identity: ANONYMOUS }),
    ...options,
    servers: new Map([
      ['files', { kind: 'http', name: 'files', url, headers, tokens: options.upstreamTokens }],
    ]),
  };
  const door = createHttpDoor({
    listen: { host: '127.0.0.1', port: 0 },
    diagnostics: { error: note, warn: note, info: note, debug: note },
    ...options,
    gate,
    settings: () => settings,
  });
  function note(text: string): void {
    warnings.push(text);
  }
  const { port } = await door.listen();
  const close = async (): Promise<void> => {
    await door.close(0);
    upstream.close();
  };
  const change: Scene['change'] = (changed) => {
    settings = { ...settings, ...changed };
  };
  return { gate, door, port, received, warnings, change, close };
}

function answerEmpty(_: http.IncomingMessage, response: http.ServerResponse, { body }: Received): void {
  const id: unknown = body.length === 0 ? undefined : (JSON.parse(body.toString()) as { id?: unknown }).id;
  if (id === undefined) response.writeHead(202).end();
  else answerJson(response, { jsonrpc: '2.0', id, result: {} });
}

export function answerJson(response: http.ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

/** Starts an event stream whose head is sent at once. */
export function startEvents(response: http.ServerResponse): (value: unknown, id?: string) => void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
  return (value, id) => {
    response.write(`${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(value)}\n\n`);
  };
}

export interface ClientRequest {
  readonly method?: string;
  readonly path?: string;
  /** Names and values in turn, besides Host; with `host: null` nothing is added. */
  readonly headers?: readonly string[];
  readonly host?: string | null;
  readonly body?: string | Uint8Array | undefined;
  readonly agent?: http.Agent;
  /** Where it comes from, 127.0.0.1 where it does not matter. */
  readonly localAddress?: string;
}

/** Sends a request and gives the answer as soon as its head is there. */
export async function open(port: number, request: ClientRequest = {}): Promise<http.IncomingMessage> {
  const { method = 'POST', path = '/files/mcp', headers = [], host = `127.0.0.1:${port}`, body } = request;
  const all = [...(host === null ? [] : ['Host', host]), ...headers];
  if (body !== undefined) all.push('Content-Length', String(Buffer.byteLength(body)));
  const outgoing = http.request({
    host: '127.0.0.1',
    port,
    method,
    path,
    headers: all,
    agent: request.agent ?? false,
    ...(request.localAddress === undefined ? {} : { localAddress: request.localAddress }),
    setHost: false,
  });
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage];
  return response;
}

export interface ClientAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Sends a request and reads the whole answer. */
export async function send(port: number, request: ClientRequest = {}): Promise<ClientAnswer> {
  const response = await open(port, request);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) };
}

export function callTool(id: number | string, name = 'read', args: unknown = {}): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } });
}

/** Reads a stream up to a text, and gives what came before and with it. */
export function streamReader(response: http.IncomingMessage): (until: string) => Promise<string> {
  const chunks = response[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let seen = '';
  return async (until) => {
    while (!seen.includes(until)) {
      const { value, done } = await chunks.next();
      if (done === true) throw new Error(`the stream ended before ${until}: ${seen}`);
      seen += value.toString();
    }
    const end = seen.indexOf(until) + until.length;
    const part = seen.slice(0, end);
    seen = seen.slice(end);
    return part;
  };
}

/** A connection that is written by hand. */
export async function raw(
  t: TestContext,
  port: number,
  text: string,
): Promise<{ socket: Socket; rest: Promise<string> }> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  let seen = '';
  socket.on('data', (chunk: Buffer) => (seen += chunk.toString()));
  socket.on('error', () => {});
  socket.write(text);
  const rest = new Promise<string>((resolve) => socket.on('close', () => resolve(seen)));
  return { socket, rest };
}
