/**
 * How far one exporter is with one stream. Two slots are written in turn, so that a power cut spoils at most the one
 * that was being written. A cursor that cannot be read means "from the start": duplicates, never a loss.
 */
import { crc32 } from 'node:zlib';
import type { SpoolFile, SpoolFiles } from './files.ts';
import { LF, TAB } from './line.ts';
import type { CursorPosition } from './position.ts';
import { codeOf } from './system-error.ts';

/** Bytes of a slot: a sector, which a disk writes whole or not at all. */
export const CURSOR_SLOT_BYTES = 512;

const CURSOR_PREFIX = 'cursor.';

const EXPORTER_NAME = /^[a-z0-9_-]{1,64}$/;

export interface Cursor {
  /** undefined: nothing acknowledged yet, begin at the oldest kept. */
  position(): CursorPosition | undefined;
  /** Notes an acknowledgement, in memory; one that lies behind the present position is ignored. */
  advance(position: CursorPosition): void;
  /** Makes the position durable; does nothing when it is. Throws the system's error; may then be called again. */
  flush(): void;
  close(): void;
}

/** Whether an exporter may be called so: its name becomes part of a file name. */
export function isExporterName(name: string): boolean {
  return EXPORTER_NAME.test(name);
}

/** File name of an exporter's cursor in a stream's directory. Throws RangeError on a name that is not allowed. */
export function cursorName(exporter: string): string {
  if (!isExporterName(exporter)) throw new RangeError(`not the name of an exporter: ${exporter}`);
  return `${CURSOR_PREFIX}${exporter}`;
}

/** The exporter whose cursor a file is, by its name. */
export function exporterOfCursor(fileName: string): string | undefined {
  const name = fileName.startsWith(CURSOR_PREFIX) ? fileName.slice(CURSOR_PREFIX.length) : '';
  return isExporterName(name) ? name : undefined;
}

/** What a cursor's file says. */
export interface DurableCursor {
  readonly position: CursorPosition;
  /** When it was written, milliseconds since the Unix epoch; undefined where an older version wrote it. */
  readonly timeMs: number | undefined;
}

/** Of an exporter in a stream that is only looked at. */
export function readCursor(
  files: SpoolFiles,
  streamDirectory: string,
  exporter: string,
): DurableCursor | undefined {
  const { newest } = readSlots(files, `${streamDirectory}/${cursorName(exporter)}`);
  return newest === undefined ? undefined : { position: newest.position, timeMs: newest.timeMs };
}

/**
 * Makes durable what a process that died has left as its cursor: it can be read from memory that a power cut still
 * takes. Throws what the disk throws; an exporter without a cursor is passed over.
 */
export function syncCursors(files: SpoolFiles, streamDirectory: string, exporters: Iterable<string>): void {
  const there = new Set(files.list(streamDirectory));
  for (const name of exporters) {
    if (!there.has(cursorName(name))) continue;
    const file = files.open(`${streamDirectory}/${cursorName(name)}`, 'write');
    try {
      file.sync();
    } finally {
      file.close();
    }
  }
  files.syncDirectory(streamDirectory);
}

/** Reads the cursor; the file is made at the first flush. */
export function openCursor(
  files: SpoolFiles,
  streamDirectory: string,
  exporter: string,
  nowMs: () => number = Date.now,
): Cursor {
  const path = `${streamDirectory}/${cursorName(exporter)}`;
  const found = readSlots(files, path);
  let exists = found.exists;
  let file: SpoolFile | undefined;
  let position = found.newest?.position;
  let durable = position;
  let generation = found.newest?.generation ?? 0;
  let entrySynced = false;
  let slot = found.newest === undefined ? 0 : 1 - found.newest.index;
  return {
    position: () => position,
    advance(next) {
      if (position === undefined || next.sequence >= position.sequence) position = next;
    },
    flush() {
      if (position === undefined || position === durable) return;
      const flushed = position;
      file ??= files.open(path, exists ? 'write' : 'create');
      exists = true;
      // A failed attempt uses its generation up: what it left behind must not pass for a later one.
      generation += 1;
      writeAll(
        file,
        encodeSlot({ generation, position: flushed, timeMs: nowMs() }),
        slot * CURSOR_SLOT_BYTES,
      );
      file.sync();
      // Even where the file was found: the process that made it may have died before this.
      if (!entrySynced) files.syncDirectory(streamDirectory);
      entrySynced = true;
      durable = flushed;
      slot = 1 - slot;
    },
    close() {
      file?.close();
      file = undefined;
    },
  };
}

interface Slot extends DurableCursor {
  readonly generation: number;
}

interface FoundSlot extends Slot {
  readonly index: 0 | 1;
}

interface FoundSlots {
  readonly exists: boolean;
  readonly newest: FoundSlot | undefined;
}

function readSlots(files: SpoolFiles, path: string): FoundSlots {
  let file: SpoolFile;
  try {
    file = files.open(path, 'read');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { exists: false, newest: undefined };
    throw error;
  }
  try {
    const slots = [readSlot(file, 0), readSlot(file, 1)].filter((slot) => slot !== undefined);
    slots.sort((a, b) => b.generation - a.generation);
    return { exists: true, newest: slots[0] };
  } finally {
    file.close();
  }
}

function readSlot(file: SpoolFile, index: 0 | 1): FoundSlot | undefined {
  const bytes = Buffer.alloc(CURSOR_SLOT_BYTES);
  let filled = 0;
  for (;;) {
    const read = file.read(bytes.subarray(filled), index * CURSOR_SLOT_BYTES + filled);
    filled += read;
    if (read === 0 || filled === CURSOR_SLOT_BYTES) break;
  }
  const end = bytes.indexOf(LF);
  const tab = bytes.indexOf(TAB);
  if (tab === -1 || bytes.toString('latin1', tab + 1, end) !== checksum(bytes.subarray(0, tab)))
    return undefined;
  return parseSlot(index, bytes.toString('latin1', 0, tab));
}

const COUNTS = ['generation', 'sequence', 'segment', 'offset'] as const;

function parseSlot(index: 0 | 1, json: string): FoundSlot | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const members = new Map<string, unknown>(Object.entries(value));
  const [generation, sequence, segment, offset] = COUNTS.map((name) => members.get(name));
  if (!isCount(generation) || !isCount(sequence) || !isCount(segment) || !isCount(offset)) return undefined;
  const timeMs = members.get('time');
  return {
    index,
    generation,
    position: { sequence, segment, offset },
    timeMs: isCount(timeMs) ? timeMs : undefined,
  };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function encodeSlot({ generation, position: { sequence, segment, offset }, timeMs }: Slot): Buffer {
  const slot = Buffer.alloc(CURSOR_SLOT_BYTES);
  const json = JSON.stringify({ generation, sequence, segment, offset, time: timeMs });
  slot.write(`${json}\t${checksum(Buffer.from(json))}\n`, 'latin1');
  return slot;
}

function checksum(bytes: Uint8Array): string {
  return crc32(bytes).toString(16).padStart(8, '0');
}

function writeAll(file: SpoolFile, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length;) {
    const written = file.write(bytes.subarray(done), position + done);
    if (written === 0) throw new Error('the disk took nothing');
    done += written;
  }
}
