/**
 * What one HTTP request is answered with, in the form that it turns out to need (MCP 2025-11-25 and 2026-07-28,
 * Streamable HTTP): JSON where the answer is the first thing that the server says, an event stream where something
 * else comes before it, or where nothing comes for a while.
 */
import type { ErrorCode, ErrorDetails } from '../../errors.ts';
import type { UpstreamResult } from '../http/upstream.ts';
import { errorAnswer } from '../message/answer.ts';
import type { Id } from '../message/message.ts';
import type { Schedule } from '../stdio/child.ts';
import { AnswerStream, brokenOff, failure, refusal, wholeAnswer } from './answer-stream.ts';
import type { Accepted } from './accept.ts';
import { keepAliveEvent, messageEvent, primingEvent } from './events.ts';

export interface ReplyOptions {
  readonly accepted: Accepted;
  /** Of the answer, in whichever form, unless it is a bare one. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Aborted when the client or the door gives up. */
  readonly signal: AbortSignal;
  readonly schedule: Schedule;
  readonly keepAliveMs: number;
}

export interface LastMessage {
  /** Of a JSON answer; that of a stream has been sent. */
  readonly status?: number;
  /** Of an event, where it can be asked for again. */
  readonly id?: string;
  /** Without the headers of the reply, where those have not been sent. */
  readonly bare?: boolean;
}

export class Reply {
  /** Settles once the form is chosen, or nothing is to come. */
  readonly result: Promise<UpstreamResult>;
  readonly #options: ReplyOptions;
  readonly #resolve: (result: UpstreamResult) => void;
  #headers: Readonly<Record<string, string>>;
  #stream: AnswerStream | undefined;
  #open = true;
  #callOff: () => void;
  #onClose: () => void = () => undefined;
  #primer: () => string | undefined = () => undefined;

  constructor(options: ReplyOptions) {
    const { promise, resolve } = Promise.withResolvers<UpstreamResult>();
    this.result = promise;
    this.#options = options;
    this.#headers = options.headers ?? {};
    this.#resolve = resolve;
    this.#callOff = options.schedule(options.keepAliveMs, () => this.#keepAlive());
    options.signal.addEventListener('abort', () => this.fail(ABORTED), { once: true });
    if (options.signal.aborted) this.fail(ABORTED);
  }

  /** Whether somebody still waits for more of it. */
  get open(): boolean {
    return this.#open;
  }

  /** Whether events can go out on it. */
  get takesEvents(): boolean {
    return this.#open && this.#options.accepted.events;
  }

  get signal(): AbortSignal {
    return this.#options.signal;
  }

  /** Bytes that have been sent and not been read. */
  get unreadBytes(): number {
    return this.#stream?.readableLength ?? 0;
  }

  /** @param run called once, when it is not open any more; at once where it is not now */
  onClose(run: () => void): void {
    if (this.#open) this.#onClose = run;
    else run();
  }

  /** @param primer the id that a stream without events can be resumed from; undefined: it cannot */
  primeWith(primer: () => string | undefined): void {
    this.#primer = primer;
  }

  /** Undefined where there is room for more events, else a promise of it. */
  room(): Promise<void> | undefined {
    return this.#stream?.room();
  }

  /** Begins an event stream. */
  start(): void {
    if (!this.takesEvents || this.#stream !== undefined) return;
    const stream = this.#begin();
    const id = this.#primer();
    if (id !== undefined) stream.push(primingEvent(id));
  }

  /** Sends a message that is not the last one; only where it takes events. @param id none: it cannot be resumed */
  event(message: Uint8Array, id?: string): void {
    if (!this.takesEvents) return;
    this.#begin().push(messageEvent(message, id));
    this.#stayAwake();
  }

  /**
   * Sends the last message and ends.
   * @returns whether it went out as an event
   */
  answer(message: Uint8Array, { status = 200, id, bare = false }: LastMessage = {}): boolean {
    if (!this.#open) return false;
    if (bare) this.#headers = {};
    if (this.#stream === undefined && this.#options.accepted.json) {
      this.#finish(wholeAnswer(status, message, this.#headers));
      return false;
    }
    this.event(message, id);
    this.end();
    return true;
  }

  /** Ends the stream in good order. */
  end(): void {
    this.#stream?.push(null);
    this.#finish(failure(ABORTED, true));
  }

  /** Gives up, with no answer or half of one. @param code for the outcome of the request */
  fail(code: string, connected = true): void {
    if (!this.#open) return;
    this.#stream?.destroy(brokenOff(code));
    this.#finish(failure(code, connected));
  }

  /** Answers with an error of the table, with its status where nothing has been sent. */
  refuse(code: ErrorCode, id: Id | null = null, details: ErrorDetails = {}): void {
    if (this.#stream === undefined) this.#finish(refusal(code, id, details));
    else this.answer(errorAnswer(id, code, details));
  }

  #begin(): AnswerStream {
    if (this.#stream !== undefined) return this.#stream;
    const stream = new AnswerStream(200, { ...this.#headers, 'content-type': 'text/event-stream' });
    this.#stream = stream;
    stream.on('close', () => this.#close());
    this.#resolve({ ok: true, response: stream });
    return stream;
  }

  #keepAlive(): void {
    if (this.takesEvents) {
      this.start();
      this.#begin().push(keepAliveEvent());
    }
    this.#stayAwake();
  }

  #stayAwake(): void {
    this.#callOff();
    if (this.#open)
      this.#callOff = this.#options.schedule(this.#options.keepAliveMs, () => this.#keepAlive());
  }

  /** @param result where the form has not been chosen */
  #finish(result: UpstreamResult): void {
    this.#resolve(result);
    this.#close();
  }

  #close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#callOff();
    this.#onClose();
  }
}

/** As Node's own client says it. */
const ABORTED = 'ABORT_ERR';
