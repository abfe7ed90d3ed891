/**
 * What may go. A segment is freed when every required exporter has had it for as long as is kept; when the spool is
 * too large, also one that they have had for a shorter time. What a required exporter lacks is never freed. Where none is
 * required, the oldest goes when the spool is too large. Whatever goes that somebody lacks becomes a gap record.
 */
import type { GapDraft } from './adoption.ts';
import type { SpoolFiles, SpoolLock } from './files.ts';
import { LOCK_NAME } from './segment.ts';
import { segmentPath } from './stream-directory.ts';
import { codeOf } from './system-error.ts';

export const KEEP_MS_DEFAULT = 72 * 3_600_000;

/** Bytes of all segments together, before acknowledged ones are freed early, and calls are refused. */
export const SPOOL_BYTES_DEFAULT = 10 * 1024 ** 3;

export interface KeptSegment {
  readonly first: number;
  /** Of its last record; first - 1 where it has none. */
  readonly lastSequence: number;
  /** Of that record, where it is known. */
  readonly lastHash: string | undefined;
  readonly bytes: number;
  /** Since when all who must have it do, or later; milliseconds since the Unix epoch. Of one that they lack: any. */
  readonly hadSinceMs: number;
}

export interface KeptStream {
  readonly stream: string;
  /** In order. */
  readonly segments: readonly KeptSegment[];
  /** Nothing more will be written to it; only then does its last segment ever go, and its directory with it. */
  readonly over: boolean;
  /** The stream that this one continues: its end is written here, so it goes first. */
  readonly predecessor: string | undefined;
  /** Last acknowledged sequence of each exporter; none: 0. */
  readonly acknowledged: ReadonlyMap<string, number>;
}

export interface RetentionState {
  /** Oldest first; streams of living other processes are not among them. */
  readonly streams: readonly KeptStream[];
  readonly exporters: readonly { readonly name: string; readonly required: boolean }[];
  readonly keepMs: number;
  readonly bytesMax: number;
  readonly nowMs: number;
}

export interface RetentionPlan {
  /** Oldest first. */
  readonly segments: readonly { readonly stream: string; readonly first: number; readonly bytes: number }[];
  /** Streams of which nothing is left. */
  readonly streams: readonly string[];
  /** To be recorded before anything is freed. */
  readonly gaps: readonly GapDraft[];
  /** The spool is too large and nothing more may go. */
  readonly full: boolean;
}

export function planRetention(state: RetentionState): RetentionPlan {
  const plan = new Planner(state);
  for (const stream of state.streams) {
    // Without exporters nobody has had it: it stays while there is room.
    if (state.exporters.length === 0) break;
    plan.freeWhile(stream, (segment) => plan.isHad(stream, segment) && isOld(state, segment));
  }
  for (const stream of state.streams) {
    plan.freeWhile(stream, (segment) => plan.isTooLarge() && plan.isHad(stream, segment));
  }
  if (!state.exporters.some(({ required }) => required)) {
    for (const stream of state.streams) plan.freeWhile(stream, () => plan.isTooLarge());
  }
  return plan.result();
}

function isOld({ nowMs, keepMs }: RetentionState, { hadSinceMs }: KeptSegment): boolean {
  return nowMs - hadSinceMs > keepMs;
}

/** Names of the exporters that must have a segment before it may go at all: the required ones, else all. */
export function demandingOf(exporters: RetentionState['exporters']): readonly string[] {
  const required = exporters.filter((exporter) => exporter.required);
  return (required.length > 0 ? required : exporters).map(({ name }) => name);
}

/** Whether all who matter have had it; without exporters nobody has. */
export function isHadBy(
  demanding: readonly string[],
  acknowledged: ReadonlyMap<string, number>,
  lastSequence: number,
): boolean {
  return demanding.length > 0 && demanding.every((name) => (acknowledged.get(name) ?? 0) >= lastSequence);
}

class Planner {
  readonly #state: RetentionState;
  readonly #demanding: readonly string[];
  /** How many segments of each stream go, from its first on. */
  readonly #freed = new Map<string, number>();
  readonly #gone = new Set<string>();
  #bytes: number;

  constructor(state: RetentionState) {
    this.#state = state;
    this.#demanding = demandingOf(state.exporters);
    this.#bytes = 0;
    for (const { segments } of state.streams) for (const { bytes } of segments) this.#bytes += bytes;
    for (const stream of state.streams) this.#noteGone(stream);
  }

  isTooLarge(): boolean {
    return this.#bytes > this.#state.bytesMax;
  }

  isHad({ acknowledged }: KeptStream, { lastSequence }: KeptSegment): boolean {
    return isHadBy(this.#demanding, acknowledged, lastSequence);
  }

  /** Frees from the stream's oldest on, as long as `may` says so. */
  freeWhile(stream: KeptStream, may: (segment: KeptSegment) => boolean): void {
    const { segments } = stream;
    for (let freed = this.#freed.get(stream.stream) ?? 0; freed < segments.length; freed += 1) {
      const segment = segments[freed];
      if (segment === undefined || !this.#mayEnd(stream, freed) || !may(segment)) return;
      this.#freed.set(stream.stream, freed + 1);
      this.#bytes -= segment.bytes;
    }
    this.#noteGone(stream);
  }

  result(): RetentionPlan {
    const { streams } = this.#state;
    const gone = streams.map((stream) => ({ stream, segments: this.#freedOf(stream) }));
    return {
      segments: gone.flatMap(({ stream: { stream }, segments }) =>
        segments.map(({ first, bytes }) => ({ stream, first, bytes })),
      ),
      streams: streams.map(({ stream }) => stream).filter((stream) => this.#gone.has(stream)),
      gaps: gone.flatMap(({ stream, segments }) => gapsOf(stream, segments, this.#state)),
      full: this.isTooLarge(),
    };
  }

  #freedOf({ stream, segments }: KeptStream): readonly KeptSegment[] {
    return segments.slice(0, this.#freed.get(stream) ?? 0);
  }

  /** The last segment is in use while the stream lives, and holds the predecessor's end while that is kept. */
  #mayEnd({ segments, over, predecessor }: KeptStream, index: number): boolean {
    if (index < segments.length - 1) return true;
    return over && (predecessor === undefined || !this.#isKept(predecessor));
  }

  #isKept(stream: string): boolean {
    return this.#state.streams.some((entry) => entry.stream === stream) && !this.#gone.has(stream);
  }

  #noteGone(stream: KeptStream): void {
    const left = stream.segments.length - this.#freedOf(stream).length;
    if (stream.over && left === 0) this.#gone.add(stream.stream);
  }
}

/** What goes without an exporter having had it: one gap for each of them, or one for all where there are none. */
function gapsOf(stream: KeptStream, freed: readonly KeptSegment[], state: RetentionState): GapDraft[] {
  const last = freed.findLast(({ first, lastSequence }) => lastSequence >= first);
  const oldest = freed[0];
  if (last === undefined || oldest === undefined) return [];
  const to = last.lastSequence;
  const gap = (from: number, exporter: string | undefined): GapDraft[] =>
    from > to
      ? []
      : [
          {
            stream: stream.stream,
            from,
            to,
            count: to - from + 1,
            reason: 'retention',
            ...(exporter !== undefined && { exporter }),
            lastHash: last.lastHash,
          },
        ];
  if (state.exporters.length === 0) return gap(oldest.first, undefined);
  return state.exporters.flatMap(({ name }) =>
    gap(Math.max(oldest.first, (stream.acknowledged.get(name) ?? 0) + 1), name),
  );
}

export interface FreeingOptions {
  readonly files: SpoolFiles;
  /** The spool's. */
  readonly directory: string;
  readonly plan: RetentionPlan;
  /** Makes all cursors of a stream durable; throws where it cannot, and then nothing of the stream is freed. */
  readonly flush: (stream: string) => void;
  /** Of the adopted streams: freed when the stream is removed. */
  readonly locks: ReadonlyMap<string, SpoolLock>;
}

export interface Freed {
  readonly bytes: number;
  readonly streams: readonly string[];
  /** What could not be freed this time; the next plan will name it again. */
  readonly failed: readonly { readonly stream: string; readonly error: unknown }[];
}

/** Cursor durable, then unlink, then the directory durable: at any cut, what is gone is known to have been had. */
export function freeSegments(options: FreeingOptions): Freed {
  const { files, directory, plan, flush } = options;
  const failed: { stream: string; error: unknown }[] = [];
  const removed: string[] = [];
  let bytes = 0;
  // Oldest first: a successor says where its predecessor ended, for as long as any of that one may come back.
  const touched = new Set([...plan.streams, ...plan.segments.map(({ stream }) => stream)]);
  for (const stream of touched) {
    const path = `${directory}/${stream}`;
    const segments = plan.segments.filter((segment) => segment.stream === stream);
    try {
      flush(stream);
      for (const segment of segments) {
        unlinkQuietly(files, segmentPath(path, segment.first));
        // One by one: a power cut may keep any of several removals, and an older segment without a newer one is a hole.
        files.syncDirectory(path);
        bytes += segment.bytes;
      }
      if (!plan.streams.includes(stream)) continue;
      // Its segments may have been taken away by somebody who did not see to it that they stay away.
      if (segments.length === 0) files.syncDirectory(path);
      removeStream(options, stream);
      removed.push(stream);
    } catch (error) {
      // The directory is gone already: there is nothing left to free.
      if (codeOf(error) !== 'ENOENT') failed.push({ stream, error });
    }
  }
  if (removed.length > 0) files.syncDirectory(directory);
  return { bytes, streams: removed, failed };
}

/** The lock goes last, and is held until it is gone: so nobody adopts what is being removed. */
function removeStream({ files, directory, locks }: FreeingOptions, stream: string): void {
  const path = `${directory}/${stream}`;
  const names = files.list(path).filter((name) => !name.startsWith(LOCK_NAME));
  for (const name of names) unlinkQuietly(files, `${path}/${name}`);
  for (const name of files.list(path)) unlinkQuietly(files, `${path}/${name}`);
  locks.get(stream)?.release();
  files.removeDirectory(path);
}

function unlinkQuietly(files: SpoolFiles, path: string): void {
  try {
    files.unlink(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}
