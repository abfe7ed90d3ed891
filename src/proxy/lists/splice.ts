/**
 * Where the parts of a JSON text stand, and how to change some of them while every other character stays. For texts
 * that the strict parser has read: nothing is checked again. Pure.
 */
import { JsonNumber, type Json } from '../../event/json.ts';
import type { Span } from '../message/strict-json.ts';

/** A JSON text and what was read of it. */
export interface ReadText {
  readonly text: string;
  /** Of objects and arrays, as the parser gives them. */
  readonly spans: ReadonlyMap<Json, Span>;
}

/** A part of a text and what is to stand in its place. */
export interface Edit {
  readonly span: Span;
  readonly text: string;
}

/** @param edits in the order of the text, none overlapping another */
export function spliced(text: string, edits: readonly Edit[]): string {
  const parts: string[] = [];
  let at = 0;
  for (const { span, text: replacement } of edits) {
    parts.push(text.slice(at, span[0]), replacement);
    at = span[1];
  }
  return parts.join('') + text.slice(at);
}

/** Spans of the values of an object that has a span itself, by key. */
export function memberSpans(read: ReadText, object: ReadonlyMap<string, Json>): ReadonlyMap<string, Span> {
  const { text } = read;
  const found = new Map<string, Span>();
  let at = startOf(read, object);
  // No key stands twice, so a Map has its members in the order of the text.
  for (const [key, value] of object) {
    const colon = blanksEnd(text, stringEnd(text, blanksEnd(text, at)));
    const start = blanksEnd(text, colon + 1);
    const end = valueEnd(read, value, start);
    found.set(key, [start, end]);
    at = blanksEnd(text, end) + 1;
  }
  return found;
}

/** Spans of the elements of an array that has a span itself. */
export function elementSpans(read: ReadText, array: readonly Json[]): readonly Span[] {
  let at = startOf(read, array);
  return array.map((value) => {
    const start = blanksEnd(read.text, at);
    const end = valueEnd(read, value, start);
    at = blanksEnd(read.text, end) + 1;
    return [start, end];
  });
}

/**
 * What takes elements out of an array: each with one comma beside it, and the blanks between the two.
 * @param keeps one for each span
 */
export function removals(spans: readonly Span[], keeps: readonly boolean[]): Edit[] {
  const edits: Edit[] = [];
  const cut = (start: number, end: number): void => {
    if (end > start) edits.push({ span: [start, end], text: '' });
  };
  let keptEnd: number | undefined;
  let previousEnd = spans[0]?.[0] ?? 0;
  spans.forEach(([start, end], index) => {
    if (keeps[index] === true) {
      // Before the first that stays, its comma is behind what goes; later, in front of it.
      if (keptEnd === undefined) cut(spans[0]?.[0] ?? start, start);
      else cut(keptEnd, previousEnd);
      keptEnd = end;
    }
    previousEnd = end;
  });
  cut(keptEnd ?? spans[0]?.[0] ?? 0, previousEnd);
  return edits;
}

/** Behind the bracket or brace. */
function startOf({ spans }: ReadText, container: Json): number {
  const span = spans.get(container);
  if (span === undefined) throw new RangeError('the container is too deep to have a span');
  return span[0] + 1;
}

function valueEnd({ text, spans }: ReadText, value: Json, start: number): number {
  if (typeof value === 'string') return stringEnd(text, start);
  if (value instanceof JsonNumber) return start + value.text.length;
  if (value === null || typeof value === 'boolean') return start + String(value).length;
  const span = spans.get(value);
  if (span === undefined) throw new RangeError('the value is too deep to have a span');
  return span[1];
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BLANKS: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);

function stringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const char = text.charCodeAt(at);
    if (char === QUOTE) return at + 1;
    if (char === BACKSLASH) at += 1;
  }
  throw new RangeError('the string has no end');
}

function blanksEnd(text: string, start: number): number {
  let at = start;
  while (BLANKS.has(text.charCodeAt(at))) at += 1;
  return at;
}
