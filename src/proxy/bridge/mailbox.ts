/** Messages that no stream is there for yet: kept in order, up to a limit, and then the oldest goes. */
import type { ServerLine } from './server-process.ts';

export interface MailboxLimits {
  readonly waitingMax: number;
  readonly waitingBytesMax: number;
}

export class Mailbox {
  readonly #limits: MailboxLimits;
  readonly #dropped: (line: ServerLine) => void;
  #lines: ServerLine[] = [];
  #bytes = 0;

  /** @param dropped told of each message that had to go */
  constructor(limits: MailboxLimits, dropped: (line: ServerLine) => void) {
    this.#limits = limits;
    this.#dropped = dropped;
  }

  put(line: ServerLine): void {
    this.#lines.push(line);
    this.#bytes += line.content.length;
    while (this.#lines.length > this.#limits.waitingMax || this.#bytes > this.#limits.waitingBytesMax) {
      const oldest = this.#lines.shift();
      if (oldest === undefined) return;
      this.#bytes -= oldest.content.length;
      this.#dropped(oldest);
    }
  }

  /** Takes all of them out. */
  empty(): readonly ServerLine[] {
    const lines = this.#lines;
    this.#lines = [];
    this.#bytes = 0;
    return lines;
  }
}
