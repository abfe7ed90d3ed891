/**
 * From strict JSON to CEL values, counted on the way so that the cost of an expression can be bounded before it
 * runs. Objects become maps, never plain objects: a key named `constructor` is a key and nothing else.
 */
import type { CelInput, CelMap } from '@bufbuild/cel';
import { JsonNumber, type Json } from '../event/json.ts';
import { celEngine } from './cel-engine.ts';

/** Bytes of UTF-8 that the arguments may hold in keys, strings and numbers; each value counts one more. */
export const CEL_ARGUMENTS_BYTES_DEFAULT = 262_144;
export const CEL_ARGUMENTS_BYTES_MAX = 4_194_304;
/** Levels of lists and maps. The parser of messages has its own bound; this one keeps the recursion here safe. */
export const CEL_DEPTH_MAX = 64;

/** What was counted while values were converted. */
export interface CelSize {
  /** Entries of the largest list or map. */
  largest: number;
  /** All keys and values. */
  nodes: number;
  bytes: number;
}

/** Thrown for arguments over a limit; the message is safe to show. */
export class CelLimitError extends Error {}

/** Converts the members of an object. Throws CelLimitError. */
export function toCelMap(value: ReadonlyMap<string, Json>, bytesMax: number, size: CelSize): CelMap {
  return convertMap(value, { bytesMax, size }, 1);
}

/** A map whose members are there even where they are null: the library's own `has` and `in` say that they are not. */
export function exactMap(members: ReadonlyMap<string, CelInput>): CelMap {
  const map = celEngine().celMap(members);
  // Assigned: to define it costs more than to make the map, and maps are made for each request.
  map.has = (key: unknown) => typeof key === 'string' && members.has(key);
  return map;
}

interface Counter {
  readonly bytesMax: number;
  readonly size: CelSize;
}

function convert(value: Json, counter: Counter, depth: number): CelInput {
  if (typeof value === 'string') {
    count(counter, 1 + Buffer.byteLength(value));
    return value;
  }
  if (value === null || typeof value === 'boolean') {
    count(counter, 1);
    return value;
  }
  if (value instanceof JsonNumber) {
    count(counter, 1 + value.text.length);
    return convertNumber(value);
  }
  if (value instanceof Map) return convertMap(value, counter, depth + 1);
  return convertList(value as readonly Json[], counter, depth + 1);
}

function convertMap(value: ReadonlyMap<string, Json>, counter: Counter, depth: number): CelMap {
  enter(counter, value.size, depth);
  const members = new Map<string, CelInput>();
  for (const [key, member] of value) {
    count(counter, Buffer.byteLength(key));
    members.set(key, convert(member, counter, depth));
  }
  return exactMap(members);
}

function convertList(value: readonly Json[], counter: Counter, depth: number): CelInput {
  enter(counter, value.length, depth);
  return celEngine().celList(value.map((item) => convert(item, counter, depth)));
}

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
/** Characters of the longest literal that can be an int64. */
const INT64_LENGTH_MAX = 20;

function convertNumber(number: JsonNumber): bigint | number {
  if (number.isInteger && number.text.length <= INT64_LENGTH_MAX) {
    const int = BigInt(number.text);
    if (int >= INT64_MIN && int <= INT64_MAX) return int;
  }
  // Beyond the range of doubles this is ±Infinity, which still compares as the number does.
  return number.value;
}

function enter(counter: Counter, entries: number, depth: number): void {
  if (depth > CEL_DEPTH_MAX)
    throw new CelLimitError(`the arguments are nested deeper than ${CEL_DEPTH_MAX} levels`);
  count(counter, 1);
  counter.size.largest = Math.max(counter.size.largest, entries);
}

function count({ size, bytesMax }: Counter, bytes: number): void {
  size.nodes += 1;
  size.bytes += bytes;
  if (size.bytes > bytesMax) throw new CelLimitError(`the arguments are larger than ${bytesMax} bytes`);
}
