/** Answers that no connection carries: what the bridge gives the door in the place of an http.IncomingMessage. */
import { Readable } from 'node:stream';
import type { ErrorCode, ErrorDetails } from '../../errors.ts';
import { errorRow } from '../../errors.ts';
import type { UpstreamAnswer, UpstreamResult } from '../http/upstream.ts';
import { errorAnswer } from '../message/answer.ts';
import type { Id } from '../message/message.ts';

/** Bytes that may wait to be read before whoever writes them should stop. */
const HIGH_WATER_MARK = 64 * 1024;

export class AnswerStream extends Readable implements UpstreamAnswer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  #room: PromiseWithResolvers<void> | undefined;

  constructor(statusCode: number, headers: Readonly<Record<string, string>>) {
    super({ highWaterMark: HIGH_WATER_MARK });
    this.statusCode = statusCode;
    this.headers = headers;
    // Whoever reads it hears of an error too; nobody may read it yet, or any more.
    this.on('error', () => undefined);
  }

  /** Undefined where there is room for more, else a promise of it. */
  room(): Promise<void> | undefined {
    if (this.destroyed || this.readableLength < this.readableHighWaterMark) return undefined;
    this.#room ??= Promise.withResolvers<void>();
    return this.#room.promise;
  }

  override _read(): void {
    this.#wake();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#wake();
    callback(error);
  }

  #wake(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }
}

/** A whole answer. @param body JSON; undefined for none */
export function wholeAnswer(
  statusCode: number,
  body: Uint8Array | undefined,
  headers: Readonly<Record<string, string>> = {},
): UpstreamResult {
  const type = body === undefined ? {} : { 'content-type': 'application/json' };
  const response = new AnswerStream(statusCode, { ...headers, ...type });
  if (body !== undefined) response.push(body);
  response.push(null);
  return { ok: true, response };
}

/** What a server says that does not serve a request: status and JSON-RPC error of the table. */
export function refusal(code: ErrorCode, id: Id | null = null, details: ErrorDetails = {}): UpstreamResult {
  return wholeAnswer(errorRow(code).http ?? 400, errorAnswer(id, code, details));
}

/** The server has said nothing. @param connected whether it may have got the request */
export function failure(code: string, connected: boolean): UpstreamResult {
  return { ok: false, code, connected };
}

/** An error that an answer ends with. @param code for the outcome of the request */
export function brokenOff(code: string): Error {
  return Object.assign(new Error(`the answer was broken off: ${code}`), { code });
}
