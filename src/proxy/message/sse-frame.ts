/**
 * Events as a client gets them: in a form that every reader splits in the same way. Some split lines at more than
 * the standard does (Python's `str.splitlines` and what is built on it, such as `requests`' iter_lines), and so
 * find a field of their own within a comment, a name or an id. Pure.
 */
import type { SseEvent } from './sse.ts';

/** Where `str.splitlines` ends a line and the standard does not. */
const LENIENT_END = /[\v\f\u001c-\u001e\u0085\u2028\u2029]/;
const FIELD = /^[\s\ufeff]*(?:data|event|id|retry)\s*(?::|$)/i;

/**
 * Whether the data, passed on as it is, would give a lenient reader a field that it has not for others. Its
 * separators stand raw inside JSON strings, where they are legal, so data without such a piece is left alone.
 */
export function isAmbiguous(data: string): boolean {
  if (!LENIENT_END.test(data)) return false;
  return data.split('\n').some((line) =>
    line
      .split(LENIENT_END)
      .slice(1)
      .some((piece) => FIELD.test(piece)),
  );
}

/** Ids go into a header of the client's later on, and names are words: others are in no use. */
const PLAIN = /^[\x20-\x7e]*$/;
const NOT_PLAIN = /[^\x20-\x7e]/g;

/**
 * One event with LF as its line end, the data line by line as it was. Comments lose their text, unknown fields go:
 * what keeps a connection alive is a bare colon. An id that is not plain ASCII is left out, so that a client
 * resumes from the event before.
 * @returns undefined where nothing is left to send
 */
export function frameEvent({ data, event, id, retry, filled, ended }: SseEvent): Uint8Array | undefined {
  const lines: string[] = [];
  if (id !== undefined && PLAIN.test(id)) lines.push(`id: ${id}\n`);
  if (event !== undefined) lines.push(`event: ${event.replace(NOT_PLAIN, '?')}\n`);
  if (retry !== undefined) lines.push(`retry: ${retry}\n`);
  if (data !== undefined) for (const line of data.split('\n')) lines.push(`data: ${line}\n`);
  if (lines.length === 0) {
    if (!filled) return undefined;
    lines.push(':\n');
  }
  // The end of a stream ends no event, and it is not for us to end it.
  return Buffer.from(ended ? `${lines.join('')}\n` : lines.join(''));
}
