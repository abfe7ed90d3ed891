/**
 * A session of the legacy era: one process, and the streams that its lines go out on (MCP 2025-11-25, transports).
 * Over a pipe nothing says which stream a message belongs to, so it is told from what the message names, and where it
 * names nothing, from what is open.
 */
import { isObject } from '../../event/json.ts';
import type { Throttle } from '../../telemetry/throttle.ts';
import type { UpstreamResult } from '../http/upstream.ts';
import { agreedVersion } from '../message/agreed-version.ts';
import { errorAnswer } from '../message/answer.ts';
import type { ReadAnswer } from '../message/answer-reader.ts';
import { idOf, type Id, type NotificationMessage, type RequestMessage } from '../message/message.ts';
import type { ResponseMessage } from '../message/message.ts';
import type { Schedule } from '../stdio/child.ts';
import { failure, wholeAnswer } from './answer-stream.ts';
import { EventLog, eventId, readEventId } from './event-log.ts';
import type { BridgeLimits } from './limits.ts';
import { Mailbox } from './mailbox.ts';
import { oneLine } from './one-line.ts';
import type { Reply } from './reply.ts';
import type { LineTaker, ServerLine, ServerProcess } from './server-process.ts';

export interface SessionOptions {
  /** Of the server, for what we say. */
  readonly name: string;
  readonly limits: BridgeLimits;
  readonly schedule: Schedule;
  readonly throttle: Throttle;
  /** Told when something is open to it, and when nothing is any more. */
  readonly used: (open: boolean) => void;
  /** The session has not come about: initialize failed, or nobody heard the answer to it. */
  readonly stillborn: () => void;
}

/** The stream of a GET, or of one request; it outlives the connections that carry it. */
interface Stream {
  readonly number: number;
  /** The request that it answers. */
  readonly request: Asking | undefined;
  /** What carries it now. */
  reply: Reply | undefined;
  /** Of its last event. */
  sequence: number;
  /** Whether a client has an id to resume it from. */
  named: boolean;
  /** Whether its client has taken the request back. */
  cancelled: boolean;
}

/** Of a request what its stream needs. The message may be large, and nobody may ever come for the answer. */
interface Asking {
  readonly id: Id;
  readonly begins: boolean;
  /** As JSON. */
  readonly progressToken: string | undefined;
}

function askingOf({ id, method, params }: RequestMessage): Asking {
  const meta = params.get('_meta');
  const token = isObject(meta) ? meta.get('progressToken') : undefined;
  return { id, begins: method === 'initialize', progressToken: idOf(token)?.json };
}

function newStream(number: number, request?: Asking): Stream {
  return { number, request, reply: undefined, sequence: 0, named: false, cancelled: false };
}

/** The stream that a GET opens. */
const STANDALONE = 0;

/** From this revision on clients take an event with an id and nothing else (MCP 2025-11-25, transports). */
const PRIMED_SINCE = '2025-11-25';

export class Session implements LineTaker {
  readonly #options: SessionOptions;
  readonly #log: EventLog;
  readonly #mailbox: Mailbox;
  readonly #standalone = newStream(STANDALONE);
  /** Of requests without an answer, by id as JSON, in the order they came. */
  readonly #requests = new Map<string, Stream>();
  /** What each reply carries. */
  readonly #replies = new Map<Reply, Stream>();
  #process: ServerProcess | undefined;
  #streams = STANDALONE;
  #uses = 0;
  #version: string | undefined;

  constructor(options: SessionOptions) {
    const { name, limits, throttle } = options;
    this.#options = options;
    this.#log = new EventLog(limits, () => {
      const text = `server ${name}: an event is lost, its client has not come back for it`;
      throttle.say('warn', `server ${name}: events`, text);
    });
    this.#mailbox = new Mailbox(limits, (line) => this.#drop(line));
  }

  /** Called once, before anything is sent. */
  attach(process: ServerProcess): void {
    this.#process = process;
  }

  /** What was agreed on; undefined before. */
  get version(): string | undefined {
    return this.#version;
  }

  /** Sends a request to the server; what comes back goes out on the reply. */
  request(message: RequestMessage, reply: Reply): void {
    const { id } = message;
    if (this.#requests.has(id.json)) {
      const detail = `the id ${id.json} belongs to a request that is not answered yet`;
      reply.refuse('parse_envelope', id, { detail });
      return;
    }
    if (!this.#makeRoom()) {
      reply.refuse('busy', id, { max: this.#options.limits.openMax });
      return;
    }
    this.#streams += 1;
    const stream = newStream(this.#streams, askingOf(message));
    this.#requests.set(id.json, stream);
    this.#carry(stream, reply);
    if (reply.takesEvents) this.#emptyMailbox(stream);
    void this.#sendRequest(message, reply);
  }

  /** Sends a notification or a response to the server. */
  async pass(message: NotificationMessage | ResponseMessage, signal: AbortSignal): Promise<UpstreamResult> {
    this.#use(1);
    const sent = await this.#write(message.bytes, signal);
    this.#use(-1);
    if (sent !== 'written') return failure(sent === 'broken' ? 'pipe_closed' : 'ABORT_ERR', true);
    if (message.kind === 'notification' && message.method === 'notifications/cancelled') {
      this.#cancel(idOf(message.params.get('requestId')));
    }
    return wholeAnswer(202, undefined);
  }

  /** Opens the stream that belongs to no request. */
  listen(reply: Reply): void {
    if (this.#standalone.reply?.open === true) {
      reply.refuse('stream_open');
      return;
    }
    this.#carry(this.#standalone, reply);
    reply.start();
    this.#emptyMailbox(this.#standalone);
  }

  /** Goes on with a stream after the event that its client got last. What still carries it is ended. */
  resume(reply: Reply, lastEventId: string): void {
    const last = readEventId(lastEventId);
    const events = last === undefined ? [] : this.#log.after(last.stream, last.sequence);
    const open = last === undefined ? undefined : this.#openStream(last.stream);
    if (last === undefined || (open === undefined && events.length === 0)) {
      reply.refuse('events_gone');
      return;
    }
    const stream = open ?? newStream(last.stream);
    this.#carry(stream, reply);
    for (const event of events) {
      event.sent = true;
      reply.event(event.message, eventId(event.stream, event.sequence));
    }
    if (open === undefined) {
      reply.end();
      return;
    }
    reply.start();
    if (open === this.#standalone) this.#emptyMailbox(open);
  }

  line(line: ServerLine): Promise<void> | undefined {
    const { read } = line;
    if (read.kind === 'response' && read.id !== null) {
      this.#answer(line, read, read.id);
      return undefined;
    }
    if (read.kind !== 'message') return this.#unasked(line);
    const { message } = read;
    if (message.method === 'notifications/progress') {
      const stream = this.#streamOfToken(idOf(message.params.get('progressToken'))?.json);
      if (stream !== undefined) return this.#deliver(stream, line);
    } else if (message.kind === 'request' || message.method === 'notifications/message') {
      const only = this.#onlyRequest();
      if (only !== undefined) return this.#deliver(only, line);
    }
    return this.#unasked(line);
  }

  oversize(): void {
    // Whoever waits for it would wait for ever; where several do, nobody knows for which of them it was.
    const only = this.#onlyRequest();
    if (only?.request === undefined) return;
    this.#requests.delete(only.request.id.json);
    only.reply?.fail('parse_size');
  }

  /** Ends all that is open. @param code for the outcomes of the requests */
  finish(code: string): void {
    for (const [reply, { request }] of this.#replies) {
      if (request === undefined) reply.end();
      else reply.fail(code);
    }
    this.#requests.clear();
  }

  async #sendRequest({ id, bytes }: RequestMessage, reply: Reply): Promise<void> {
    const sent = await this.#write(bytes, reply.signal);
    if (sent === 'written') return;
    this.#requests.delete(id.json);
    reply.fail('pipe_closed');
  }

  async #write(bytes: Uint8Array, signal: AbortSignal) {
    return (await this.#process?.write(oneLine(bytes), signal)) ?? 'broken';
  }

  #answer(line: ServerLine, read: ReadAnswer & { kind: 'response' }, id: Id): void {
    const stream = this.#requests.get(id.json);
    if (stream === undefined) {
      this.#say('debug', 'unasked', 'it has answered a request that is not open');
      return;
    }
    this.#requests.delete(id.json);
    const begins = stream.request?.begins === true;
    const stillborn = begins && read.outcome.status !== 'ok';
    if (begins) this.#version = agreedVersion(line.content);
    this.#sendAnswer(stream, line.content, stillborn);
    if (stillborn) this.#options.stillborn();
  }

  /** @param bare without the id of the session */
  #sendAnswer(stream: Stream, message: Uint8Array, bare = false): void {
    const { reply, number } = stream;
    const sequence = stream.sequence + 1;
    const sent = reply?.open === true;
    const asEvent = reply?.answer(message, { id: eventId(number, sequence), bare }) ?? false;
    // What went out as a JSON body cannot be asked for again, nor what nobody has an id to ask for.
    if (asEvent || (!sent && stream.named)) this.#log.add({ stream: number, sequence, message, sent });
    else if (!sent) this.#say('debug', 'left', 'an answer found nobody who waits for it');
  }

  /** Sends a message on a stream, or keeps it for whoever resumes that. */
  #deliver(stream: Stream, line: ServerLine): Promise<void> | undefined {
    const { reply, number } = stream;
    if (reply?.takesEvents !== true && !stream.named) return this.#unasked(line, stream);
    stream.sequence += 1;
    const { content: message } = line;
    const sent = reply?.takesEvents === true;
    this.#log.add({ stream: number, sequence: stream.sequence, message, sent });
    if (!sent) return undefined;
    stream.named = true;
    reply.event(message, eventId(number, stream.sequence));
    return reply.room();
  }

  /** Sends a message that belongs to no request. @param not a stream that it could not go out on */
  #unasked(line: ServerLine, not?: Stream): Promise<void> | undefined {
    if (this.#standalone.reply?.open === true) return this.#deliver(this.#standalone, line);
    const newest = [...this.#requests.values()].findLast((stream) => stream !== not && takesEvents(stream));
    if (newest !== undefined) return this.#deliver(newest, line);
    this.#mailbox.put(line);
    return undefined;
  }

  #emptyMailbox(stream: Stream): void {
    for (const line of this.#mailbox.empty()) void this.#deliver(stream, line);
  }

  /** No stream has come for it in time. */
  #drop({ read }: ServerLine): void {
    this.#say('warn', 'streamless', 'messages were dropped, its client opens no stream for them');
    if (read.kind !== 'message' || read.message.kind !== 'request') return;
    this.#process?.offer(errorAnswer(read.message.id, 'stream_missing', {}));
  }

  #carry(stream: Stream, reply: Reply): void {
    const before = stream.reply;
    stream.reply = reply;
    this.#replies.set(reply, stream);
    this.#use(1);
    reply.primeWith(() => this.#primer(stream));
    reply.onClose(() => {
      this.#replies.delete(reply);
      if (stream.reply === reply) stream.reply = undefined;
      const { request } = stream;
      const unheard = request?.begins === true && this.#requests.get(request.id.json) === stream;
      this.#use(-1);
      if (unheard) this.#options.stillborn();
    });
    before?.end();
  }

  #primer(stream: Stream): string | undefined {
    if (this.#version === undefined || this.#version < PRIMED_SINCE) return undefined;
    stream.named = true;
    return eventId(stream.number, stream.sequence);
  }

  #openStream(number: number): Stream | undefined {
    if (number === STANDALONE) return this.#standalone;
    return [...this.#requests.values()].find((stream) => stream.number === number);
  }

  #streamOfToken(tokenJson: string | undefined): Stream | undefined {
    if (tokenJson === undefined) return undefined;
    return [...this.#requests.values()].findLast(({ request }) => request?.progressToken === tokenJson);
  }

  /** The request that a message must have come of, where there is only one. */
  #onlyRequest(): Stream | undefined {
    const [first, ...others] = [...this.#requests.values()].filter(({ reply }) => reply?.open === true);
    return others.length === 0 ? first : undefined;
  }

  /** After a cancellation no answer need come, and one may still; its stream must end either way. */
  #cancel(id: Id | undefined): void {
    const stream = id === undefined ? undefined : this.#requests.get(id.json);
    if (id === undefined || stream === undefined || stream.cancelled) return;
    stream.cancelled = true;
    this.#options.schedule(this.#options.limits.cancelGraceMs, () => {
      if (this.#requests.get(id.json) !== stream) return;
      this.#requests.delete(id.json);
      this.#sendAnswer(stream, errorAnswer(id, 'request_cancelled', {}));
    });
  }

  /** @returns whether one more request may be open; one that nobody waits for any more may have to go */
  #makeRoom(): boolean {
    if (this.#requests.size < this.#options.limits.openMax) return true;
    const left = [...this.#requests].find(([, { reply }]) => reply === undefined);
    return left !== undefined && this.#requests.delete(left[0]);
  }

  #use(change: 1 | -1): void {
    const before = this.#uses;
    this.#uses += change;
    if ((before === 0) !== (this.#uses === 0)) this.#options.used(this.#uses > 0);
  }

  #say(level: 'warn' | 'debug', key: string, text: string): void {
    const where = `server ${this.#options.name}`;
    this.#options.throttle.say(level, `${where}: ${key}`, `${where}: ${text}`);
  }
}

function takesEvents({ reply }: Stream): boolean {
  return reply?.takesEvents === true;
}
