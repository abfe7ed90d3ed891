/**
 * Taking over the streams of processes that died. What can be locked has no owner; what is locked is alive and is
 * left alone. Nothing is written: what has to be recorded is handed back, to be recorded in a stream of our own.
 */
import { listStreams, readCatalogue, type Catalogue } from './catalogue.ts';
import type { SpoolFiles, SpoolLock } from './files.ts';
import type { Damage } from './position.ts';
import { recoverStream } from './recovery.ts';
import type { CitedEnd, RecoveredStream } from './recovery.ts';
import { LOCK_NAME, type SegmentHeader } from './segment.ts';
import { readMark, type AdoptionMark } from './mark.ts';
import { listSegments, segmentPath } from './stream-directory.ts';
import { codeOf } from './system-error.ts';
import type { UnpairedDecision } from './unpaired-decision.ts';

export interface AdoptionOptions {
  readonly files: SpoolFiles;
  /** The spool's. */
  readonly directory: string;
  /** Streams that are not to be looked at: our own, adopted ones, settled ones. */
  readonly own: Iterable<string>;
  /** Whether nothing is left to do for a stream but to keep it: then it needs no owner. */
  readonly isSettled?: ((stream: string) => boolean) | undefined;
  /** Most streams to adopt now: each costs a file handle and memory for as long as it is held. Default: all. */
  readonly most?: number | undefined;
}

export interface AdoptedStream extends RecoveredStream {
  /** Whether an earlier adopter has put on record what there is to say of it. */
  readonly marked: boolean;
  /** Held until there is nothing left to do for the stream. */
  readonly lock: SpoolLock;
}

export interface Adoption {
  /** Oldest first. */
  readonly adopted: readonly AdoptedStream[];
  /** Streams that belong to living processes. */
  readonly busy: readonly string[];
  /** Whether there may be more to adopt, over `most`. */
  readonly more: boolean;
  /** Streams that could not be read; they stay as they are, and may be tried again. */
  readonly failed: readonly { readonly stream: string; readonly error: unknown }[];
  /** For `verdict.gap`, reason `damaged`. */
  readonly gaps: readonly GapDraft[];
  /** For `verdict.outcome`, status `unknown`. */
  readonly unknownOutcomes: readonly UnpairedDecision[];
}

/** The fields of a `verdict.gap` record. */
export interface GapDraft {
  readonly stream: string;
  readonly from: number;
  readonly to: number;
  readonly count: number;
  readonly reason: 'damaged' | 'retention';
  /** Absent: for all. */
  readonly exporter?: string | undefined;
  readonly lastHash?: string | undefined;
}

/** What a reader or recovery found missing, as a record says it. */
export function gapOfDamage({ stream, from, to }: Damage): GapDraft {
  return { stream, from, to, count: to - from + 1, reason: 'damaged' };
}

export function adoptStreams(options: AdoptionOptions): Adoption {
  const { files, directory } = options;
  const { locks, busy, left, failed } = lockStreams(options);
  if (locks.size === 0) return { ...NOTHING, busy, failed, more: left.length > 0 };
  // Read only now that all are dead whom we hold: only then is it sure that every successor is seen.
  const { streams, citations } = readHeld(options, locks);
  const adopted: AdoptedStream[] = [];
  for (const { stream, header } of streams) {
    const lock = locks.get(stream);
    if (lock === undefined) continue;
    locks.delete(stream);
    try {
      adopted.push({ ...recoverSynced(files, { directory, stream, citations, header }), lock });
    } catch (error) {
      lock.release();
      failed.push({ stream, error });
    }
  }
  for (const lock of locks.values()) lock.release();
  return {
    adopted,
    busy,
    more: left.length > 0,
    failed,
    gaps: adopted.flatMap(({ damages }) => damages.map(gapOfDamage)),
    unknownOutcomes: unknownOutcomes(adopted, () =>
      [...busy, ...left, ...successorsOf(adopted, streams)].flatMap((stream) =>
        settledIn(files, { directory, stream, citations, header: undefined }),
      ),
    ),
  };
}

/** Nobody else could ever adopt what is still locked by whoever gave up. */
function readHeld({ files, directory }: AdoptionOptions, locks: ReadonlyMap<string, SpoolLock>): Catalogue {
  try {
    return readCatalogue(files, directory);
  } catch (error) {
    for (const lock of locks.values()) lock.release();
    throw error;
  }
}

const NOTHING = { adopted: [], gaps: [], unknownOutcomes: [] } as const;

interface Locked {
  readonly locks: Map<string, SpoolLock>;
  readonly busy: string[];
  /** Not even tried. */
  readonly left: string[];
  readonly failed: { readonly stream: string; readonly error: unknown }[];
}

function lockStreams({ files, directory, own, isSettled, most = Infinity }: AdoptionOptions): Locked {
  const ours = new Set(own);
  const busy: string[] = [];
  const left: string[] = [];
  const failed: { stream: string; error: unknown }[] = [];
  const locks = new Map<string, SpoolLock>();
  for (const stream of listStreams(files, directory)) {
    if (ours.has(stream)) continue;
    try {
      if (isSettled?.(stream) === true) continue;
      if (locks.size >= most) {
        left.push(stream);
        continue;
      }
      const lock = files.lock(`${directory}/${stream}/${LOCK_NAME}`);
      if (lock === undefined) busy.push(stream);
      else locks.set(stream, lock);
    } catch (error) {
      // Whoever held it has removed it.
      if (codeOf(error) !== 'ENOENT') failed.push({ stream, error });
    }
  }
  return { locks, busy, left, failed };
}

/**
 * An outcome may stand in another stream than its decision: in the one that continued it, or in that of an adopter
 * that died before it left its mark. Each call gets one outcome.
 * @param settledInBusy of streams that we do not hold; another adopter may have been quicker to lock one of two, or we
 * could read the one earlier than the other
 */
function unknownOutcomes(
  adopted: readonly AdoptedStream[],
  settledInBusy: () => readonly string[],
): UnpairedDecision[] {
  const open = new Map<string, UnpairedDecision>();
  for (const { openDecisions } of adopted) {
    // The decision itself says more than a header that repeats its uid.
    for (const one of openDecisions) if (!open.has(one.decisionUid)) open.set(one.decisionUid, one);
  }
  for (const { settledElsewhere } of adopted) for (const uid of settledElsewhere) open.delete(uid);
  if (open.size > 0) for (const uid of settledInBusy()) open.delete(uid);
  return [...open.values()];
}

/** Streams that continue one of these and were adopted before, so that nobody recovers them now. */
function successorsOf(adopted: readonly AdoptedStream[], streams: Catalogue['streams']): string[] {
  const names = new Set(adopted.map(({ stream }) => stream));
  return streams.flatMap(({ stream, predecessor }) =>
    predecessor !== undefined && names.has(predecessor.stream) && !names.has(stream) ? [stream] : [],
  );
}

function settledIn(files: SpoolFiles, orphan: Orphan): readonly string[] {
  try {
    const { marked, settledElsewhere } = recoverSynced(files, orphan);
    const { directory, stream, citations } = orphan;
    // What is marked was not read.
    return marked ? recoverStream(files, directory, stream, citations).settledElsewhere : settledElsewhere;
  } catch {
    // Its owner may be removing it. What is settled there is settled twice then, which a reader can tell.
    return [];
  }
}

interface Orphan {
  readonly directory: string;
  readonly stream: string;
  readonly citations: readonly CitedEnd[];
  /** The oldest that can be read. */
  readonly header: SegmentHeader | undefined;
}

/** The tail may be in memory only: it counts from the sync on, and what is read must be what was synced. */
function recoverSynced(
  files: SpoolFiles,
  { directory, stream, citations, header }: Orphan,
): RecoveredStream & { readonly marked: boolean } {
  const path = `${directory}/${stream}`;
  const firsts = listSegments(files, path);
  const mark = readMark(files, path);
  if (mark?.end.stream === stream && firsts.includes(mark.segment)) {
    return { ...markedStream(path, { stream, firsts, mark, header }), marked: true };
  }
  const last = firsts.at(-1);
  if (last !== undefined) {
    const file = files.open(segmentPath(path, last), 'read');
    try {
      file.sync();
    } finally {
      file.close();
    }
    files.syncDirectory(path);
  }
  return { ...recoverStream(files, directory, stream, citations), marked: false };
}

interface Marked {
  readonly stream: string;
  readonly firsts: readonly number[];
  readonly mark: AdoptionMark;
  readonly header: SegmentHeader | undefined;
}

/** What an earlier adopter has found out; nothing is read again. */
function markedStream(path: string, { stream, firsts, mark, header }: Marked): RecoveredStream {
  const kept = firsts.filter((first) => first <= mark.segment);
  return {
    stream,
    segments: kept.map((first, index) => ({
      first,
      path: segmentPath(path, first),
      bytes: first === mark.segment ? mark.offset : 0,
      sealed: first !== mark.segment,
      lastSequence: (kept[index + 1] ?? mark.end.sequence + 1) - 1,
      hash: first === mark.segment ? mark.end.hash : undefined,
    })),
    end: mark.end,
    damages: [],
    tornBytes: 0,
    tornLines: 0,
    openDecisions: [],
    settledElsewhere: [],
    header,
  };
}
