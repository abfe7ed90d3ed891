/**
 * Canonical JSON (RFC 8785): what is hashed, signed and stored. One deliberate difference: a number that a double
 * cannot hold keeps its exact value, because a record that says 9007199254740992 for 9007199254740993 is false.
 */
import { isObject, JsonNumber } from './json.ts';
import type { Json } from './json.ts';
import type { Event, Scalar } from './vocabulary.ts';

/** An open array or object: what it holds, and how far the writer is. */
interface Frame {
  readonly items: readonly Json[];
  /** Names as JSON, in order; undefined for an array. */
  readonly names: readonly string[] | undefined;
  at: number;
}

/** A value as canonical JSON. Takes any depth: the stack is its own. */
export function canonicalJson(value: Json): string {
  const stack: Frame[] = [];
  let text = '';
  let next: Json | undefined = value;
  for (;;) {
    if (next !== undefined) {
      const frame = open(next);
      if (frame === undefined) text += scalar(next);
      else {
        stack.push(frame);
        text += frame.names === undefined ? '[' : '{';
      }
    }
    const top = stack.at(-1);
    if (top === undefined) return text;
    next = top.items[top.at];
    if (next === undefined) {
      text += top.names === undefined ? ']' : '}';
      stack.pop();
      continue;
    }
    if (top.at > 0) text += ',';
    if (top.names !== undefined) text += `${top.names[top.at]}:`;
    top.at += 1;
  }
}

/** An event as canonical JSON on one line: its body. */
export function canonicalEvent(event: Event): string {
  const members = Object.keys(event)
    .sort()
    .map((key) => `${quote(key)}:${canonicalScalar(event[key])}`);
  return `{${members.join(',')}}`;
}

/** What `canonicalEvent` writes for the value of one member. */
export function canonicalScalar(value: Scalar | undefined): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'object') return `[${value.map(quote).join(',')}]`;
  return JSON.stringify(value) ?? 'null';
}

function open(value: Json): Frame | undefined {
  if (typeof value !== 'object') return undefined;
  if (isObject(value)) return openObject(value);
  return Array.isArray(value) ? { items: value, names: undefined, at: 0 } : undefined;
}

/** Members by UTF-16 code units of the names as they are written (RFC 8785, section 3.2.3). */
function openObject(object: ReadonlyMap<string, Json>): Frame {
  const keys = [...object.keys()];
  if (keys.every((key) => key.isWellFormed())) {
    // Without a comparator: that is several times as fast.
    keys.sort();
    return { items: keys.map((key) => object.get(key) ?? null), names: keys.map(quote), at: 0 };
  }
  const members = Array.from(object, ([key, item]) => [key.toWellFormed(), item] as const);
  members.sort(([a], [b]) => (a < b ? -1 : Number(a > b)));
  return { items: members.map(([, item]) => item), names: members.map(([key]) => quote(key)), at: 0 };
}

function scalar(value: Json): string {
  if (typeof value === 'string') return quote(value);
  return value instanceof JsonNumber ? number(value) : JSON.stringify(value);
}

/** ASCII that JSON writes as it is: most names and many values, worth a short way. */
const PLAIN = /^[ !#-[\]-~]*$/;

function quote(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text.toWellFormed());
}

function number(literal: JsonNumber): string {
  const { text } = literal;
  // JSON has no leading zeros and no plus sign, so but for -0 an integer is its own exact form.
  if (literal.isInteger) return text === '-0' ? '0' : text;
  const { value } = literal;
  return Number.isFinite(value) ? String(value) : text.toLowerCase();
}
