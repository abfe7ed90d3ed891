/**
 * JSON as two parsers cannot read it differently: RFC 8259 to the letter, no key twice in an object, and no two
 * keys that a lenient parser could take for one (CVE-2026-27896 and its kin: Go's case-insensitive members).
 *
 * Iterative, so that nesting costs no stack; objects become Maps, and numbers keep their source text.
 */
import { VerdictError } from '../../errors.ts';
import type { ErrorCode, ErrorDetails } from '../../errors.ts';
import { JsonNumber } from '../../event/json.ts';
import type { Json } from '../../event/json.ts';
import type { Limit } from '../limit.ts';

/** Levels of nesting, the root container being the first. The maximum protects the layers above, which recurse. */
export const JSON_DEPTH_MAX: Limit = { default: 64, maximum: 512 };

export interface JsonLimits {
  /** Levels; above the maximum it counts as the maximum. */
  readonly depthMax: number;
}

export interface JsonOptions extends JsonLimits {
  /** Levels below the root down to which objects and arrays have a span. */
  readonly spanLevels: number;
  /** Levels below the root down to which keys that look alike are refused; equal ones are, however deep. */
  readonly foldLevels: number;
}

/** Where a value stands in the text: UTF-16 offsets, the end exclusive. */
export type Span = readonly [start: number, end: number];

export type StrictJson =
  | {
      readonly ok: true;
      readonly value: Json;
      /** Of each object and array down to `spanLevels`. */
      readonly spans: ReadonlyMap<Json, Span>;
    }
  | { readonly ok: false; readonly code: ErrorCode; readonly details: ErrorDetails };

/**
 * Parses one JSON text. Never throws.
 * Refusals: `parse_json`, `parse_duplicate_key`, `parse_depth`.
 */
export function parseStrictJson(text: string, options: Partial<JsonOptions> = {}): StrictJson {
  const reader = new Reader(text, {
    depthMax: Math.min(options.depthMax ?? JSON_DEPTH_MAX.default, JSON_DEPTH_MAX.maximum),
    spanLevels: options.spanLevels ?? SPAN_LEVELS_DEFAULT,
    foldLevels: options.foldLevels ?? JSON_DEPTH_MAX.maximum,
  });
  try {
    return { ok: true, value: reader.read(), spans: reader.spans };
  } catch (error) {
    if (error instanceof VerdictError) return { ok: false, code: error.code, details: error.details };
    throw error;
  }
}

const ASCII_WITHOUT_NUL = /^[\u0001-\u007f]*$/;
const UNSEEN = /[\0\p{Default_Ignorable_Code_Point}]/gu;

/**
 * The form in which two keys are the same to some parser: case, compatibility forms, NUL and zero-width
 * characters taken away. Two keys that share it may not stand in one object.
 * @returns undefined where the key has more than MARKS_LENGTH_MAX combining marks in a row
 */
export function foldKey(key: string): string | undefined {
  if (ASCII_WITHOUT_NUL.test(key)) return key.toUpperCase();
  const seen = key.replace(UNSEEN, '');
  if (seen.length > MARKS_LENGTH_MAX && hasManyMarks(seen)) return undefined;
  // Lower before upper: U+017F and U+212A reach S and K either way, U+1E9E only so. Twice through NFKC, because a
  // change of case can leave the normal form.
  return seen.normalize('NFKC').toLowerCase().toUpperCase().normalize('NFKC');
}

/**
 * UTF-16 units of combining marks in a row that a key may have (UAX #15, Stream-Safe Text Format). Not
 * configurable: normalizing takes time by the square of it.
 */
export const MARKS_LENGTH_MAX = 30;

/** U+FF9E and U+FF9F are letters that decompose into marks. */
const MARKS = /[\p{M}\uff9e\uff9f]+/gu;

function hasManyMarks(text: string): boolean {
  for (const [marks] of text.matchAll(MARKS)) {
    if (marks.length > MARKS_LENGTH_MAX) return true;
  }
  return false;
}

const SHOWN_LENGTH_MAX = 64;

/** What the sender wrote, as an error may repeat it: at most 64 UTF-16 units, well-formed. */
export function shown(text: string): string {
  return (text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text).toWellFormed();
}

/** A request's `params.arguments`. */
const SPAN_LEVELS_DEFAULT = 2;

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const BRACKET_OPEN = 0x5b;
const BACKSLASH = 0x5c;
const BRACKET_CLOSE = 0x5d;
const BRACE_OPEN = 0x7b;
const BRACE_CLOSE = 0x7d;

const STRING_STOP = /["\\\u0000-\u001f]/g;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

/** Keys that fold only onto themselves: between two such, only exact equality collides. */
const FOLDS_ALONE = /^[\u0001-\u0040\u005b-\u007f]*$/;

interface ObjectFrame {
  readonly kind: 'object';
  readonly start: number;
  readonly value: Map<string, Json>;
  /** Of the member that is being read. */
  key: string;
  /** Whether a key was seen that could collide with a different one. */
  folds: boolean;
}

interface ArrayFrame {
  readonly kind: 'array';
  readonly start: number;
  readonly value: Json[];
}

type Frame = ObjectFrame | ArrayFrame;

class Reader {
  readonly spans = new Map<Json, Span>();
  readonly #text: string;
  readonly #options: JsonOptions;
  readonly #stack: Frame[] = [];
  #at = 0;

  constructor(text: string, options: JsonOptions) {
    this.#text = text;
    this.#options = options;
  }

  read(): Json {
    if (this.#text.charCodeAt(0) === 0xfeff) throw invalid('it begins with a byte order mark');
    for (;;) {
      const value = this.#value();
      const root = value === undefined ? undefined : this.#attach(value);
      if (root !== undefined) return root;
    }
  }

  /** A scalar or an empty container; undefined where a container was opened and its first value comes next. */
  #value(): Json | undefined {
    const char = this.#next();
    if (char === QUOTE) return this.#string();
    if (char === BRACE_OPEN) return this.#openObject();
    if (char === BRACKET_OPEN) return this.#openArray();
    if (char === MINUS || (char >= ZERO && char <= NINE)) return this.#number();
    if (this.#literal('true')) return true;
    if (this.#literal('false')) return false;
    if (this.#literal('null')) return null;
    throw this.#unexpected(this.#at);
  }

  /** Puts a value into its container and closes what ends after it; returns the root once it is whole. */
  #attach(value: Json): Json | undefined {
    let whole = value;
    for (;;) {
      const frame = this.#stack[this.#stack.length - 1];
      const char = this.#next();
      if (frame === undefined) {
        if (this.#at < this.#text.length) throw this.#unexpected(this.#at);
        return whole;
      }
      if (frame.kind === 'object') frame.value.set(frame.key, whole);
      else frame.value.push(whole);

      if (char === COMMA) {
        this.#at += 1;
        if (frame.kind === 'object') this.#key(frame);
        return undefined;
      }
      if (char !== (frame.kind === 'object' ? BRACE_CLOSE : BRACKET_CLOSE)) throw this.#unexpected(this.#at);
      whole = this.#close(frame);
    }
  }

  #openObject(): Json | undefined {
    const frame: ObjectFrame = { kind: 'object', start: this.#at, value: new Map(), key: '', folds: false };
    this.#open(frame);
    if (this.#next() === BRACE_CLOSE) return this.#close(frame);
    this.#key(frame);
    return undefined;
  }

  #openArray(): Json | undefined {
    const frame: ArrayFrame = { kind: 'array', start: this.#at, value: [] };
    this.#open(frame);
    return this.#next() === BRACKET_CLOSE ? this.#close(frame) : undefined;
  }

  #open(frame: Frame): void {
    const { depthMax: max } = this.#options;
    if (this.#stack.length >= max) throw new VerdictError('parse_depth', { max });
    this.#stack.push(frame);
    this.#at += 1;
  }

  #close(frame: Frame): Json {
    this.#at += 1;
    this.#stack.pop();
    const level = this.#stack.length;
    const { spanLevels, foldLevels } = this.#options;
    if (frame.kind === 'object' && frame.folds && level <= foldLevels && frame.value.size > 1) {
      refuseCollisions(frame.value.keys());
    }
    if (level <= spanLevels) this.spans.set(frame.value, [frame.start, this.#at]);
    return frame.value;
  }

  #key(frame: ObjectFrame): void {
    if (this.#next() !== QUOTE) throw this.#unexpected(this.#at);
    const key = this.#string();
    if (frame.value.has(key)) throw duplicate(key);
    if (!FOLDS_ALONE.test(key)) frame.folds = true;
    frame.key = key;
    if (this.#next() !== COLON) throw this.#unexpected(this.#at);
    this.#at += 1;
  }

  #string(): string {
    const start = this.#at;
    STRING_STOP.lastIndex = start + 1;
    if (!STRING_STOP.test(this.#text)) throw this.#unexpected(this.#text.length);
    const at = STRING_STOP.lastIndex - 1;
    if (this.#text.charCodeAt(at) !== QUOTE) return this.#escapedString(start, at);
    this.#at = at + 1;
    return this.#text.slice(start + 1, at);
  }

  /** @param from where the first character stands that is not simply part of the string */
  #escapedString(start: number, from: number): string {
    let at = from;
    for (;;) {
      const char = this.#text.charCodeAt(at);
      if (char === QUOTE) break;
      if (char === BACKSLASH) at += 2;
      else if (char >= SPACE) at += 1;
      else throw this.#unexpected(at); // a control character, or NaN at the end of the text
    }
    this.#at = at + 1;
    const value = unescaped(this.#text.slice(start, this.#at));
    if (value === undefined) throw invalid(`bad escape in the string at offset ${start}`, start);
    return value;
  }

  #number(): JsonNumber {
    NUMBER.lastIndex = this.#at;
    if (!NUMBER.test(this.#text)) throw this.#unexpected(this.#at);
    const start = this.#at;
    this.#at = NUMBER.lastIndex;
    return new JsonNumber(this.#text.slice(start, this.#at));
  }

  #literal(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  /** The next character that is not white space, without taking it; NaN at the end. */
  #next(): number {
    for (;;) {
      const char = this.#text.charCodeAt(this.#at);
      if (char !== SPACE && char !== LF && char !== CR && char !== TAB) return char;
      this.#at += 1;
    }
  }

  #unexpected(at: number): VerdictError {
    const offset = Math.min(at, this.#text.length);
    return invalid(
      at < this.#text.length ? `unexpected character at offset ${at}` : 'it ends too early',
      offset,
    );
  }
}

/** @param offset where it stands in the text, in UTF-16 units, for whoever tells a line of it */
function invalid(detail: string, offset = 0): VerdictError {
  return new VerdictError('parse_json', { detail, offset });
}

function duplicate(key: string): VerdictError {
  return new VerdictError('parse_duplicate_key', { key: shown(key) });
}

/** A string literal with escapes, read by the platform: strings nest nothing and hide no keys. */
function unescaped(literal: string): string | undefined {
  try {
    const value: unknown = JSON.parse(literal);
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

function refuseCollisions(keys: Iterable<string>): void {
  const seen = new Set<string>();
  for (const key of keys) {
    const folded = foldKey(key);
    if (folded === undefined)
      throw invalid(`a key has more than ${MARKS_LENGTH_MAX} combining marks in a row`);
    if (seen.has(folded)) throw duplicate(key);
    seen.add(folded);
  }
}
