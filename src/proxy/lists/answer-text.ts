/** An answer read strictly, for what is changed in one must be read by all in the same way. Pure. */
import type { ErrorCode, ErrorDetails } from '../../errors.ts';
import { isObject, type Json } from '../../event/json.ts';
import { JSON_DEPTH_MAX, parseStrictJson } from '../message/strict-json.ts';
import { spliced, type Edit, type ReadText } from './splice.ts';

export interface ReadResult extends ReadText {
  /** undefined where the answer has none, or one that is no object: an error has none. */
  readonly result: ReadonlyMap<string, Json> | undefined;
}

export type AnswerText =
  | ({ readonly ok: true } & ReadResult)
  | {
      readonly ok: false;
      readonly code: ErrorCode;
      readonly details: ErrorDetails;
      /** As far as it could be decoded. */
      readonly text: string;
    };

/** The envelope, the result, a list in it, and its items: so deep keys must not even look alike. */
const FOLD_LEVELS = 3;
/** One more, so that every member of those has a span. */
const SPAN_LEVELS = 4;

/**
 * Below the items keys may differ in case, since they are names of others' making: of a tool's arguments, say.
 * Never throws.
 */
export function readAnswerText(bytes: Uint8Array): AnswerText {
  const text = decoded(bytes);
  if (text === undefined)
    return { ok: false, code: 'parse_utf8', details: {}, text: lenientUtf8.decode(bytes) };
  const options = { depthMax: JSON_DEPTH_MAX.maximum, spanLevels: SPAN_LEVELS, foldLevels: FOLD_LEVELS };
  const json = parseStrictJson(text, options);
  if (!json.ok) return { ...json, text };
  const result = isObject(json.value) ? json.value.get('result') : undefined;
  return { ok: true, text, spans: json.spans, result: isObject(result) ? result : undefined };
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lenientUtf8 = new TextDecoder('utf-8');

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** @returns `bytes` themselves where there is nothing to change */
export function editedBytes(bytes: Uint8Array, { text }: ReadText, edits: readonly Edit[]): Uint8Array {
  if (edits.length === 0) return bytes;
  return Buffer.from(
    spliced(
      text,
      edits.toSorted((a, b) => a.span[0] - b.span[0]),
    ),
  );
}
