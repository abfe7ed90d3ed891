/**
 * How two definitions of a tool differ, in lines for people and records. What a server writes stands in them, so they
 * are short, hold no secret that can be told by its form, and show as an escape what a terminal or an eye would not.
 * Pure.
 */
import { canonicalJson } from '../../event/canonical.ts';
import { isObject } from '../../event/json.ts';
import type { Json } from '../../event/json.ts';
import { pointerOf, type Path } from '../../event/pointers.ts';
import { hideSecrets } from '../../event/secrets.ts';
import { asciiOnly, hasUnseen, withEscapes } from './escapes.ts';

/** Lines of one difference, or pointers of what is not seen. What is beyond is counted in one more. */
export const DIFFERENCES_MAX = 16;
/** UTF-16 units that are shown of one value, before its escapes. */
export const VALUE_LENGTH_MAX = 160;
/** Of a text, what is shown on each side of what has changed. */
const CONTEXT_LENGTH = 24;
/** Of a text, what is looked through for secrets on each side of what is shown: a private key may begin there. */
const MARGIN_LENGTH = 2048;

/** Lines `POINTER: OLD -> NEW`, `POINTER: added NEW` or `POINTER: removed OLD`, by pointer; none where they are equal. */
export function differencesOf(before: Json, after: Json): readonly string[] {
  const found: Found = { lines: [], more: 0 };
  compare(before, after, { path: undefined, found });
  return listOf(found);
}

/** Pointers to the texts and names of a definition that hold what is not seen (escapes.ts), and how many are left out. */
export function unseenIn(definition: Json): readonly string[] {
  const found: Found = { lines: [], more: 0 };
  const walk = (value: Json, path: Path | undefined): void => {
    if (typeof value === 'string' && hasUnseen(value)) add(found, () => withEscapes(pointerOf(path)));
    else if (isObject(value)) {
      for (const [name, item] of value) {
        const inner = { up: path, name };
        if (hasUnseen(name)) add(found, () => withEscapes(pointerOf(inner)));
        walk(item, inner);
      }
    } else if (Array.isArray(value)) value.forEach((item: Json, name) => walk(item, { up: path, name }));
  };
  walk(definition, undefined);
  return listOf(found);
}

interface Found {
  readonly lines: string[];
  more: number;
}

function listOf({ lines, more }: Found): readonly string[] {
  return more === 0 ? lines : [...lines, `and ${more} more`];
}

/** A line is only made where there is room for it. */
function add(found: Found, line: () => string): void {
  if (found.lines.length < DIFFERENCES_MAX) found.lines.push(line());
  else found.more += 1;
}

interface At {
  readonly path: Path | undefined;
  readonly found: Found;
}

function compare(before: Json, after: Json, at: At): void {
  if (isObject(before) && isObject(after)) {
    const names = [...new Set([...before.keys(), ...after.keys()])].toSorted();
    for (const name of names) member(before.get(name), after.get(name), inside(at, name));
  } else if (Array.isArray(before) && Array.isArray(after)) {
    const [one, other]: [readonly Json[], readonly Json[]] = [before, after];
    const length = Math.max(one.length, other.length);
    for (let index = 0; index < length; index += 1) member(one[index], other[index], inside(at, index));
  } else if (canonicalJson(before) !== canonicalJson(after)) {
    tell(at, () => changed(before, after));
  }
}

function inside({ path, found }: At, name: string | number): At {
  return { path: { up: path, name }, found };
}

function member(before: Json | undefined, after: Json | undefined, at: At): void {
  if (before !== undefined && after !== undefined) compare(before, after, at);
  else if (after !== undefined) tell(at, () => `added ${shown(after)}`);
  else if (before !== undefined) tell(at, () => `removed ${shown(before)}`);
}

function tell({ path, found }: At, words: () => string): void {
  add(found, () => `${withEscapes(pointerOf(path))}: ${words()}`);
}

function changed(before: Json, after: Json): string {
  if (typeof before !== 'string' || typeof after !== 'string') return `${shown(before)} -> ${shown(after)}`;
  const around = common(before, after);
  const [one, other] = [windowOf(before, around), windowOf(after, around)];
  const edge = common(one.text, other.text);
  // Letters that only look like others: where there was plain text, nothing else is shown as it is.
  const plain = ASCII.test(before);
  return `${excerpt(one, edge, plain)} -> ${excerpt(other, edge, plain)}`;
}

/** A part of a text, its secrets hidden, and whether there is more of it on either side. */
interface Window {
  readonly text: string;
  readonly begun: boolean;
  readonly goesOn: boolean;
}

function windowOf(text: string, { start, end }: Common): Window {
  const from = Math.max(0, start - MARGIN_LENGTH);
  const to = MARGIN_LENGTH + Math.min(text.length - end, start + VALUE_LENGTH_MAX);
  return { text: hideSecrets(text.slice(from, to)), begun: from > 0, goesOn: to < text.length };
}

const ASCII = /^[\0-\x7f]*$/;

interface Common {
  /** Units at the start that are the same. */
  readonly start: number;
  /** And at the end. */
  readonly end: number;
}

function common(one: string, other: string): Common {
  const length = Math.min(one.length, other.length);
  let start = 0;
  while (start < length && one.charCodeAt(start) === other.charCodeAt(start)) start += 1;
  let end = 0;
  while (end < length - start && one.at(-1 - end) === other.at(-1 - end)) end += 1;
  return { start, end };
}

/** What has changed in a text, with a little of what stands around it. */
function excerpt({ text, begun, goesOn }: Window, { start, end }: Common, plain: boolean): string {
  const from = Math.max(0, start - CONTEXT_LENGTH);
  const to = Math.min(text.length - end + CONTEXT_LENGTH, from + VALUE_LENGTH_MAX, text.length);
  const quoted = (plain ? asciiOnly : withEscapes)(JSON.stringify(text.slice(from, to)));
  return `${begun || from > 0 ? '…' : ''}${quoted}${goesOn || to < text.length ? '…' : ''}`;
}

function shown(value: Json): string {
  const text = hideSecrets(canonicalJson(value).slice(0, VALUE_LENGTH_MAX + MARGIN_LENGTH));
  const cut = text.length > VALUE_LENGTH_MAX;
  return withEscapes(cut ? `${text.slice(0, VALUE_LENGTH_MAX)}…` : text);
}
