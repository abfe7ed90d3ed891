/**
 * Streams that were taken over, until they may be marked. A mark says that all is on record that there is to say of a
 * stream, so nobody says it again: it may only follow the record that names where the stream ended, which is what proves
 * that nothing was cut off behind it.
 */
import { adoptionText } from '../event/verify.ts';
import { ARRAY_ITEMS_MAX, type Scalar } from '../event/vocabulary.ts';
import type { AdoptedStream } from '../spool/adoption.ts';

export class Naming {
  readonly #unnamed = new Map<string, AdoptedStream>();
  readonly #named: AdoptedStream[] = [];

  /**
   * @param streams not marked
   * @returns values of `verdict.lifecycle.adopted`, a record each: one holds no more items than that
   */
  take(streams: readonly AdoptedStream[]): string[][] {
    const texts: string[] = [];
    for (const stream of streams) {
      // Of one that died before its first record there is nothing to prove.
      if (stream.end.sequence === 0) {
        this.#named.push(stream);
        continue;
      }
      const text = adoptionText(stream.end);
      this.#unnamed.set(text, stream);
      texts.push(text);
    }
    const records: string[][] = [];
    while (texts.length > 0) records.push(texts.splice(0, ARRAY_ITEMS_MAX));
    return records;
  }

  /** A record with these names is about to be durable. */
  named(texts: Scalar): void {
    for (const text of Array.isArray(texts) ? texts : []) {
      const stream = this.#unnamed.get(text);
      if (stream !== undefined) this.#named.push(stream);
      this.#unnamed.delete(text);
    }
  }

  /** Hands over those that may be marked once all that was recorded so far is durable. */
  markable(): AdoptedStream[] {
    return this.#named.splice(0);
  }

  /** They could not be marked. */
  again(streams: readonly AdoptedStream[]): void {
    this.#named.push(...streams);
  }
}
