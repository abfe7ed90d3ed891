/**
 * What a record says of a call's arguments: enough to judge the call by, without the secrets that agents put into
 * them. When in doubt it hides; whatever happens, the record is made and says what is missing.
 */
import { canonicalJson } from './canonical.ts';
import { DEPTH_MAX, looksLikeJson, parseEmbedded } from './embedded.ts';
import { isObject, JsonNumber } from './json.ts';
import type { Json } from './json.ts';
import { keyedDigest } from './keyring.ts';
import type { HmacKey } from './keyring.ts';
import { Pointers, WHOLE_POINTER } from './pointers.ts';
import type { Path } from './pointers.ts';
import { COMMAND_WORDS_MAX, secretWords } from './command-line.ts';
import { judgeLabels, stronger } from './labels.ts';
import { looksRandom } from './random-text.ts';
import { judgeName } from './secret-name.ts';
import type { NameJudgement } from './secret-name.ts';
import { isCard } from './cards.ts';
import { hideSecrets } from './secrets.ts';
import type { TextContext } from './secrets.ts';
import { fits, shrink } from './shrink.ts';
import { cutText } from './text.ts';
import { ARRAY_ITEMS_MAX } from './vocabulary.ts';
import type { Fields } from './vocabulary.ts';

/**
 * How much of the arguments a record shows: size and digest only; the names of the top level too; the values with
 * secrets hidden; the values as they are. Caps hold at every level.
 */
export const ARGUMENT_LEVELS = ['none', 'keys', 'redacted', 'full'] as const;

export type ArgumentLevel = (typeof ARGUMENT_LEVELS)[number];

export interface ArgumentOptions {
  readonly level: ArgumentLevel;
  /** Bytes of the arguments as they were sent, where known. */
  readonly bytes: number | undefined;
  readonly hmac: HmacKey;
}

/** Bytes of UTF-8 that one string of the arguments may show. */
export const VALUE_BYTES_MAX = 4096;
/** Bytes of UTF-8 that one member name may show. */
export const NAME_BYTES_MAX = 256;
/** Characters of a string that are looked through: what is shown, and as much again for a secret across the cut. */
export const SCAN_CHARS_MAX = 2 * VALUE_BYTES_MAX;
/** Characters that one call may cost to look through: four times what a record can show. What is beyond is left out. */
export const WORK_CHARS_MAX = 65_536;
/** JSON inside a string is followed up to this many characters; a longer one is hidden. */
export const EMBEDDED_CHARS_MAX = 32_768;
/** Levels of JSON inside strings inside JSON. */
export const EMBEDDED_LEVELS_MAX = 4;

/** Label of the arguments' digest (keyring.ts). */
export const ARGUMENTS_LABEL = 'arguments/1';

/** What any value costs, in characters, so that a million empty ones are not free. */
const VALUE_COST = 16;
/** Above this many members the smallest no longer come first: sorting them would cost more than it gives. */
const SORTED_MEMBERS_MAX = 1024;
/** A number longer than this is shown as a cut string. */
const NUMBER_CHARS_MAX = 64;
const HIDDEN = '[redacted]';

/**
 * The `verdict.arguments.*` fields and `gen_ai.tool.call.arguments`. Never throws: should anything fail, the size
 * and `verdict.arguments.redacted: ['']` are all that is said.
 */
export function describeArguments(
  args: ReadonlyMap<string, Json> | undefined,
  options: ArgumentOptions,
): Fields {
  const size: Fields = options.bytes === undefined ? {} : { 'verdict.arguments.size': options.bytes };
  if (args === undefined) return size;
  try {
    return { ...size, ...describe(args, options) };
  } catch {
    return { ...size, 'verdict.arguments.redacted': [WHOLE_POINTER] };
  }
}

function describe(args: ReadonlyMap<string, Json>, { level, hmac }: ArgumentOptions): Fields {
  const canonical = canonicalJson(args);
  const digest = keyedDigest(hmac, ARGUMENTS_LABEL, canonical);
  if (level === 'none') return { 'verdict.arguments.hmac': digest };
  const conceal = level !== 'full';
  const keys = [...args.keys()].slice(0, ARRAY_ITEMS_MAX).map((key) => shownName(key, conceal));
  const named: Fields = { 'verdict.arguments.hmac': digest, 'verdict.arguments.keys': keys };
  if (level === 'keys') return named;
  const hidden = new Pointers();
  const nearAwsKey = AWS_KEY_ID.test(canonical);
  const walk: Walk = { conceal, hidden, work: WORK_CHARS_MAX, renamed: false, nearAwsKey };
  const shown = showObject(smallestFirst(args), ROOT, walk);
  // Where nothing was hidden, cut or renamed, what is shown is what was just written for the digest.
  const whole = hidden.isEmpty && !walk.renamed && fits(canonical);
  const text = whole ? canonical : shrink(shown, hidden);
  const pointers = hidden.list();
  return {
    ...named,
    'gen_ai.tool.call.arguments': text,
    ...(pointers.length > 0 && { 'verdict.arguments.redacted': pointers }),
  };
}

const AWS_KEY_ID = /A[KS]IA[0-9A-Z]{16}/;

/** State of one call's walk. */
interface Walk extends TextContext {
  readonly conceal: boolean;
  readonly hidden: Pointers;
  /** Characters that may still be looked through. */
  work: number;
  /** Whether a member is not shown by its own name. */
  renamed: boolean;
}

interface Place {
  /** Inside embedded JSON: the path of the string that holds it, as a pointer cannot lead into a string. */
  readonly path: Path | undefined;
  readonly depth: number;
  /** Levels of JSON inside strings above this place. */
  readonly embedded: number;
  /** The program that a list of arguments stands beside. */
  readonly program?: string | undefined;
}

const ROOT: Place = { path: undefined, depth: 0, embedded: 0 };

function inside(place: Place, name: string | number): Place {
  const path = place.embedded > 0 ? place.path : { up: place.path, name };
  return { ...place, path, depth: place.depth + 1 };
}

function hide(place: Place, walk: Walk, mark: string = HIDDEN): string {
  walk.hidden.add(place.path);
  return mark;
}

function show(value: Json, place: Place, walk: Walk): Json {
  walk.work -= VALUE_COST;
  if (typeof value === 'string') return showString(value, place, walk);
  if (value instanceof JsonNumber) return showNumber(value, place, walk);
  if (value === null || typeof value === 'boolean') return value;
  if (place.depth > DEPTH_MAX) return hide(place, walk, '[redacted:depth]');
  return isObject(value) ? showObject(value, place, walk) : showArray(value, place, walk);
}

function showObject(object: ReadonlyMap<string, Json>, place: Place, walk: Walk): ReadonlyMap<string, Json> {
  const shown = new Map<string, Json>();
  const judgeLabelled = judgeLabels(object);
  const at = { ...place, program: programOf(object) };
  for (const [key, value] of object) {
    walk.work -= Math.min(key.length, SCAN_CHARS_MAX);
    if (walk.work <= 0) {
      walk.hidden.add(place.path);
      break;
    }
    const name = shownName(key, walk.conceal);
    if (name !== key) walk.renamed = true;
    const member = inside(at, name);
    // Two names may look the same once they are cut or hidden; then the first is shown.
    if (shown.has(name)) walk.hidden.add(member.path);
    else if (walk.conceal && isSecret(value, stronger(judgeName(key), judgeLabelled(key)))) {
      shown.set(name, hideNamedValue(value, member, walk));
    } else shown.set(name, show(value, member, walk));
  }
  return shown;
}

/** Whether a value is a secret by what is said of it; a name that leaves it open has the value looked at. */
function isSecret(value: Json, judgement: NameJudgement): boolean {
  return judgement === 'secret' || (judgement === 'about' && typeof value === 'string' && looksRandom(value));
}

const PROGRAM_NAMES = ['command', 'cmd', 'program', 'executable'];

function programOf(object: ReadonlyMap<string, Json>): string | undefined {
  const programs = PROGRAM_NAMES.map((name) => object.get(name));
  return programs.find((program) => typeof program === 'string');
}

function showArray(array: readonly Json[], place: Place, walk: Walk): readonly Json[] {
  const shown: Json[] = [];
  const commandSecrets = walk.conceal ? secretsIn(array, place.program) : undefined;
  for (const [index, value] of array.entries()) {
    if (walk.work <= 0) {
      walk.hidden.add(place.path);
      break;
    }
    const element = inside({ ...place, program: undefined }, index);
    const stays = commandSecrets?.get(index);
    if (stays !== undefined && typeof value === 'string') {
      shown.push(hide(element, walk, value.slice(0, stays) + HIDDEN));
    } else if (walk.conceal && namesNext(array, index - 1)) shown.push(hideNamedValue(value, element, walk));
    else shown.push(show(value, element, walk));
  }
  return shown;
}

/** Elements of a command with its arguments that hold a secret, and how many characters of each stay. */
function secretsIn(
  array: readonly Json[],
  program: string | undefined,
): ReadonlyMap<number, number> | undefined {
  if (array.length > COMMAND_WORDS_MAX || !array.some((value) => typeof value === 'string')) return undefined;
  const words = array.map((value) => (typeof value === 'string' ? value.slice(0, NAME_BYTES_MAX) : ''));
  if (program === undefined) return secretWords(words);
  return new Map([...secretWords([program, ...words])].map(([index, stays]) => [index - 1, stays]));
}

/** Under a secret's name all is hidden but what cannot be one. */
function hideNamedValue(value: Json, place: Place, walk: Walk): Json {
  return value === null || typeof value === 'boolean' || value === '' ? value : hide(place, walk);
}

/** Whether an element names the next one: `['--password', 'x']`, `['Authorization', 'x']`. */
function namesNext(array: readonly Json[], index: number): boolean {
  const name = array[index];
  if (typeof name !== 'string' || !isShortName(name)) return false;
  return (name.startsWith('-') || array.length === 2) && !name.includes('=') && judgeName(name) === 'secret';
}

function isShortName(text: string): boolean {
  return text.length <= NAME_BYTES_MAX && !/\s/.test(text);
}

function showString(text: string, place: Place, walk: Walk): string {
  const window = text.slice(0, SCAN_CHARS_MAX);
  walk.work -= window.length;
  const shown = walk.conceal ? concealed(text, window, { place, walk }) : window;
  const { text: short, cut } = cutText(shown, VALUE_BYTES_MAX);
  if (cut || shown !== text) walk.hidden.add(place.path);
  return short;
}

function concealed(text: string, window: string, { place, walk }: { place: Place; walk: Walk }): string {
  if (!looksLikeJson(text)) return hideSecrets(window, walk);
  if (text.length > EMBEDDED_CHARS_MAX || place.embedded >= EMBEDDED_LEVELS_MAX) return '[redacted:json]';
  walk.work -= text.length - window.length;
  const parsed = parseEmbedded(text);
  if (parsed === undefined) return hideSecrets(window, walk);
  if ('refused' in parsed) return `[redacted:${parsed.refused}]`;
  // Its own list: what is hidden inside is told by the pointer to this string.
  const inner: Walk = { ...walk, hidden: new Pointers(), renamed: false };
  const shown = show(
    parsed.value,
    { path: { up: undefined, name: 'json' }, depth: place.depth + 1, embedded: place.embedded + 1 },
    inner,
  );
  walk.work = inner.work;
  return inner.hidden.isEmpty && !inner.renamed ? text : canonicalJson(shown);
}

function showNumber(number: JsonNumber, place: Place, walk: Walk): Json {
  const { text } = number;
  if (walk.conceal && holdsCard(number)) return hide(place, walk, '[redacted:card]');
  return text.length > NUMBER_CHARS_MAX ? hide(place, walk, cutText(text, NUMBER_CHARS_MAX).text) : number;
}

function holdsCard(number: JsonNumber): boolean {
  const { text, value } = number;
  if (number.isInteger) return isCard(text.replace('-', ''));
  // 4.111111111111111e15 and 4111111111111111.0 are the same number.
  return Number.isSafeInteger(value) && isCard(String(Math.abs(value)));
}

/** A member's name as it may be shown: cut, and without secrets. */
function shownName(key: string, conceal: boolean): string {
  const window = key.slice(0, SCAN_CHARS_MAX);
  return cutText(conceal ? hideSecrets(window) : window, NAME_BYTES_MAX).text;
}

/** The members with the smallest first, so that a few huge ones cannot use up the work before the rest is seen. */
function smallestFirst(args: ReadonlyMap<string, Json>): ReadonlyMap<string, Json> {
  if (args.size > SORTED_MEMBERS_MAX) return args;
  return new Map([...args].sort(([, a], [, b]) => weight(a) - weight(b)));
}

function weight(value: Json): number {
  if (typeof value === 'string') return value.length;
  if (isObject(value)) return SCAN_CHARS_MAX + value.size;
  return Array.isArray(value) ? SCAN_CHARS_MAX + value.length : 0;
}
