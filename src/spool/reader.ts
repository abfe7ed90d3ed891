/**
 * Reads one stream in order, from a cursor up to what is durable. Every record handed out has a right CRC, its place
 * in the sequence, and is the one that the record behind it (or the seal, the next header, the durable position)
 * vouches for; the rest is named as damage.
 */
import type { SpoolFile, SpoolFiles } from './files.ts';
import { LF } from './line.ts';
import { createLinker } from './linker.ts';
import type { ChainPlace, Linker } from './linker.ts';
import type {
  Citation,
  CursorPosition,
  Damage,
  DurablePosition,
  ReadBatch,
  StreamReader,
} from './position.ts';
import { createScanMemory, createScanner } from './scanner.ts';
import type { ScannedLine, Scanner } from './scanner.ts';
import { createRecordReader, listSegments, readHeader, segmentPath } from './stream-directory.ts';
import type { FoundRecord } from './stream-directory.ts';
import { isSeal, parseSeal } from './segment.ts';
import { codeOf } from './system-error.ts';

export interface ReaderOptions {
  readonly files: SpoolFiles;
  /** The stream's own directory; its name is the stream's id. */
  readonly directory: string;
  readonly stream: string;
  /** undefined: from the oldest kept. */
  readonly from: CursorPosition | undefined;
  /** How far a living stream is durable now; of a recovered one its end (`recoveredPosition`). */
  readonly durable: () => DurablePosition | undefined;
  /** The stream is over, here: what lies behind is void. A function where a living stream may end while it is read. */
  readonly end?: Citation | (() => Citation | undefined) | undefined;
  /** First sequence that retention has not freed: what is missing before it is no damage. */
  readonly keptFrom?: (() => number) | undefined;
}

/** A reader that also knows where it is, so that a cursor can be moved past damage that no record follows. */
export interface PositionedReader extends StreamReader {
  /** All before it has been handed out or named as damage; undefined before the first batch. */
  position(): CursorPosition | undefined;
}

/** The segment that is being read. */
interface OpenSegment {
  readonly first: number;
  readonly file: SpoolFile;
  scanner: Scanner;
  /** Its seal has been read: nothing behind it counts. */
  sealed: boolean;
  /** Its size and the first sequence behind it, once another segment follows. */
  complete: { readonly bytes: number; readonly nextFirst: number } | undefined;
}

interface State {
  readonly options: ReaderOptions;
  readonly recordOf: ReturnType<typeof createRecordReader>;
  readonly memory: ReturnType<typeof createScanMemory>;
  linker: Linker<FoundRecord> | undefined;
  segment: OpenSegment | undefined;
  /** First sequence of the last segment that was read to its end. */
  done: number;
  readonly ready: FoundRecord[];
  damages: Damage[];
  /** All that is durable has been read. */
  idle: boolean;
  position: CursorPosition | undefined;
}

export function openStreamReader(options: ReaderOptions): PositionedReader {
  const state: State = {
    options,
    recordOf: createRecordReader(options.stream),
    memory: createScanMemory(),
    linker: undefined,
    segment: undefined,
    done: 0,
    ready: [],
    damages: [],
    idle: false,
    position: options.from,
  };
  return {
    stream: options.stream,
    next: (recordsMax, bytesMax) => nextBatch(state, recordsMax, bytesMax),
    // A seal alone ends nothing: a full disk may come between it and the next segment.
    ended: () => state.idle && state.ready.length === 0 && endOf(options) !== undefined,
    position: () => state.position,
    close: () => closeSegment(state),
  };
}

function nextBatch(state: State, recordsMax: number, bytesMax: number): ReadBatch {
  const { ready } = state;
  const durable = durablePosition(state.options);
  const records: FoundRecord[] = [];
  let bytes = 0;
  while (records.length < recordsMax) {
    const record = ready[records.length] ?? read(state, records.length, durable);
    if (record === undefined) break;
    bytes += record.end - record.offset;
    if (records.length > 0 && bytes > bytesMax) break;
    records.push(record);
  }
  ready.splice(0, records.length);
  const { damages } = state;
  state.damages = [];
  const last = records.at(-1);
  if (last !== undefined) {
    state.position = { sequence: last.sequence, segment: last.segment, offset: last.end };
  }
  if (ready.length === 0 && state.idle) state.position = idlePosition(state) ?? state.position;
  return { records, damages };
}

function idlePosition({ segment, linker, options }: State): CursorPosition | undefined {
  if (segment === undefined || linker === undefined) return undefined;
  const { sequence } = linker.tip();
  // A cursor ahead of the log is kept as it is.
  if (sequence <= (options.from?.sequence ?? 0)) return undefined;
  return { sequence, segment: segment.first, offset: segment.scanner.offset() };
}

/** Reads on until there is a record at `ready[index]`. */
function read(state: State, index: number, durable: DurablePosition | undefined): FoundRecord | undefined {
  while (state.ready.length <= index) {
    state.idle = durable === undefined || !step(state, durable);
    if (state.idle) break;
  }
  return state.ready[index];
}

/** Nothing behind the end counts, however durable it is. */
function durablePosition(options: ReaderOptions): DurablePosition | undefined {
  const end = endOf(options);
  const position = options.durable();
  if (position === undefined || end === undefined || position.sequence < end.sequence) return position;
  return { ...position, sequence: end.sequence, hash: end.hash };
}

function endOf({ end }: ReaderOptions): Citation | undefined {
  return typeof end === 'function' ? end() : end;
}

/** One line, or one change of segment. @returns false when there is nothing more for now */
function step(state: State, durable: DurablePosition): boolean {
  const segment = state.segment ?? openNext(state, durable);
  const { linker } = state;
  if (linker === undefined) return false;
  if (segment === undefined) {
    // The segment that should be here is gone: what is durable and cannot be read is missing.
    linker.anchor(durable);
    return false;
  }
  if (segment.first < durable.segment) segment.complete ??= completed(state, segment, durable);
  const { complete } = segment;
  const line = segment.sealed ? undefined : segment.scanner.next(complete?.bytes ?? durable.offset);
  if (line !== undefined) {
    take(state, segment, line, complete === undefined ? durable.sequence : complete.nextFirst - 1);
    return true;
  }
  if (complete === undefined) {
    linker.anchor(durable);
    return false;
  }
  linker.anchor({ sequence: complete.nextFirst - 1, hash: hashBefore(state.options, complete.nextFirst) });
  state.done = segment.first;
  closeSegment(state);
  return true;
}

/** @param last no sequence behind it can be in this segment */
function take(state: State, segment: OpenSegment, line: ScannedLine, last: number): void {
  const { linker, options } = state;
  if (linker === undefined || line.json === undefined) return;
  if (isSeal(line.json)) {
    const seal = parseSeal(line.json);
    if (seal?.stream !== options.stream) return;
    if (seal.lastSequence > last || seal.lastSequence < linker.tip().sequence) return;
    linker.anchor({ sequence: seal.lastSequence, hash: seal.hash });
    segment.sealed = true;
    return;
  }
  const record = state.recordOf(line, segment.first);
  if (record !== undefined && record.sequence >= segment.first && record.sequence <= last)
    linker.push(record);
}

/** A segment that another one follows. The header of that one vouches for the last record of this one. */
function completed(state: State, segment: OpenSegment, durable: DurablePosition): OpenSegment['complete'] {
  const { files, directory } = state.options;
  const listed = listSegments(files, directory).find((first) => first > segment.first);
  const nextFirst = Math.min(listed ?? durable.segment, durable.segment);
  return { bytes: segment.file.size(), nextFirst };
}

function closeSegment(state: State): void {
  state.segment?.file.close();
  state.segment = undefined;
}

/** Opens the segment that holds the next record, or the first one behind it that is still there. */
function openNext(state: State, durable: DurablePosition): OpenSegment | undefined {
  const { options, linker } = state;
  const wanted = linker === undefined ? options.from?.sequence : linker.tip().sequence;
  const listed = listSegments(options.files, options.directory).filter(
    (first) => first > state.done && first <= durable.segment,
  );
  const holding = wanted === undefined ? -1 : listed.findLastIndex((first) => first <= wanted + 1);
  for (const first of listed.slice(Math.max(holding, 0))) {
    const file = openKept(options, first);
    if (file === undefined) continue;
    const segment = {
      first,
      file,
      scanner: createScanner(file, 0, state.memory),
      sealed: false,
      complete: undefined,
    };
    try {
      state.linker ??= linkerOf(state, baseOf(options, segment));
      resume(state, segment, durable);
    } catch (error) {
      file.close();
      throw error;
    }
    state.segment = segment;
    return segment;
  }
  state.linker ??= linkerOf(state, { sequence: wanted ?? 0, hash: undefined });
  return undefined;
}

/** The place before the first record that is wanted. */
function baseOf({ from, stream }: ReaderOptions, { first, file }: OpenSegment): ChainPlace {
  if (from !== undefined) return { sequence: from.sequence, hash: undefined };
  return { sequence: first - 1, hash: readHeader(file, stream, first)?.previousHash };
}

/** What the header of a segment says of the record before it. */
function hashBefore(options: ReaderOptions, first: number): string | undefined {
  const file = openKept(options, first);
  try {
    return file === undefined ? undefined : readHeader(file, options.stream, first)?.previousHash;
  } finally {
    file?.close();
  }
}

/** undefined: it is gone, retention was quicker. */
function openKept({ files, directory }: ReaderOptions, first: number): SpoolFile | undefined {
  try {
    return files.open(segmentPath(directory, first), 'read');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function linkerOf(state: State, base: ChainPlace): Linker<FoundRecord> {
  const { stream, keptFrom } = state.options;
  return createLinker(base, {
    release: (record) => void state.ready.push(record),
    missing(from, to, lastHash) {
      const start = Math.max(from, keptFrom?.() ?? 0);
      if (start > to) return;
      const before = state.damages.at(-1);
      if (before?.to === start - 1) {
        state.damages[state.damages.length - 1] = { ...before, to };
      } else state.damages.push({ stream, from: start, to, lastHash: start === from ? lastHash : undefined });
    },
  });
}

/**
 * Goes on at the cursor's offset, if that is where its next record begins. Else the segment is read from its start:
 * an offset is a hint, the sequence decides.
 */
function resume({ options, recordOf, memory }: State, segment: OpenSegment, durable: DurablePosition): void {
  const { from } = options;
  if (from === undefined || from.segment !== segment.first || from.offset === 0) return;
  const limit = segment.first < durable.segment ? segment.file.size() : durable.offset;
  const before = Buffer.alloc(1);
  if (from.offset > limit || segment.file.read(before, from.offset - 1) !== 1 || before[0] !== LF) return;
  const line = createScanner(segment.file, from.offset, memory).next(limit);
  if (line !== undefined && !continues(line, recordOf(line, segment.first), from.sequence)) return;
  segment.scanner = createScanner(segment.file, from.offset, memory);
}

function continues(line: ScannedLine, record: FoundRecord | undefined, sequence: number): boolean {
  if (record !== undefined) return record.sequence === sequence + 1;
  return line.json !== undefined && parseSeal(line.json)?.lastSequence === sequence;
}
