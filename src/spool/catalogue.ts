/** Which streams a spool holds, oldest first, and who continues whom. Reads names and first lines only. */
import type { SpoolFile, SpoolFiles } from './files.ts';
import { ZERO_HASH } from '../event/stamp.ts';
import { exporterOfCursor } from './cursor.ts';
import type { Citation } from './position.ts';
import type { CitedEnd } from './recovery.ts';
import { createScanner } from './scanner.ts';
import { isStreamId } from './segment.ts';
import type { SegmentHeader } from './segment.ts';
import { createRecordReader, listSegments, readHeader, segmentPath } from './stream-directory.ts';
import { codeOf, isTemporary } from './system-error.ts';

export interface CataloguedStream {
  /** Also the name of its directory. */
  readonly stream: string;
  readonly directory: string;
  readonly segments: readonly { readonly first: number; readonly bytes: number }[];
  /** Of all segments. */
  readonly bytes: number;
  /** The oldest header that can be read: resource, scope. */
  readonly header: SegmentHeader | undefined;
  /** The end of the stream that this one continues. */
  readonly predecessor: Citation | undefined;
  /** Exporters that have a cursor here. */
  readonly exporters: readonly string[];
}

export interface Catalogue {
  /** Oldest first; a predecessor always before its successor. */
  readonly streams: readonly CataloguedStream[];
  /** For `recoverStream`. */
  readonly citations: readonly CitedEnd[];
}

/** Names of all streams of a spool, oldest first where they are UUIDv7. */
export function listStreams(files: SpoolFiles, spoolDirectory: string): string[] {
  return files.list(spoolDirectory).filter(isStreamId);
}

/** @param names the streams that are wanted; default: all, without which citations are not complete */
export function readCatalogue(
  files: SpoolFiles,
  spoolDirectory: string,
  names: readonly string[] = listStreams(files, spoolDirectory),
): Catalogue {
  const citations: CitedEnd[] = [];
  const streams = names.flatMap((stream): CataloguedStream[] => {
    const directory = `${spoolDirectory}/${stream}`;
    const entries = listDirectory(files, directory);
    if (entries === undefined) return [];
    const firstLines = listSegments(files, directory).flatMap(
      (first) => readFirstLines(files, { directory, stream, first }) ?? [],
    );
    const header = firstLines.find((lines) => lines.header !== undefined)?.header;
    const cited = header === undefined ? orphanEnd(firstLines[0]) : header.predecessor;
    if (cited !== undefined) citations.push(cited);
    return [
      {
        stream,
        directory,
        segments: firstLines.map(({ first, bytes }) => ({ first, bytes })),
        bytes: firstLines.reduce((sum, { bytes }) => sum + bytes, 0),
        header,
        predecessor: header?.predecessor,
        exporters: entries.map(exporterOfCursor).filter((exporter) => exporter !== undefined),
      },
    ];
  });
  return { streams: inOrder(streams), citations };
}

/** What no directory can be read by (readdir(3), path_resolution(7)). */
const NO_DIRECTORY: ReadonlySet<string> = new Set(['ENOTDIR', 'ELOOP']);

/** undefined for what only has the name of a stream: a file, a pipe or a link put there must not hide the others. */
function listDirectory(files: SpoolFiles, directory: string): readonly string[] | undefined {
  try {
    return files.list(directory);
  } catch (error) {
    if (NO_DIRECTORY.has(codeOf(error) ?? '')) return undefined;
    throw error;
  }
}

interface FirstLines {
  readonly first: number;
  readonly bytes: number;
  readonly header: SegmentHeader | undefined;
  /** What the first record cites; only looked for where the header is lost. */
  readonly previousHash: string | undefined;
}

interface Where {
  readonly directory: string;
  readonly stream: string;
  readonly first: number;
}

/** undefined where retention was quicker. A segment that cannot be read must not hide the other streams. */
function readFirstLines(files: SpoolFiles, where: Where): FirstLines | undefined {
  try {
    return linesOfSegment(files, where);
  } catch (error) {
    if (isTemporary(error)) throw error;
    if (codeOf(error) === 'ENOENT') return undefined;
    return { first: where.first, bytes: 0, header: undefined, previousHash: undefined };
  }
}

function linesOfSegment(files: SpoolFiles, { directory, stream, first }: Where): FirstLines {
  const file = files.open(segmentPath(directory, first), 'read');
  try {
    const bytes = file.size();
    const header = readHeader(file, stream, first);
    const previousHash = header === undefined ? firstCitedHash(file, stream, first) : undefined;
    return { first, bytes, header, previousHash };
  } finally {
    file.close();
  }
}

function firstCitedHash(file: SpoolFile, stream: string, first: number): string | undefined {
  const scanner = createScanner(file, 0);
  const recordOf = createRecordReader(stream);
  const bytes = file.size();
  for (let line = scanner.next(bytes); line !== undefined; line = scanner.next(bytes)) {
    const record = recordOf(line, first);
    if (record !== undefined) return record.sequence === first ? record.previousHash : undefined;
  }
  return undefined;
}

/** A stream that has lost its header still says, in its first record, with which hash its predecessor ended. */
function orphanEnd(lines: FirstLines | undefined): CitedEnd | undefined {
  if (lines?.first !== 1 || lines.previousHash === undefined || lines.previousHash === ZERO_HASH) {
    return undefined;
  }
  return { stream: undefined, sequence: undefined, hash: lines.previousHash };
}

/** By id, which begins with the time where it is a UUIDv7; but no clock puts a successor before its predecessor. */
export function inOrder<T extends Pick<CataloguedStream, 'stream' | 'predecessor'>>(
  streams: readonly T[],
): T[] {
  const waiting = new Map(
    streams.toSorted((a, b) => (a.stream < b.stream ? -1 : 1)).map((entry) => [entry.stream, entry]),
  );
  const ordered: T[] = [];
  while (waiting.size > 0) {
    let [next] = waiting.values();
    // Each step takes one off a finite chain; one that cites itself in a ring is taken where the ring closes.
    const seen = new Set<string>();
    while (next?.predecessor !== undefined && !seen.has(next.stream)) {
      seen.add(next.stream);
      const before = waiting.get(next.predecessor.stream);
      if (before === undefined) break;
      next = before;
    }
    if (next === undefined) break;
    waiting.delete(next.stream);
    ordered.push(next);
  }
  return ordered;
}
