/**
 * Lines on their way into a process. One is written when the process has taken those before it; the others wait
 * with the requests that they belong to, and leave when those are given up. So a process that does not read makes
 * us hold no more than what is open.
 */
import type { LineWriter } from '../stdio/line-stream.ts';

/** `broken`: the process does not read any more. */
export type Sent = 'written' | 'given_up' | 'broken';

interface Waiting {
  readonly line: Uint8Array;
  readonly resolve: (sent: Sent) => void;
}

export class Outbox {
  readonly #writer: LineWriter;
  readonly #waiting = new Set<Waiting>();
  #writing = false;

  constructor(writer: LineWriter) {
    this.#writer = writer;
  }

  /**
   * Writes a line after those before it. Never rejects.
   * @param signal where it is aborted before the line's turn, the line is not written
   */
  write(line: Uint8Array, signal?: AbortSignal): Promise<Sent> {
    if (signal?.aborted === true) return Promise.resolve('given_up');
    const { promise, resolve } = Promise.withResolvers<Sent>();
    const waiting: Waiting = { line, resolve };
    this.#waiting.add(waiting);
    signal?.addEventListener(
      'abort',
      () => {
        // Once it is being written nothing stops it.
        if (this.#waiting.delete(waiting)) resolve('given_up');
      },
      { once: true },
    );
    if (!this.#writing) void this.#write();
    return promise;
  }

  /** Writes a line that nothing waits for, unless others wait already. @returns whether it was written */
  offer(line: Uint8Array): boolean {
    if (this.#writing) return false;
    void this.write(line);
    return true;
  }

  /** No further line is written; those that wait are not either. */
  end(): void {
    for (const { resolve } of this.#waiting) resolve('broken');
    this.#waiting.clear();
    this.#writer.end();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    for (const waiting of this.#waiting) {
      this.#waiting.delete(waiting);
      waiting.resolve((await this.#writer.write(waiting.line)) ? 'written' : 'broken');
    }
    this.#writing = false;
  }
}
