/**
 * A segment's bytes as lines, in bounded memory. What is not a line is handed on as a bad stretch, and reading goes
 * on at the next byte where a line can begin: one spoiled byte, a line end included, must not hide the line behind it.
 */
import { isUtf8 } from 'node:buffer';
import { crc32 } from 'node:zlib';
import type { SpoolFile } from './files.ts';
import { decodeLine, LF, LINE_BYTES_MAX, TAB } from './line.ts';

/** Bytes read at once, as soon as more than the first line is wanted. */
export const SCAN_BYTES = 256 * 1024;

/** Bytes read first: many a segment is only asked for its header. */
const FIRST_READ_BYTES = 4096;

/** Places in one bad stretch that are tried as the beginning of a line: what was built to be slow is given up. */
const SALVAGE_TRIES_MAX = 256;

/** Behind a line's second TAB: the CRC. */
const CRC_BYTES = 8;

const OBJECT_START = '{"';

export interface ScannedLine {
  readonly offset: number;
  /** Just behind the line's LF. */
  readonly end: number;
  /** undefined: a stretch that is no line. */
  readonly json: string | undefined;
  /** Of a line; 0 of a bad stretch. */
  readonly durableBefore: number;
  /** Behind the last byte that is not zero; `offset` where there is none. */
  readonly contentEnd: number;
}

export interface Scanner {
  /**
   * The next line that ends at or before `limit`, or what is there instead of one; undefined at the limit. What is
   * cut by the limit counts as a stretch: give only limits where a line ends, or the end of the file.
   */
  next(limit: number): ScannedLine | undefined;
  /** Where the next one begins. */
  offset(): number;
}

/**
 * What one scanner after another may read into. A buffer of its own for each segment lives long enough to be collected
 * only with the old objects, which a thread that makes few of them does once in minutes.
 */
export interface ScanMemory {
  chunk: Buffer;
}

export function createScanMemory(): ScanMemory {
  return { chunk: Buffer.allocUnsafe(FIRST_READ_BYTES) };
}

/** @param memory no other scanner's as long as this one is read */
export function createScanner(file: SpoolFile, from: number, memory = createScanMemory()): Scanner {
  let { chunk } = memory;
  /** File offset of the chunk's first byte. */
  let base = from;
  let start = 0;
  let filled = 0;
  /** No LF stands between `start` and here. */
  let searched = 0;
  const salvaged: ScannedLine[] = [];

  /** @returns whether there was anything to read below the limit */
  const fill = (limit: number): boolean => {
    if (start > 0) {
      chunk.copyWithin(0, start, filled);
      base += start;
      filled -= start;
      searched -= start;
      start = 0;
    }
    const isTight = chunk.length < SCAN_BYTES && chunk.length - filled < limit - base - filled;
    if (isTight || filled === chunk.length) {
      const larger = Buffer.allocUnsafe(Math.min(chunk.length * 2, LINE_BYTES_MAX + SCAN_BYTES));
      chunk.copy(larger, 0, 0, filled);
      chunk = larger;
      memory.chunk = larger;
    }
    const room = Math.min(chunk.length - filled, limit - base - filled);
    const read = room <= 0 ? 0 : file.read(chunk.subarray(filled, filled + room), base + filled);
    filled += read;
    return read > 0;
  };
  const take = (bytes: number, terminated: boolean): ScannedLine => {
    const offset = base + start;
    const from = start;
    start += bytes;
    searched = Math.max(searched, start);
    const read = terminated ? readLine(chunk, from, start - 1) : undefined;
    if (read !== undefined) {
      const end = offset + bytes;
      return { offset, end, json: read.json, durableBefore: read.durableBefore, contentEnd: end };
    }
    const line = chunk.subarray(from, start);
    const [first, ...rest] = salvage(line, offset);
    salvaged.push(...rest);
    return first ?? stretch(line, offset, [0, bytes]);
  };

  return {
    offset: () => base + start,
    next(limit) {
      const waiting = salvaged.shift();
      if (waiting !== undefined) return waiting;
      for (;;) {
        const length = chunk.subarray(searched, filled).indexOf(LF) + 1;
        if (length > 0 && base + searched + length <= limit) return take(searched + length - start, true);
        searched = filled;
        // A line that ends further on begins within the last LINE_BYTES_MAX.
        const excess = filled - start - LINE_BYTES_MAX;
        if (excess > 0) return take(excess, false);
        if (!fill(limit)) return filled > start ? take(filled - start, false) : undefined;
      }
    },
  };
}

interface ReadLine {
  readonly json: string;
  readonly durableBefore: number;
}

/**
 * What `decodeLine` says of a good line, without making text of its frame: millions of lines come this way. Whatever
 * is unusual is left to `decodeLine`.
 *
 * @param end where the LF stands
 */
export function readLine(chunk: Buffer, from: number, end: number): ReadLine | undefined {
  const covered = end - CRC_BYTES - 1;
  const jsonEnd = chunk.indexOf(TAB, from);
  if (jsonEnd <= from || jsonEnd >= covered || chunk[covered] !== TAB || end - from >= LINE_BYTES_MAX) {
    return undefined;
  }
  const durableBefore = decimal(chunk, jsonEnd + 1, covered);
  if (durableBefore === undefined) return undefined;
  if (crc32(chunk.subarray(from, covered)) !== hexadecimal(chunk, covered + 1, end)) return undefined;
  if (!isUtf8(chunk.subarray(from, jsonEnd))) return undefined;
  return { json: chunk.toString('utf8', from, jsonEnd), durableBefore };
}

const ZERO = 0x30;
const LOWER_A = 0x61;

/** A number without leading zeros, of at most 15 digits: segments are far smaller. */
function decimal(chunk: Buffer, from: number, end: number): number | undefined {
  const length = end - from;
  if (length < 1 || length > 15 || (length > 1 && chunk[from] === ZERO)) return undefined;
  let value = 0;
  for (let at = from; at < end; at += 1) {
    const digit = (chunk[at] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value;
}

/** Lower-case digits only; NaN for anything else. */
function hexadecimal(chunk: Buffer, from: number, end: number): number {
  let value = 0;
  for (let at = from; at < end; at += 1) {
    const byte = chunk[at] ?? 0;
    const isLetter = byte >= LOWER_A && byte < LOWER_A + 6;
    if (!isLetter && (byte < ZERO || byte > ZERO + 9)) return Number.NaN;
    value = value * 16 + byte - (isLetter ? LOWER_A - 10 : ZERO);
  }
  return value;
}

/** The lines within a stretch that is not a line as a whole, and what lies between them; in order, leaving nothing out. */
function salvage(bytes: Buffer, offset: number): ScannedLine[] {
  const found: ScannedLine[] = [];
  let done = 0;
  let from = 0;
  for (let tries = 0; tries < SALVAGE_TRIES_MAX; tries += 1) {
    const start = bytes.indexOf(OBJECT_START, from, 'latin1');
    const first = start === -1 ? -1 : bytes.indexOf(TAB, start);
    const second = first === -1 ? -1 : bytes.indexOf(TAB, first + 1);
    if (second === -1) break;
    from = start + OBJECT_START.length;
    const end = second + 1 + CRC_BYTES;
    const decoded = decodeLine(bytes.subarray(start, end));
    if (!decoded.ok || end > bytes.length) continue;
    if (start > done) found.push(stretch(bytes, offset, [done, start]));
    // The byte that should be the LF belongs to the line.
    done = Math.min(end + 1, bytes.length);
    from = done;
    const { json, durableBefore } = decoded;
    const lineEnd = offset + done;
    found.push({ offset: offset + start, end: lineEnd, json, durableBefore, contentEnd: lineEnd });
  }
  if (done < bytes.length) found.push(stretch(bytes, offset, [done, bytes.length]));
  return found;
}

function stretch(bytes: Buffer, offset: number, [from, to]: readonly [number, number]): ScannedLine {
  const contentEnd = offset + from + contentBytes(bytes.subarray(from, to));
  return { offset: offset + from, end: offset + to, json: undefined, durableBefore: 0, contentEnd };
}

const ZEROS = Buffer.alloc(4096);

/** Bytes before the zeros that end it. */
function contentBytes(bytes: Buffer): number {
  let end = bytes.length;
  // By blocks: preallocation is megabytes of zeros.
  while (end >= ZEROS.length && bytes.subarray(end - ZEROS.length, end).equals(ZEROS)) end -= ZEROS.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return end;
}
