/** What the keeper knows of a stream, and what retention makes of it. */
import type { CataloguedStream } from './catalogue.ts';
import type { GapDraft } from './adoption.ts';
import { exporterOfCursor, readCursor } from './cursor.ts';
import type { SpoolFiles, SpoolLock } from './files.ts';
import { readMark } from './mark.ts';
import type { Citation, DurablePosition } from './position.ts';
import { isHadBy, type KeptSegment, type KeptStream } from './retention.ts';
import { listSegments } from './stream-directory.ts';

export interface Known {
  /** One that this process has written: its lock is the writer's. */
  readonly own: boolean;
  over: boolean;
  predecessor: string | undefined;
  /** Of an adopted or ended stream: its last sequence and hash. */
  end: Citation | undefined;
  /** Of an adopted stream, until it is settled. */
  lock: SpoolLock | undefined;
  /** Everything that there is to say of it is on record. */
  marked: boolean;
  /** Exporters that have not had all of it. */
  readonly waitedFor: Set<string>;
  /** Only kept; nobody writes to its directory any more, so this is what is in it. */
  settled: StreamSegments | undefined;
  readonly acknowledged: Map<string, number>;
  /** What was acknowledged already when the stream became known, and when the last of it was. */
  readonly before: Acknowledged;
  /** Whether that is durable, and not only in the memory of a machine whose process has died. */
  foundSynced: boolean;
  /** By first sequence: since when all who must have the segment do, or later. */
  readonly hadSinceMs: Map<number, number>;
}

/** As much of a stream as retention needs. */
export type StreamSegments = Pick<CataloguedStream, 'stream' | 'segments' | 'predecessor'>;

export interface Acknowledged {
  /** By exporter: sequence. */
  readonly sequences: ReadonlyMap<string, number>;
  /** The newest cursor's; undefined where one does not say. */
  readonly timeMs: number | undefined;
}

export interface StreamPlace {
  readonly files: SpoolFiles;
  /** The stream's own. */
  readonly directory: string;
  readonly stream: string;
}

/** How far each exporter's cursor on the disk says it is. */
export function readAcknowledged(
  { files, directory }: StreamPlace,
  exporters: readonly string[],
): Acknowledged {
  const sequences = new Map<string, number>();
  let timeMs: number | undefined = 0;
  for (const name of exporters) {
    const cursor = readCursor(files, directory, name);
    if (cursor === undefined) continue;
    sequences.set(name, cursor.position.sequence);
    timeMs =
      timeMs === undefined || cursor.timeMs === undefined ? undefined : Math.max(timeMs, cursor.timeMs);
  }
  return { sequences, timeMs };
}

/**
 * Where a stream ends of which everything is on record (mark.ts) and which all these exporters have had; it needs no
 * owner. undefined: somebody has something to do for it.
 */
export function settledEnd(place: StreamPlace, exporters: readonly string[]): Citation | undefined {
  const { files, directory, stream } = place;
  const mark = readMark(files, directory);
  if (mark?.end.stream !== stream) return undefined;
  const { sequences } = readAcknowledged(place, exporters);
  if (exporters.some((name) => (sequences.get(name) ?? 0) < mark.end.sequence)) return undefined;
  return listSegments(files, directory).includes(mark.segment) ? mark.end : undefined;
}

export interface KeptOptions {
  readonly demanding: readonly string[];
  readonly nowMs: number;
  /** Of the stream that is written. */
  readonly written: DurablePosition | undefined;
}

/** A stream as retention sees it. */
export function keptStream(
  { stream, segments }: StreamSegments,
  facts: Known,
  options: KeptOptions,
): KeptStream {
  const { over, predecessor, acknowledged } = facts;
  return {
    stream,
    over,
    predecessor,
    acknowledged,
    segments: segments.map(({ first, bytes }, index) => {
      const next = segments[index + 1]?.first;
      const lastSequence = next === undefined ? (facts.end?.sequence ?? Number.MAX_SAFE_INTEGER) : next - 1;
      return {
        first,
        bytes: writtenBytes(options.written, { stream, first, bytes }),
        lastSequence,
        lastHash: next === undefined ? facts.end?.hash : undefined,
        hadSinceMs: hadSinceMs(facts, { first, lastSequence }, options),
      };
    }),
  };
}

/** What is filled ahead of the records is no reason to refuse one. */
function writtenBytes(
  written: DurablePosition | undefined,
  { stream, first, bytes }: { readonly stream: string; readonly first: number; readonly bytes: number },
): number {
  return written?.stream === stream && written.segment === first ? Math.min(bytes, written.offset) : bytes;
}

type Place = Pick<KeptSegment, 'first' | 'lastSequence'>;

/**
 * A cursor tells of its last write only: what was acknowledged when we came is taken to have been so since then. For
 * what is acknowledged later, it is when it is first seen.
 */
function hadSinceMs(facts: Known, { first, lastSequence }: Place, { demanding, nowMs }: KeptOptions): number {
  // Without a record there is nothing to keep.
  if (lastSequence < first) return 0;
  const known = facts.hadSinceMs.get(first);
  if (known !== undefined) return known;
  if (!isHadBy(demanding, facts.acknowledged, lastSequence)) return nowMs;
  const { sequences, timeMs = nowMs } = facts.before;
  const sinceMs = isHadBy(demanding, sequences, lastSequence) ? Math.min(timeMs, nowMs) : nowMs;
  facts.hadSinceMs.set(first, sinceMs);
  return sinceMs;
}

/**
 * Of what goes: records that an exporter of another process lacks, or one that was taken out of the configuration. Its
 * cursor shows that it has begun; of one that has not begun yet nobody here knows.
 * @param ours names of the exporters that the plan has looked at
 */
export function gapsOfOthers(
  { files, directory }: Pick<StreamPlace, 'files' | 'directory'>,
  { stream, segments }: Pick<KeptStream, 'stream' | 'segments'>,
  ours: readonly string[],
): GapDraft[] {
  const [oldest, last] = [segments[0], segments.findLast(({ first, lastSequence }) => lastSequence >= first)];
  if (oldest === undefined || last === undefined) return [];
  const others = files.list(directory).flatMap((name) => exporterOfCursor(name) ?? []);
  return others.flatMap((exporter) => {
    if (ours.includes(exporter)) return [];
    const from = Math.max(oldest.first, sequenceOf(files, directory, exporter) + 1);
    const to = last.lastSequence;
    const { lastHash } = last;
    return from > to
      ? []
      : [{ stream, from, to, count: to - from + 1, reason: 'retention', exporter, lastHash }];
  });
}

/** 0 where it cannot be read: more is said to be gone than is, and nothing goes without a word. */
function sequenceOf(files: SpoolFiles, directory: string, exporter: string): number {
  try {
    return readCursor(files, directory, exporter)?.position.sequence ?? 0;
  } catch {
    return 0;
  }
}
