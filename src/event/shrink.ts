/** Makes arguments fit into a record: first long strings are cut, then what is largest goes. */
import { canonicalJson } from './canonical.ts';
import { isObject } from './json.ts';
import type { Json } from './json.ts';
import type { Path, Pointers } from './pointers.ts';
import { cutText } from './text.ts';
import { ARGUMENTS_BYTES_MAX } from './vocabulary.ts';

/** Bytes that a string may keep: the first of these with which all fits. */
const STRING_BYTES = [2048, 1024, 512, 256, 128] as const;
const STRING_BYTES_LEAST = 64;
/** A value that would keep less than this goes whole. */
const REST_BYTES_MIN = 64;

/**
 * The arguments as canonical JSON of at most ARGUMENTS_BYTES_MAX bytes. What was cut or left out is added to `cut`.
 *
 * @param args nested so little that recursion is safe
 */
export function shrink(args: ReadonlyMap<string, Json>, cut: Pointers): string {
  const text = canonicalJson(args);
  if (fits(text)) return text;
  const bytesMax = sizeWith(args, STRING_BYTES_LEAST) > ARGUMENTS_BYTES_MAX ? undefined : fittingBytes(args);
  const short = shorten(args, undefined, { bytesMax: bytesMax ?? STRING_BYTES_LEAST, cut });
  return canonicalJson(
    bytesMax === undefined ? prune(short, ARGUMENTS_BYTES_MAX, { path: undefined, cut }) : short,
  );
}

/** Whether canonical JSON of arguments needs no shrinking. */
export function fits(text: string): boolean {
  return Buffer.byteLength(text) <= ARGUMENTS_BYTES_MAX;
}

function fittingBytes(args: Json): number {
  return (
    STRING_BYTES.find((bytesMax) => sizeWith(args, bytesMax) <= ARGUMENTS_BYTES_MAX) ?? STRING_BYTES_LEAST
  );
}

function sizeWith(args: Json, bytesMax: number): number {
  return size(shorten(args, undefined, { bytesMax, cut: undefined }));
}

function size(value: Json): number {
  return Buffer.byteLength(canonicalJson(value));
}

interface Shortening {
  readonly bytesMax: number;
  /** Undefined while a size is only tried. */
  readonly cut: Pointers | undefined;
}

function shorten(value: Json, path: Path | undefined, how: Shortening): Json {
  if (typeof value === 'string') {
    const { text, cut } = cutText(value, how.bytesMax);
    if (cut) how.cut?.add(path);
    return text;
  }
  if (isObject(value)) {
    return new Map(
      Array.from(value, ([key, item]) => [key, shorten(item, { up: path, name: key }, how)] as const),
    );
  }
  return Array.isArray(value)
    ? value.map((item, index) => shorten(item, { up: path, name: index }, how))
    : value;
}

interface Pruning {
  readonly path: Path | undefined;
  readonly cut: Pointers;
}

interface Part {
  readonly name: string | number;
  readonly value: Json;
  /** With its name, colon and comma. */
  readonly bytes: number;
}

/** What of an object or array fits into `room` bytes: the largest parts go, or lose parts of their own. */
function prune(value: Json, room: number, { path, cut }: Pruning): Json {
  const parts = partsOf(value);
  const kept = new Map(parts.map((part) => [part.name, part.value]));
  // Two brackets, less the one comma that the parts' sizes count too many.
  let bytes = parts.reduce((sum, part) => sum + part.bytes, 1);
  for (const part of parts.toSorted((a, b) => b.bytes - a.bytes)) {
    if (bytes <= room) break;
    const place = { up: path, name: part.name };
    const before = size(part.value);
    const rest = before - (bytes - room);
    if (rest >= REST_BYTES_MIN && typeof part.value === 'object') {
      const pruned = prune(part.value, rest, { path: place, cut });
      kept.set(part.name, pruned);
      bytes -= before - size(pruned);
    } else {
      kept.delete(part.name);
      bytes -= part.bytes;
      cut.add(place);
    }
  }
  return rebuild(value, kept);
}

function partsOf(value: Json): readonly Part[] {
  if (isObject(value)) {
    return Array.from(value, ([name, item]) => ({ name, value: item, bytes: size(name) + size(item) + 2 }));
  }
  return Array.isArray(value)
    ? value.map((item, name) => ({ name, value: item, bytes: size(item) + 1 }))
    : [];
}

function rebuild(value: Json, kept: ReadonlyMap<string | number, Json>): Json {
  if (!isObject(value)) return [...kept.values()];
  return new Map(Array.from(kept, ([name, item]) => [String(name), item] as const));
}
