/** What is wrong with a value, said to the person who wrote it. */
import type { ErrorObject } from 'ajv/dist/2020.js';

/** The fault in words; undefined for an error that only wraps others. */
export function schemaWords(error: ErrorObject): string | undefined {
  return WORDS[error.keyword]?.(error) ?? (WRAPPERS.has(error.keyword) ? undefined : error.message);
}

/** Errors of these keywords repeat what the errors inside of them say. */
const WRAPPERS: ReadonlySet<string> = new Set(['propertyNames', 'if']);

type Words = (error: ErrorObject) => string;

const atLeast: Words = (error) =>
  described(error) ??
  (limit(error) === '1' ? 'must not be empty' : `must have at least ${limit(error)} entries`);
const atMost: Words = (error) =>
  described(error) ?? `must have at most ${limit(error)} ${limit(error) === '1' ? 'entry' : 'entries'}`;

const WORDS: Readonly<Record<string, Words>> = {
  required: ({ params }) => `the key ${String(params['missingProperty'])} is missing`,
  additionalProperties: unknownKeyWords,
  enum: ({ schema, data }) => valueWords(Array.isArray(schema) ? schema : [], data),
  const: ({ schema, data }) => valueWords([schema], data),
  type: typeWords,
  pattern: (error) => described(error) ?? `must be of the form ${String(error.params['pattern'])}`,
  minLength: (error) =>
    limit(error) === '1' ? 'must not be empty' : `must have at least ${limit(error)} characters`,
  maxLength: (error) => `must have at most ${limit(error)} characters`,
  minItems: atLeast,
  minProperties: atLeast,
  maxItems: atMost,
  maxProperties: atMost,
  minimum: (error) => `must be at least ${limit(error)}`,
  maximum: (error) => `must be at most ${limit(error)}`,
  anyOf: () => 'has none of the forms that are accepted here',
  oneOf: () => 'has none of the forms that are accepted here',
  uniqueItems: () => 'must not have the same entry twice',
};

function limit({ params }: ErrorObject): string {
  return String(params['limit']);
}

function unknownKeyWords({ parentSchema, params }: ErrorObject): string {
  const key = String(params['additionalProperty']);
  const known = Object.keys((parentSchema?.['properties'] as object | undefined) ?? {});
  const near = closest(key, known);
  const hint = near === undefined ? `the keys here are ${known.join(', ')}` : `did you mean ${near}?`;
  return known.length === 0 ? `unknown key ${clip(key)}` : `unknown key ${clip(key)}; ${hint}`;
}

function valueWords(accepted: readonly unknown[], data: unknown): string {
  const wanted = accepted.length === 1 ? String(accepted[0]) : `one of ${accepted.map(String).join(', ')}`;
  const near = typeof data === 'string' ? closest(data, accepted.map(String)) : undefined;
  return `must be ${wanted}${near === undefined || accepted.length === 1 ? '' : `; did you mean ${near}?`}`;
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  object: 'a mapping',
  array: 'a list',
  null: 'empty',
};

function typeWords({ params, data }: ErrorObject): string {
  const wanted = String(params['type']);
  const quotes = wanted === 'string' && data !== null && typeof data !== 'object' ? ': put it in quotes' : '';
  return `must be ${TYPE_WORDS[wanted] ?? wanted}, not ${actualWords(data)}${quotes}`;
}

function actualWords(data: unknown): string {
  if (data === null) return 'empty';
  if (Array.isArray(data)) return 'a list';
  return typeof data === 'boolean' ? String(data) : (TYPE_WORDS[typeof data] ?? typeof data);
}

/** Some schemas say in words what they want. */
function described({ parentSchema }: ErrorObject): string | undefined {
  const words: unknown = parentSchema?.['description'];
  return typeof words === 'string' ? `must be ${words}` : undefined;
}

/** A word from the file, short enough for a message. */
export function clip(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** Levenshtein distance; both words are short. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 8 || a.length > 64) return Number.POSITIVE_INFINITY;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 0; i < a.length; i += 1) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j += 1) {
      const substituted = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      next.push(Math.min(substituted, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The candidate nearest to a word that was not known, for "did you mean"; undefined where none is near. */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = (word.length < 4 ? 1 : Math.max(2, Math.floor(word.length / 3))) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}
