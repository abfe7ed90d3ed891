/**
 * Where values stand in a JSON text, as bytes, so that one can be put in the place of another and all else stays as
 * it was written. Pure.
 */

/** Byte offsets, the end exclusive. */
export type ByteSpan = readonly [start: number, end: number];

export interface Replacement {
  readonly path: readonly string[];
  /** JSON text. */
  readonly json: string;
}

/**
 * The value at a path of member names, and where a name stands twice, all of them: readers differ in which they take.
 * @param bytes one JSON text; what is none is the caller's fault, and ends the search
 */
export function valueSpans(bytes: Uint8Array, path: readonly string[]): ByteSpan[] {
  const found: ByteSpan[] = [];
  search({ bytes, path, found }, skipSpace(bytes, 0), 0);
  return found;
}

/** The text with each of those values replaced. Paths must not lie within each other. */
export function replaceValues(bytes: Uint8Array, replacements: readonly Replacement[]): Uint8Array {
  const spans = replacements.flatMap(({ path, json }) =>
    valueSpans(bytes, path).map(([start, end]) => ({ start, end, json })),
  );
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const { start, end, json } of spans.toSorted((a, b) => a.start - b.start)) {
    pieces.push(bytes.subarray(at, start), Buffer.from(json));
    at = end;
  }
  return at === 0 ? bytes : Buffer.concat([...pieces, bytes.subarray(at)]);
}

interface Search {
  readonly bytes: Uint8Array;
  readonly path: readonly string[];
  readonly found: ByteSpan[];
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const BRACE_OPEN = 0x7b;
const BRACE_CLOSE = 0x7d;
const BRACKET_OPEN = 0x5b;
const BRACKET_CLOSE = 0x5d;

/** @param depth how much of the path lies behind; as deep as the path is long, and no deeper, this recurses */
function search(wanted: Search, start: number, depth: number): number {
  const { bytes, path, found } = wanted;
  const name = path[depth];
  if (name === undefined) {
    const end = skipValue(bytes, start);
    found.push([start, end]);
    return end;
  }
  if (bytes[start] !== BRACE_OPEN) return skipValue(bytes, start);
  let at = skipSpace(bytes, start + 1);
  while (bytes[at] === QUOTE) {
    const keyEnd = skipString(bytes, at);
    const matches = keyIs(bytes.subarray(at, keyEnd), name);
    // Past the colon.
    const value = skipSpace(bytes, skipSpace(bytes, keyEnd) + 1);
    at = skipSpace(bytes, matches ? search(wanted, value, depth + 1) : skipValue(bytes, value));
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1);
  }
  return at + 1;
}

function keyIs(quoted: Uint8Array, name: string): boolean {
  const text = Buffer.from(quoted.buffer, quoted.byteOffset, quoted.length).toString();
  if (!text.includes('\\')) return text.slice(1, -1) === name;
  const key: unknown = JSON.parse(text);
  return key === name;
}

function skipValue(bytes: Uint8Array, start: number): number {
  const first = bytes[start];
  if (first === QUOTE) return skipString(bytes, start);
  if (first === BRACE_OPEN || first === BRACKET_OPEN) return skipContainer(bytes, start);
  let at = start;
  while (at < bytes.length && !endsScalar(bytes[at] ?? 0)) at += 1;
  return at;
}

function skipContainer(bytes: Uint8Array, start: number): number {
  let depth = 0;
  for (let at = start; at < bytes.length;) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = skipString(bytes, at);
      continue;
    }
    at += 1;
    if (byte === BRACE_OPEN || byte === BRACKET_OPEN) depth += 1;
    else if (byte === BRACE_CLOSE || byte === BRACKET_CLOSE) depth -= 1;
    if (depth === 0) return at;
  }
  return bytes.length;
}

/** @returns the offset after the closing quote */
function skipString(bytes: Uint8Array, start: number): number {
  for (let at = bytes.indexOf(QUOTE, start + 1); at !== -1; at = bytes.indexOf(QUOTE, at + 1)) {
    let escapes = 0;
    while (bytes[at - 1 - escapes] === BACKSLASH) escapes += 1;
    if (escapes % 2 === 0) return at + 1;
  }
  return bytes.length;
}

function skipSpace(bytes: Uint8Array, start: number): number {
  let at = start;
  while (isSpace(bytes[at])) at += 1;
  return at;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function endsScalar(byte: number): boolean {
  return byte === COMMA || byte === BRACE_CLOSE || byte === BRACKET_CLOSE || isSpace(byte);
}
