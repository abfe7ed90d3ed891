/** The bridge with servers in this process: what it writes to them, what they say, and a clock to turn. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import type { TestContext } from 'node:test';
import type { VerdictError } from '../../src/errors.ts';
import type { Identity } from '../../src/identity/identity.ts';
import { createBridge, type Bridge, type BridgeOptions } from '../../src/proxy/bridge/bridge.ts';
import type { StdioUpstream, UpstreamAnswer, UpstreamRequest } from '../../src/proxy/http/upstream.ts';
import { parseMessage } from '../../src/proxy/message/message.ts';
import type { Child, ChildCommand, ChildEnd } from '../../src/proxy/stdio/child.ts';
import { manualClock, notes, type ManualClock, type Notes } from './stdio-fixtures.ts';
import { within } from './within.ts';

/** A server's end of its pipes. */
export class ScriptedServer {
  /** Lines that it got, without their ends. */
  readonly got: string[] = [];
  readonly stdin = new PassThrough();
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  /** Whether it has been told to end. */
  stopped = false;
  readonly child: Child;
  /** Whether it ends when its stdin does. */
  obedient = true;
  readonly #ended = Promise.withResolvers<ChildEnd>();
  readonly #waiting = new Set<() => void>();
  #rest = '';

  constructor() {
    this.stdin.on('data', (chunk: Buffer) => {
      const lines = `${this.#rest}${chunk.toString('latin1')}`.split('\n');
      this.#rest = lines.pop() ?? '';
      this.got.push(...lines.map((line) => Buffer.from(line, 'latin1').toString()));
      for (const wake of this.#waiting) wake();
    });
    this.stdin.on('end', () => {
      if (this.obedient) this.exit(0);
    });
    this.child = {
      pid: 0,
      stdin: this.stdin,
      stdout: this.stdout,
      stderr: this.stderr,
      ended: this.#ended.promise,
      stop: () => {
        this.stopped = true;
      },
      terminate: () => undefined,
    };
  }

  /** The first line that holds the text; waits for it. */
  async line(text: string): Promise<string> {
    for (;;) {
      const found = this.got.find((line) => line.includes(text));
      if (found !== undefined) return found;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.add(resolve);
      await within(`a line with ${text} after ${this.got.join('\n')}`, promise);
      this.#waiting.delete(resolve);
    }
  }

  /** The same, as a message. */
  async message(text: string): Promise<{ readonly id: number; readonly params: Record<string, unknown> }> {
    return JSON.parse(await this.line(text)) as never;
  }

  say(...messages: readonly (object | string)[]): void {
    for (const message of messages) {
      const text = typeof message === 'string' ? message : JSON.stringify({ jsonrpc: '2.0', ...message });
      this.stdout.write(`${text}\n`);
    }
  }

  exit(code: number): void {
    this.die(code);
    this.stdout.end();
    this.stderr.end();
  }

  /** Has gone; what it has written may still be on its way. */
  die(code: number): void {
    this.#ended.resolve({ code });
  }
}

export const ALICE: Identity = { source: 'api_key', user: 'alice' };
export const BOB: Identity = { source: 'api_key', user: 'bob' };

export interface Sending {
  readonly method?: 'POST' | 'GET' | 'DELETE';
  readonly body?: object | string;
  readonly session?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly identity?: Identity;
  readonly upstream?: StdioUpstream;
  readonly signal?: AbortSignal;
}

/** What came back; the body once it is whole. */
export interface Whole {
  readonly status: number;
  readonly headers: UpstreamAnswer['headers'];
  readonly body: string;
}

export interface BridgeScene {
  readonly bridge: Bridge;
  readonly clock: ManualClock;
  readonly notes: Notes;
  /** In the order in which they were started. */
  readonly servers: ScriptedServer[];
  /** What they were started with. */
  readonly commands: ChildCommand[];
  /** Resolves with the server that is started as the so-manieth. */
  server(number: number): Promise<ScriptedServer>;
  /** The next starts fail so. */
  failStarts(error: VerdictError | undefined): void;
  send(sending: Sending): ReturnType<Bridge['send']>;
  /** Sends, and reads the whole answer. */
  ask(sending: Sending): Promise<Whole>;
  /** Sends, and gives the answer as soon as its head is there. */
  open(sending: Sending): Promise<UpstreamAnswer>;
  /** Opens a session with the server that is started as the so-manieth. @returns its id */
  begin(sending?: Sending & { readonly number?: number; readonly version?: string }): Promise<string>;
}

export const FILES: StdioUpstream = {
  kind: 'stdio',
  name: 'files',
  share: 'caller',
  command: { command: 'files-server', args: ['--stdio'], env: { A: 'b' } },
  headers: {},
};

export const ACCEPT = 'application/json, text/event-stream';

/** Opens a scene for one test. */
export function bridgeScene(t: TestContext, options: Partial<BridgeOptions> = {}): BridgeScene {
  const servers: ScriptedServer[] = [];
  const commands: ChildCommand[] = [];
  const started: PromiseWithResolvers<ScriptedServer>[] = [];
  const at = (number: number) => (started[number] ??= Promise.withResolvers<ScriptedServer>());
  const clock = manualClock();
  const said = notes();
  let failing: VerdictError | undefined;
  const bridge = createBridge({
    diagnostics: said,
    schedule: clock.schedule,
    nowMs: () => clock.nowMs(),
    async start(command) {
      commands.push(command);
      if (failing !== undefined) throw failing;
      const server = new ScriptedServer();
      servers.push(server);
      at(servers.length - 1).resolve(server);
      return server.child;
    },
    ...options,
  });
  t.after(async () => {
    const closed = bridge.close();
    for (const server of servers) server.exit(0);
    await within('the end of all', closed);
  });
  const scene: BridgeScene = {
    bridge,
    clock,
    notes: said,
    servers,
    commands,
    server: (number) => within(`server ${number}`, at(number).promise),
    failStarts: (error) => (failing = error),
    send: (sending) => bridge.send(requestOf(sending)),
    async open(sending) {
      const sent = await within('an answer', scene.send(sending));
      assert.ok(sent.ok, `failed: ${sent.ok ? '' : sent.code}`);
      return sent.response;
    },
    async ask(sending) {
      const answer = await scene.open(sending);
      const { statusCode = 0, headers } = answer;
      return { status: statusCode, headers, body: await within('the whole answer', textOf(answer)) };
    },
    async begin({ number = servers.length, version = '2025-11-25', ...sending } = {}) {
      const answer = scene.ask({ ...sending, body: initialize(version) });
      const server = await scene.server(number);
      await server.line('"initialize"');
      server.say({ id: 0, result: { protocolVersion: version, capabilities: {}, serverInfo: {} } });
      const { headers, status } = await answer;
      assert.equal(status, 200);
      return String(headers['mcp-session-id']);
    },
  };
  return scene;
}

async function textOf(answer: UpstreamAnswer): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function requestOf(sending: Sending): UpstreamRequest<StdioUpstream> {
  const { body, session, headers = {}, identity = ALICE, upstream = FILES } = sending;
  const { method = body === undefined ? 'GET' : 'POST', signal = new AbortController().signal } = sending;
  const bytes = body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : text(body));
  const parsed = bytes === undefined ? undefined : parseMessage(bytes);
  assert.ok(parsed?.ok !== false, JSON.stringify(parsed));
  return {
    upstream,
    method,
    signal,
    body: bytes,
    message: parsed?.message,
    headers: { accept: ACCEPT, ...(session === undefined ? {} : { 'mcp-session-id': session }), ...headers },
    origin: { server: { name: upstream.name }, transport: 'tcp', identity, claimed: {} },
  };
}

function text(message: object): string {
  return JSON.stringify({ jsonrpc: '2.0', ...message });
}

export function initialize(protocolVersion = '2025-11-25'): object {
  const clientInfo = { name: 'a', version: '1' };
  return { id: 0, method: 'initialize', params: { protocolVersion, capabilities: {}, clientInfo } };
}

/** A call of the legacy era. @param meta of its params */
export function call(id: number | string, meta?: object): object {
  const params = { name: 'read', arguments: {}, ...(meta === undefined ? {} : { _meta: meta }) };
  return { id, method: 'tools/call', params };
}

const ENVELOPE = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};

/** The same of the modern era. */
export function modern(
  id: number | string,
  method = 'tools/call',
  meta: object = {},
  params: object = {},
): object {
  const own = method === 'tools/call' ? { name: 'read', arguments: {} } : {};
  return { id, method, params: { ...own, ...params, _meta: { ...ENVELOPE, ...meta } } };
}

// What servers say.
export const answerTo = (id: unknown, more: object = {}): object => ({
  id,
  result: { content: [], ...more },
});
export const progress = (progressToken: unknown, value = 1, message?: string): object => ({
  method: 'notifications/progress',
  params: { progressToken, progress: value, message },
});
export const log = (data: string): object => ({
  method: 'notifications/message',
  params: { level: 'info', data },
});
export const sampling = (id: string): object => ({
  id,
  method: 'sampling/createMessage',
  params: { messages: [], maxTokens: 1 },
});
export const CHANGED = { method: 'notifications/tools/list_changed' };

/** The so-manieth line of a server, once it has come. */
export async function lineAt(server: ScriptedServer, at: number): Promise<string> {
  while (server.got.length <= at) await new Promise(setImmediate);
  return server.got[at] ?? '';
}

/** The so-manieth call that a server has got, once it has come. */
export async function lineOf(scene: BridgeScene, at: number, number = 0): Promise<string> {
  const server = await scene.server(number);
  for (let line = 0, calls = 0; ; line += 1) {
    const text = await lineAt(server, line);
    if (text.includes('"method":"tools/call"')) calls += 1;
    if (calls > at) return text;
  }
}

export function idIn(line: string): number {
  return (JSON.parse(line) as { id: number }).id;
}

/** Reads a stream up to a text, and gives what came with it. */
export function reader(answer: UpstreamAnswer): (until: string) => Promise<string> {
  const chunks = answer[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let seen = '';
  return async (until) => {
    while (!seen.includes(until)) {
      const { value, done } = await within(`${until} after ${seen}`, chunks.next());
      if (done === true) throw new Error(`the stream ended before ${until}: ${seen}`);
      seen += value.toString();
    }
    const end = seen.indexOf(until) + until.length;
    const part = seen.slice(0, end);
    seen = seen.slice(end);
    return part;
  };
}
