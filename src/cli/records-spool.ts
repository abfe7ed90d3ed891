/** A spool directory as the `records` verbs read it: every line that is there, in order, in bounded memory. */
import { basename, dirname, join, resolve } from 'node:path';
import { statSync } from 'node:fs';
import { defaultKeysDirectory } from '../config/places.ts';
import { VerdictError } from '../errors.ts';
import type { SpoolFile } from '../spool/files.ts';
import { nodeFiles } from '../spool/node-files.ts';
import { createScanner } from '../spool/scanner.ts';
import type { ScannedLine } from '../spool/scanner.ts';
import { isHeader, isSeal, isStreamId } from '../spool/segment.ts';
import type { SegmentHeader } from '../spool/segment.ts';
import { createRecordReader, listSegments, readHeader, segmentPath } from '../spool/stream-directory.ts';

export interface SpoolStream {
  /** UUID. */
  readonly stream: string;
  readonly directory: string;
  /** First sequences of its segments, in order. */
  readonly segments: readonly number[];
  /** The first that can be read. */
  readonly header: SegmentHeader | undefined;
  /** Another stream goes on from this record: what lies behind it was never recorded. */
  readonly endsAt: number | undefined;
}

/** What stands in a segment. `torn` is what a crash left of a commit that nobody was told of. */
export type SpoolLine =
  | {
      readonly kind: 'record';
      readonly body: string;
      /** undefined where the line is whole and its record says nothing of a place in this stream. */
      readonly sequence: number | undefined;
      /** Offset just behind the line. */
      readonly end: number;
    }
  | {
      readonly kind: 'damage' | 'torn';
      readonly path: string;
      readonly offset: number;
      readonly end: number;
    };

/** Beside the keys, where DESIGN section 5 puts it. */
export function defaultSpoolDirectory(env: Readonly<Record<string, string | undefined>>): string {
  return join(dirname(defaultKeysDirectory(env)), 'spool');
}

/**
 * The streams of a spool directory, or of the directory of one stream; ids are UUIDv7, so the oldest is first.
 * Throws file_unreadable.
 */
export function listSpool(directory: string): SpoolStream[] {
  const path = resolve(directory);
  try {
    const own = basename(path);
    const names = isStreamId(own) ? [own] : nodeFiles.list(path).filter(isStreamId);
    const parent = isStreamId(own) ? dirname(path) : path;
    if (!statSync(path).isDirectory()) throw new Error('it is not a directory');
    return withEnds(names.map((stream) => readStream(join(parent, stream), stream)));
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new VerdictError('file_unreadable', { file: directory, detail }, { cause: error });
  }
}

function readStream(directory: string, stream: string): SpoolStream {
  const segments = listSegments(nodeFiles, directory);
  for (const first of segments) {
    const header = withFile(segmentPath(directory, first), (file) => readHeader(file, stream, first));
    if (header !== undefined) return { stream, directory, segments, header, endsAt: undefined };
  }
  return { stream, directory, segments, header: undefined, endsAt: undefined };
}

function withEnds(streams: readonly SpoolStream[]): SpoolStream[] {
  const ends = new Map<string, number>();
  for (const { header } of streams) {
    if (header?.predecessor === undefined) continue;
    const { stream, sequence } = header.predecessor;
    ends.set(stream, Math.min(sequence, ends.get(stream) ?? Infinity));
  }
  return streams.map((stream) => ({ ...stream, endsAt: ends.get(stream.stream) }));
}

function withFile<Result>(path: string, use: (file: SpoolFile) => Result): Result {
  const file = nodeFiles.open(path, 'read');
  try {
    return use(file);
  } finally {
    file.close();
  }
}

/** All lines of a stream. Throws file_unreadable. */
export function* readSpoolStream(stream: SpoolStream): Generator<SpoolLine> {
  for (const first of stream.segments) yield* readSegment(stream, first);
}

/**
 * The lines of one segment, as far as it is written now.
 * @param from offset where a line begins
 */
export function* readSegment(stream: SpoolStream, first: number, from: number = 0): Generator<SpoolLine> {
  const path = segmentPath(stream.directory, first);
  let file: SpoolFile;
  try {
    file = nodeFiles.open(path, 'read');
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new VerdictError('file_unreadable', { file: path, detail }, { cause: error });
  }
  try {
    const lines = scan(file, from);
    yield* judgeLines(lines, path, stream, first);
  } finally {
    file.close();
  }
}

function* scan(file: SpoolFile, from: number): Generator<ScannedLine> {
  const size = file.size();
  const scanner = createScanner(file, from);
  for (let line = scanner.next(size); line !== undefined; line = scanner.next(size)) yield line;
}

function* judgeLines(
  lines: Iterable<ScannedLine>,
  path: string,
  stream: SpoolStream,
  first: number,
): Generator<SpoolLine> {
  const recordOf = createRecordReader(stream.stream);
  const tell = (line: ScannedLine): SpoolLine[] => {
    const { json, offset, end } = line;
    if (json === undefined) return [{ kind: 'damage', path, offset, end }];
    const sequence = recordOf(line, first)?.sequence;
    const isVoid = sequence !== undefined && sequence > (stream.endsAt ?? Infinity);
    return isVoid || isHeader(json) || isSeal(json) ? [] : [{ kind: 'record', body: json, sequence, end }];
  };
  let whole = first !== stream.segments.at(-1);
  // From a bad stretch on, lines wait until it is known whether it is damage or a torn tail.
  let waiting: ScannedLine[] = [];
  for (const line of lines) {
    whole ||= line.json !== undefined && isSeal(line.json);
    waiting.push(line);
    if (!isSettled(line, waiting[0] ?? line, whole)) continue;
    yield* waiting.flatMap(tell);
    waiting = [];
  }
  for (const line of waiting) {
    // Zeros are room that was made before it was needed.
    if (line.contentEnd === line.offset) continue;
    if (whole) yield* tell(line);
    else yield { kind: 'torn', path, offset: line.offset, end: line.end };
  }
}

/** Whether a line is good, and shows that what was waiting before it had been durable. */
function isSettled(line: ScannedLine, bad: ScannedLine, whole: boolean): boolean {
  if (line.json === undefined) return false;
  return bad === line || whole || line.durableBefore > bad.offset;
}
