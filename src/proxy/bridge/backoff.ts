/**
 * Whether a server may be started again: one that ends before it has said anything is left alone for a while, which
 * doubles with each such start. One that has served is started again at once.
 */

const DELAY_MS = 250;
export const BACKOFF_MS_MAX = 10_000;
/** Keys that are remembered; over it the oldest is forgotten, and so may start. */
export const BACKOFF_KEYS_MAX = 1024;

interface Failure {
  readonly delayMs: number;
  readonly untilMs: number;
}

export class Backoff {
  readonly #nowMs: () => number;
  readonly #failures = new Map<string, Failure>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  mayStart(key: string): boolean {
    return this.#nowMs() >= (this.#failures.get(key)?.untilMs ?? 0);
  }

  failed(key: string): void {
    const before = this.#failures.get(key);
    const delayMs = before === undefined ? DELAY_MS : Math.min(before.delayMs * 2, BACKOFF_MS_MAX);
    this.#failures.delete(key);
    this.#failures.set(key, { delayMs, untilMs: this.#nowMs() + delayMs });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > BACKOFF_KEYS_MAX && oldest !== undefined) this.#failures.delete(oldest);
  }

  served(key: string): void {
    this.#failures.delete(key);
  }
}
