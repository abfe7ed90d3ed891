/** What a spool holds, looked at from outside while others write to it. Nothing in it is changed. */
import { parseEventTime } from '../event/clock.ts';
import { readCatalogue, type CataloguedStream } from './catalogue.ts';
import { readCursor } from './cursor.ts';
import type { SpoolFile, SpoolFiles } from './files.ts';
import type { CitedEnd } from './recovery.ts';
import { createScanner } from './scanner.ts';
import { LOCK_NAME } from './segment.ts';
import { createRecordReader, segmentPath, type FoundRecord } from './stream-directory.ts';

export interface SurveyedStream {
  readonly stream: string;
  /** Bytes of its segments, room made ahead included. */
  readonly bytes: number;
  /** Bytes that are written of them. */
  readonly writtenBytes: number;
  /** Last sequence that is written; 0 where there is none. */
  readonly lastSequence: number;
  /** Times of the first and last record that are kept, milliseconds since the Unix epoch. */
  readonly oldestMs: number | undefined;
  readonly newestMs: number | undefined;
  /** Whether a living process holds it. */
  readonly owned: boolean;
  readonly backlogs: readonly Backlog[];
}

/** What one exporter has not had of a stream. */
export interface Backlog {
  readonly exporter: string;
  readonly records: number;
  /** Time of the first of them, milliseconds since the Unix epoch. */
  readonly oldestMs: number | undefined;
}

export interface SurveyOptions {
  readonly files: SpoolFiles;
  /** The spool's; must exist. */
  readonly directory: string;
  /** Those that are to have everything; a stream that one of them has no cursor in waits for it as a whole. */
  readonly exporters: readonly string[];
}

/** Reads first lines, cursors, and the last segment of each stream. Throws what the disk throws. */
export function surveySpool({ files, directory, exporters }: SurveyOptions): SurveyedStream[] {
  const { streams, citations } = readCatalogue(files, directory);
  return streams.map((stream) => surveyStream(files, stream, { exporters, end: endOf(stream, citations) }));
}

interface Bounds {
  readonly exporters: readonly string[];
  /** What lies behind it was never recorded: another stream goes on from there. */
  readonly end: number;
}

function endOf({ stream }: CataloguedStream, citations: readonly CitedEnd[]): number {
  const ends = citations.flatMap((cited) => (cited.stream === stream ? [cited.sequence ?? Infinity] : []));
  return Math.min(Infinity, ...ends);
}

function surveyStream(
  files: SpoolFiles,
  found: CataloguedStream,
  { exporters, end }: Bounds,
): SurveyedStream {
  const { stream, directory, segments, bytes } = found;
  const read = (first: number, from: number): Generator<FoundRecord> =>
    recordsOf(files, found, { first, from });
  const first = segments[0] === undefined ? undefined : firstOf(read(segments[0].first, 0));
  const last = lastOf(
    segments.toReversed().map((segment) => read(segment.first, 0)),
    end,
  );
  const lastSequence = last?.sequence ?? 0;
  return {
    stream,
    bytes,
    writtenBytes: last === undefined ? 0 : last.end + bytesBefore(segments, last.segment),
    lastSequence,
    oldestMs: timeOf(first),
    newestMs: timeOf(last),
    owned: isOwned(files, directory),
    backlogs: exporters.map((exporter): Backlog => {
      const cursor = readCursor(files, directory, exporter)?.position;
      const had = Math.max(cursor?.sequence ?? 0, (first?.sequence ?? 1) - 1);
      const records = Math.max(0, lastSequence - had);
      if (records === 0) return { exporter, records, oldestMs: undefined };
      const waiting = cursor === undefined ? first : nextOf(segments, cursor, read);
      return { exporter, records, oldestMs: timeOf(waiting) };
    }),
  };
}

function bytesBefore(segments: CataloguedStream['segments'], segment: number): number {
  return segments.reduce((sum, { first, bytes }) => (first < segment ? sum + bytes : sum), 0);
}

interface Place {
  readonly sequence: number;
  readonly segment: number;
  readonly offset: number;
}

/** The first record behind a cursor, in its segment or in the one after. */
function nextOf(
  segments: CataloguedStream['segments'],
  { sequence, segment, offset }: Place,
  read: (first: number, from: number) => Generator<FoundRecord>,
): FoundRecord | undefined {
  for (const { first } of segments) {
    if (first < segment) continue;
    for (const record of read(first, first === segment ? offset : 0)) {
      if (record.sequence > sequence) return record;
    }
  }
  return undefined;
}

function firstOf(records: Generator<FoundRecord>): FoundRecord | undefined {
  for (const record of records) return record;
  return undefined;
}

/** The last segment may have no record yet. */
function lastOf(newestFirst: readonly Generator<FoundRecord>[], end: number): FoundRecord | undefined {
  for (const records of newestFirst) {
    let last: FoundRecord | undefined;
    for (const record of records) if (record.sequence <= end) last = record;
    if (last !== undefined) return last;
  }
  return undefined;
}

function* recordsOf(
  files: SpoolFiles,
  { stream, directory }: CataloguedStream,
  { first, from }: { readonly first: number; readonly from: number },
): Generator<FoundRecord> {
  let file: SpoolFile;
  try {
    file = files.open(segmentPath(directory, first), 'read');
  } catch {
    // Its owner has freed it in the meantime.
    return;
  }
  try {
    const recordOf = createRecordReader(stream);
    const scanner = createScanner(file, from);
    const size = file.size();
    for (let line = scanner.next(size); line !== undefined; line = scanner.next(size)) {
      const record = recordOf(line, first);
      if (record !== undefined) yield record;
    }
  } finally {
    file.close();
  }
}

function timeOf(record: FoundRecord | undefined): number | undefined {
  if (record === undefined) return undefined;
  const [, time = ''] = /"verdict\.time":"([^"]*)"/.exec(record.body) ?? [];
  try {
    const [seconds, nanoseconds] = parseEventTime(time);
    return seconds * 1000 + Math.floor(nanoseconds / 1e6);
  } catch {
    return undefined;
  }
}

/** Whoever wants to take over a stream in the moment that this looks finds it busy, and asks again later. */
function isOwned(files: SpoolFiles, directory: string): boolean {
  // To ask for a lock makes its file where it is missing, and a stream that is being removed must not get one again.
  if (!files.list(directory).includes(LOCK_NAME)) return false;
  const lock = files.lock(`${directory}/${LOCK_NAME}`);
  lock?.release();
  return lock === undefined;
}
