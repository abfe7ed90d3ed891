/**
 * Lines of a byte stream (MCP transports, stdio: messages are delimited by newlines and hold none). Split on the
 * byte 0x0A, so that a character cut in two by a chunk border is never decoded in halves, and each line keeps the
 * bytes it came with.
 */
import type { Limit } from '../limit.ts';

/** Bytes of one line, without its LF. */
export const LINE_BYTES_MAX: Limit = { default: 10 * 1024 * 1024, maximum: 64 * 1024 * 1024 };

/** One line, or the place where a line stood that was longer than allowed. */
export type Line =
  | {
      readonly kind: 'line';
      /** The line with its LF, as it came: what is forwarded. */
      readonly framed: Uint8Array;
      /** The same bytes without the LF: what is parsed. A CR before the LF is JSON whitespace and stays. */
      readonly content: Uint8Array;
    }
  | { readonly kind: 'oversize' };

export interface LineSplitter {
  /** The lines that the chunk completes. Lines of nothing but whitespace are left out. */
  push(chunk: Uint8Array): Line[];
  /** What stands after the last LF, with the LF it lacks. */
  end(): Line[];
}

const LF = 0x0a;
const CR = 0x0d;

/**
 * Whether a reader with universal newlines (Python's text streams, Node's readline) would end a line within this
 * one: at a CR anywhere but before the LF. Of what `str.splitlines` splits at besides, the C0 characters are
 * nowhere in a JSON text, and U+0085, U+2028 and U+2029 only inside strings. A piece between two of those can hold
 * no message: its quotes are none of its own, so that all it could have as strings is our punctuation.
 */
export function hasStrayReturn(content: Uint8Array): boolean {
  const at = content.indexOf(CR);
  return at !== -1 && at !== content.length - 1;
}

/** @param lineBytesMax see LINE_BYTES_MAX; a longer line is reported once and skipped up to its LF */
export function createLineSplitter(lineBytesMax: number): LineSplitter {
  let parts: Uint8Array[] = [];
  let size = 0;
  let skipping = false;

  const keep = (part: Uint8Array, lines: Line[]): void => {
    if (skipping) return;
    size += part.length;
    if (size <= lineBytesMax) {
      parts.push(part);
      return;
    }
    parts = [];
    skipping = true;
    lines.push({ kind: 'oversize' });
  };
  /** @param tail the bytes up to and with the LF */
  const close = (tail: Uint8Array, lines: Line[]): void => {
    keep(tail.subarray(0, -1), lines);
    if (!skipping) {
      const framed = parts.length === 1 ? tail : Buffer.concat([...parts.slice(0, -1), tail]);
      if (!isBlank(framed)) lines.push({ kind: 'line', framed, content: framed.subarray(0, -1) });
    }
    parts = [];
    size = 0;
    skipping = false;
  };

  return {
    push(chunk) {
      const lines: Line[] = [];
      let start = 0;
      for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, start)) {
        close(chunk.subarray(start, at + 1), lines);
        start = at + 1;
      }
      if (start < chunk.length) keep(chunk.subarray(start), lines);
      return lines;
    },
    end() {
      const lines: Line[] = [];
      close(Uint8Array.of(LF), lines);
      return lines;
    },
  };
}

function isBlank(framed: Uint8Array): boolean {
  return framed.every((byte) => byte === LF || byte === CR || byte === 0x20 || byte === 0x09);
}
