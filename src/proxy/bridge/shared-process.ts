/**
 * A process of the modern era, which many requests share (MCP 2026-07-28, transports, stdio). Their ids are their
 * clients' own and may be alike, so the server gets others, and so do progress tokens; what it sends back names them,
 * and goes to the request that it names with the client's own id. What names no request goes to nobody.
 */
import { isObject, JsonNumber, type Json } from '../../event/json.ts';
import type { Throttle } from '../../telemetry/throttle.ts';
import { errorAnswer } from '../message/answer.ts';
import type { ReadAnswer } from '../message/answer-reader.ts';
import { idOf, type NotificationMessage, type RequestMessage } from '../message/message.ts';
import type { BridgeLimits } from './limits.ts';
import { modernStatus } from './modern-status.ts';
import { oneLine } from './one-line.ts';
import type { Reply } from './reply.ts';
import type { LineTaker, ServerLine, ServerProcess } from './server-process.ts';
import { replaceValues } from './value-spans.ts';

export interface SharedProcessOptions {
  /** Of the server, for what we say. */
  readonly name: string;
  readonly limits: BridgeLimits;
  readonly throttle: Throttle;
  /** Told of what it answers to tools/list. */
  readonly listed: (answer: Uint8Array) => void;
  /** Told when a request is open to it, and when none is any more. */
  readonly used: (open: boolean) => void;
}

interface OpenRequest {
  readonly message: RequestMessage;
  readonly reply: Reply;
  readonly caller: string;
  /** The client's own, as JSON. */
  readonly progressToken: string | undefined;
  readonly listens: boolean;
  /** Whether it has asked for log messages. */
  readonly logs: boolean;
  written: boolean;
}

const META_SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';
const META_LOG_LEVEL = 'io.modelcontextprotocol/logLevel';

const ID = ['id'];
const TOKEN_ASKED = ['params', '_meta', 'progressToken'];
const TOKEN_TOLD = ['params', 'progressToken'];
const SUBSCRIPTION_TOLD = ['params', '_meta', META_SUBSCRIPTION];
const SUBSCRIPTION_ENDED = ['result', '_meta', META_SUBSCRIPTION];
const CANCELLED = ['params', 'requestId'];

export class SharedProcess implements LineTaker {
  readonly #options: SharedProcessOptions;
  /** By the ids that the server knows them by. */
  readonly #open = new Map<string, OpenRequest>();
  #process: ServerProcess | undefined;
  #lastId = 0;
  #answered = false;

  constructor(options: SharedProcessOptions) {
    this.#options = options;
  }

  /** Called once, before anything is sent. */
  attach(process: ServerProcess): void {
    this.#process = process;
  }

  /** Whether it has ever answered. */
  get answered(): boolean {
    return this.#answered;
  }

  /** Sends a request to the server; what comes back goes out on the reply. */
  async request(message: RequestMessage, caller: string, reply: Reply): Promise<void> {
    const { openMax } = this.#options.limits;
    if (this.#open.size >= openMax) {
      reply.refuse('busy', message.id, { max: openMax });
      return;
    }
    this.#lastId += 1;
    const id = String(this.#lastId);
    const meta = message.params.get('_meta');
    const asked = memberOf(meta, 'progressToken');
    const request: OpenRequest = {
      message,
      reply,
      caller,
      progressToken: tokenJson(asked),
      listens: message.method === 'subscriptions/listen',
      logs: memberOf(meta, META_LOG_LEVEL) !== undefined,
      written: false,
    };
    this.#open.set(id, request);
    if (this.#open.size === 1) this.#options.used(true);
    reply.onClose(() => this.#giveUp(id));
    if (request.listens) reply.start();
    const own = [{ path: ID, json: id }];
    // Whatever stands there: `2.0` could be taken for the token of another.
    const token = asked === undefined ? [] : [{ path: TOKEN_ASKED, json: id }];
    const line = oneLine(replaceValues(message.bytes, [...own, ...token]));
    const sent = (await this.#process?.write(line, reply.signal)) ?? 'broken';
    request.written = sent === 'written';
    if (sent === 'broken') reply.fail('pipe_closed');
    // Given up while it was on its way.
    else if (request.written && !this.#open.has(id)) this.#tellCancelled(id);
  }

  /**
   * Passes a cancellation on, where it means one request of this caller's: several clients of one caller may have
   * the same ids.
   */
  cancel({ params }: NotificationMessage, caller: string): void {
    const wanted = idOf(params.get('requestId'))?.json;
    const [only, ...others] = [...this.#open.values()].filter(
      (request) => request.caller === caller && request.message.id.json === wanted,
    );
    if (only === undefined || others.length > 0) return;
    only.reply.answer(errorAnswer(only.message.id, 'request_cancelled', {}));
  }

  line(line: ServerLine): undefined {
    const { read } = line;
    if (read.kind === 'response') this.#answer(line, read);
    else if (read.kind === 'refused') this.#say('error', read.code, `a message was dropped (${read.code})`);
    else if (read.message.kind === 'request') this.#refuse(read.message);
    else this.#notify(line, read.message);
  }

  oversize(): void {
    // Whoever waits for it would wait for ever; where several do, nobody knows for which of them it was.
    const [only, ...others] = this.#open.values();
    if (others.length === 0) only?.reply.fail('parse_size');
  }

  /** Passes on what nothing comes back for. */
  async pass({ bytes }: NotificationMessage, signal: AbortSignal): Promise<void> {
    await this.#process?.write(oneLine(bytes), signal);
  }

  /** Ends all that is open. @param code for the outcomes of the requests */
  finish(code: string): void {
    for (const { reply } of this.#open.values()) reply.fail(code);
  }

  #answer({ content }: ServerLine, { id, outcome }: ReadAnswer & { kind: 'response' }): void {
    this.#answered = true;
    const request = id === null ? undefined : this.#open.get(id.json);
    if (id === null || request === undefined) {
      this.#say('debug', 'unasked', 'it has answered a request that is not open');
      return;
    }
    const { message, reply, listens } = request;
    this.#close(id.json);
    if (message.method === 'tools/list') this.#options.listed(content);
    const own = { json: message.id.json };
    const subscription = listens ? [{ path: SUBSCRIPTION_ENDED, ...own }] : [];
    const answer = replaceValues(content, [{ path: ID, ...own }, ...subscription]);
    reply.answer(answer, { status: modernStatus(outcome.rpcCode, message) });
  }

  #notify({ content }: ServerLine, { method, params }: NotificationMessage): void {
    if (method === 'notifications/progress') {
      const request = this.#named(params.get('progressToken'));
      const json = request?.progressToken;
      if (request !== undefined && json !== undefined) {
        this.#send(request, replaceValues(content, [{ path: TOKEN_TOLD, json }]));
        return;
      }
    } else if (method === 'notifications/message') {
      const [only, ...others] = [...this.#open.values()].filter(({ logs }) => logs);
      if (only !== undefined && others.length === 0) {
        this.#send(only, content);
        return;
      }
    } else {
      const ended = method === 'notifications/cancelled';
      const request = this.#named(ended ? params.get('requestId') : subscriptionOf(params));
      if (request?.listens === true) {
        const path = ended ? CANCELLED : SUBSCRIPTION_TOLD;
        this.#send(request, replaceValues(content, [{ path, json: request.message.id.json }]));
        return;
      }
    }
    this.#say('debug', 'nobody', `a ${method} was dropped that names no open request`);
  }

  #named(value: Json | undefined): OpenRequest | undefined {
    const id = idOf(value)?.json;
    return id === undefined ? undefined : this.#open.get(id);
  }

  #send({ reply }: OpenRequest, message: Uint8Array): void {
    // The process must not wait for one of many, nor we hold what that one does not read.
    if (reply.unreadBytes > this.#options.limits.unreadBytesMax) reply.fail('slow_reader');
    else reply.event(message);
  }

  /** MCP 2026-07-28 has no requests of servers: what they want of a client stands in their results. */
  #refuse({ id, method }: RequestMessage): void {
    this.#say('warn', 'requests', `a request of its own (${method}) was refused`);
    this.#process?.offer(errorAnswer(id, 'request_of_server', { method }));
  }

  /** Nobody waits for the answer any more (MCP 2026-07-28, cancellation: over HTTP the client has gone). */
  #giveUp(id: string): void {
    const request = this.#open.get(id);
    if (request === undefined) return;
    this.#close(id);
    if (request.written) this.#tellCancelled(id);
  }

  #tellCancelled(id: string): void {
    const text = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`;
    void this.#process?.write(Buffer.from(text));
  }

  #close(id: string): void {
    if (this.#open.delete(id) && this.#open.size === 0) this.#options.used(false);
  }

  #say(level: 'warn' | 'debug' | 'error', key: string, text: string): void {
    const where = `server ${this.#options.name}`;
    this.#options.throttle.say(level, `${where}: ${key}`, `${where}: ${text}`);
  }
}

/** As it was written; undefined for what is none to MCP. */
function tokenJson(token: Json | undefined): string | undefined {
  if (typeof token === 'string') return JSON.stringify(token);
  return token instanceof JsonNumber ? token.text : undefined;
}

function memberOf(value: Json | undefined, name: string): Json | undefined {
  return isObject(value) ? value.get(name) : undefined;
}

function subscriptionOf(params: ReadonlyMap<string, Json>): Json | undefined {
  return memberOf(params.get('_meta'), META_SUBSCRIPTION);
}
