/** JSON pointers (RFC 6901) of what was hidden or cut, few and short enough for a record. */
import { cutText } from './text.ts';
import { ARRAY_ITEMS_MAX, STRING_BYTES_MAX } from './vocabulary.ts';

/** A place in a value, from the inside out; undefined is the value itself. */
export interface Path {
  readonly up: Path | undefined;
  /** Member name, as it is shown, or element index. */
  readonly name: string | number;
}

/** Bytes of all pointers of one record together. */
export const POINTERS_BYTES_MAX = 8192;

/** Says that more was hidden than is listed: the pointer to the whole. */
export const WHOLE_POINTER = '';

export function pointerOf(path: Path | undefined): string {
  const parts: string[] = [];
  for (let at = path; at !== undefined; at = at.up) {
    parts.push(`/${String(at.name).replaceAll('~', '~0').replaceAll('/', '~1')}`);
  }
  return cutText(parts.toReversed().join(''), STRING_BYTES_MAX).text;
}

/** Gathers pointers without repetition. What is beyond the caps becomes one WHOLE_POINTER at the end. */
export class Pointers {
  readonly #pointers = new Set<string>();
  #bytes = 0;
  #more = false;

  add(path: Path | undefined): void {
    if (this.#more || path === undefined) {
      this.#more = true;
      return;
    }
    const pointer = pointerOf(path);
    if (this.#pointers.has(pointer)) return;
    this.#bytes += Buffer.byteLength(pointer);
    if (this.#pointers.size >= ARRAY_ITEMS_MAX - 1 || this.#bytes > POINTERS_BYTES_MAX) this.#more = true;
    else this.#pointers.add(pointer);
  }

  get isEmpty(): boolean {
    return this.#pointers.size === 0 && !this.#more;
  }

  list(): readonly string[] {
    return this.#more ? [...this.#pointers, WHOLE_POINTER] : [...this.#pointers];
  }
}
