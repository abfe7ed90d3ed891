/**
 * The order of one direction of a stdio connection. Every line is decided as soon as it arrives, many at once, and
 * acted upon in the order of arrival: a server must not see a later message before an earlier one.
 */
import { type Limit, limitOf } from '../limit.ts';

/** Lines of one direction that may wait for a decision or for the other side before reading stops. */
export const STDIO_PENDING_MAX: Limit = { default: 1024, maximum: 65_536 };

/** Bytes that those lines may hold together; a line alone may always wait. */
export const STDIO_PENDING_BYTES_MAX: Limit = { default: 64 * 1024 * 1024, maximum: 1024 * 1024 * 1024 };

export interface LaneLimits {
  readonly pendingMax?: number | undefined;
  readonly pendingBytesMax?: number | undefined;
}

/** What is done with a line when its turn has come. */
export type Turn = () => Promise<unknown> | undefined;

export class Lane {
  readonly #pendingMax: number;
  readonly #pendingBytesMax: number;
  readonly #onError: (error: unknown) => void;
  #tail: Promise<void> = Promise.resolve();
  #pending = 0;
  #pendingBytes = 0;
  #room: PromiseWithResolvers<void> | undefined;

  /** @param onError told of a turn that failed; the turns after it still come */
  constructor(limits: LaneLimits, onError: (error: unknown) => void) {
    this.#pendingMax = limitOf('pendingMax', STDIO_PENDING_MAX, limits.pendingMax);
    this.#pendingBytesMax = limitOf('pendingBytesMax', STDIO_PENDING_BYTES_MAX, limits.pendingBytesMax);
    this.#onError = onError;
  }

  /** @param decided resolves to what is to be done in turn */
  push(bytes: number, decided: Promise<Turn>): void {
    this.#pending += 1;
    this.#pendingBytes += bytes;
    this.#tail = this.#tail
      .then(() => decided)
      .then((turn) => turn())
      .catch(this.#onError)
      .then(() => this.#leave(bytes));
  }

  /** Undefined where there is room for another line, else a promise of room. */
  room(): Promise<void> | undefined {
    if (!this.#isFull()) return undefined;
    this.#room ??= Promise.withResolvers<void>();
    return this.#room.promise;
  }

  /** Resolves when every line pushed so far has had its turn. */
  idle(): Promise<void> {
    return this.#tail;
  }

  #isFull(): boolean {
    return this.#pending >= this.#pendingMax || this.#pendingBytes >= this.#pendingBytesMax;
  }

  #leave(bytes: number): void {
    this.#pending -= 1;
    this.#pendingBytes -= bytes;
    if (this.#isFull()) return;
    this.#room?.resolve();
    this.#room = undefined;
  }
}
