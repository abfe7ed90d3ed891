/** An event while a format takes it apart: what is left at the end has no field of its own there, and must not be lost. */
import type { Event, Scalar } from '../event/vocabulary.ts';

/** A value of another kind than asked for, or an empty text, is not given, so that it is left. */
export class Untold {
  readonly #event: Event;
  readonly #told = new Set<string>();

  constructor(event: Event) {
    this.#event = event;
  }

  text(key: string): string | undefined {
    const value = this.peek(key);
    if (typeof value !== 'string' || value === '') return undefined;
    this.#told.add(key);
    return value;
  }

  integer(key: string): number | undefined {
    const value = this.peek(key);
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) return undefined;
    this.#told.add(key);
    return value;
  }

  texts(key: string): readonly string[] | undefined {
    const value = this.peek(key);
    if (typeof value !== 'object') return undefined;
    this.#told.add(key);
    return value;
  }

  /** What a value is, for whoever says only a part of it. */
  peek(key: string): Scalar | undefined {
    return Object.hasOwn(this.#event, key) ? this.#event[key] : undefined;
  }

  /** For what was peeked at and said in full. */
  tell(key: string): void {
    this.#told.add(key);
  }

  /** In the event's order. */
  rest(): (readonly [key: string, value: Scalar])[] {
    const rest: (readonly [string, Scalar])[] = [];
    for (const key of Object.keys(this.#event)) {
      const value = this.#event[key];
      if (value !== undefined && !this.#told.has(key)) rest.push([key, value]);
    }
    return rest;
  }
}
