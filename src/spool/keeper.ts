/**
 * Looks after what a spool holds beside the stream that is being written: takes over streams that nobody owns any
 * more, and frees what everybody has had.
 */
import { adoptStreams, type Adoption, type AdoptedStream, type GapDraft } from './adoption.ts';
import { readCatalogue } from './catalogue.ts';
import { readCursor } from './cursor.ts';
import type { SpoolFiles, SpoolLock } from './files.ts';
import { writeMark } from './mark.ts';
import type { Citation } from './position.ts';
import { recoveredPosition } from './recovery.ts';
import { freeSegments, planRetention, type KeptSegment, type KeptStream } from './retention.ts';

export interface KeeperOptions {
  readonly files: SpoolFiles;
  /** The spool's. */
  readonly directory: string;
  readonly exporters: readonly { readonly name: string; readonly required: boolean }[];
  /** How long what has been acknowledged is kept, milliseconds. */
  readonly keepMs: number;
  /** Bytes of all segments together, from which on acknowledged ones are freed early. */
  readonly bytesMax: number;
  readonly nowMs: () => number;
  /** Resolves when the gap is on record: nothing is freed before. */
  readonly onGap: (gap: GapDraft) => Promise<void>;
  /** Segments before this sequence are gone. */
  readonly onFreed: (stream: string, first: number) => void;
}

export interface SpoolSize {
  readonly bytes: number;
  /** Whether the spool is larger than it may be and nothing more can be freed. */
  readonly full: boolean;
}

export interface Keeper {
  /** A stream of this process. */
  own(stream: string, predecessor: string | undefined): void;
  /** A stream of this process is over. */
  ended(end: Citation): void;
  /** Takes over what has no owner. */
  adopt(): Adoption;
  /** Everything there is to record of an adopted stream is durable: it need not be recovered again. Never throws. */
  mark(stream: AdoptedStream): void;
  /** An exporter's cursor is durable at this sequence. */
  acknowledged(exporter: string, stream: string, sequence: number): void;
  /**
   * Frees what may go; asked again meanwhile, it is the same run. Rejects with what the disk or `onGap` threw: what
   * could not be freed is tried again the next time.
   */
  retain(): Promise<SpoolSize>;
  release(): void;
}

interface Known {
  over: boolean;
  predecessor: string | undefined;
  /** Of an adopted or ended stream: its last sequence and hash. */
  end: Citation | undefined;
  lock: SpoolLock | undefined;
  readonly acknowledged: Map<string, number>;
  /** By first sequence: since when the segment is known to be full, so at least as old as its newest record. */
  readonly fullSinceMs: Map<number, number>;
}

export function createKeeper(options: KeeperOptions): Keeper {
  const { files, directory, nowMs } = options;
  const known = new Map<string, Known>();
  let retaining: Promise<SpoolSize> | undefined;

  const add = (stream: string, facts: Partial<Known>): void => {
    const { over = false, predecessor, end, lock } = facts;
    const acknowledged = readAcknowledged(options, stream);
    known.set(stream, { over, predecessor, end, lock, acknowledged, fullSinceMs: new Map() });
  };

  const state = (): KeptStream[] =>
    readCatalogue(files, directory).streams.flatMap(({ stream, segments }) => {
      const facts = known.get(stream);
      if (facts === undefined) return [];
      const { over, predecessor, acknowledged } = facts;
      return [{ stream, segments: keptSegments(segments, facts, nowMs()), over, predecessor, acknowledged }];
    });

  return {
    own: (stream, predecessor) => add(stream, { predecessor }),
    ended(end) {
      const facts = known.get(end.stream);
      if (facts === undefined) return;
      facts.over = true;
      facts.end = end;
    },
    adopt() {
      const adoption = adoptStreams({ files, directory, own: known.keys() });
      for (const stream of adoption.adopted) add(stream.stream, factsOf(stream));
      return adoption;
    },
    mark: (stream) => markQuietly(options, stream),
    acknowledged(exporter, stream, sequence) {
      known.get(stream)?.acknowledged.set(exporter, sequence);
    },
    retain() {
      // Two at once would record the same gap twice.
      retaining ??= retain(options, known, state).finally(() => (retaining = undefined));
      return retaining;
    },
    release() {
      for (const { lock } of known.values()) lock?.release();
      known.clear();
    },
  };
}

async function retain(
  options: KeeperOptions,
  known: Map<string, Known>,
  state: () => readonly KeptStream[],
): Promise<SpoolSize> {
  const { files, directory, exporters, keepMs, bytesMax, nowMs } = options;
  const streams = state();
  const plan = planRetention({ streams, exporters, keepMs, bytesMax, nowMs: nowMs() });
  for (const gap of plan.gaps) await options.onGap(gap);
  const locks = new Map([...known].flatMap(([stream, { lock }]) => (lock ? [[stream, lock]] : [])));
  // What is acknowledged here is durable in its cursor already.
  const freed = freeSegments({ files, directory, plan, flush: () => {}, locks });
  for (const stream of freed.streams) known.delete(stream);
  for (const { stream, segments } of streams) {
    const left = segments.find(
      ({ first }) => !plan.segments.some((gone) => gone.stream === stream && gone.first === first),
    );
    if (left !== undefined && left !== segments[0]) options.onFreed(stream, left.first);
  }
  const bytes = streams.flatMap(({ segments }) => segments).reduce((sum, segment) => sum + segment.bytes, 0);
  return { bytes: bytes - freed.bytes, full: plan.full };
}

/** How far each exporter's cursor on the disk says it is. */
function readAcknowledged(
  { files, directory, exporters }: KeeperOptions,
  stream: string,
): Map<string, number> {
  const acknowledged = new Map<string, number>();
  for (const { name } of exporters) {
    const position = readCursor(files, `${directory}/${stream}`, name);
    if (position !== undefined) acknowledged.set(name, position.sequence);
  }
  return acknowledged;
}

function markQuietly({ files, directory }: KeeperOptions, stream: AdoptedStream): void {
  const position = recoveredPosition(stream);
  if (position === undefined || stream.marked) return;
  const { segment, offset } = position;
  try {
    writeMark(files, `${directory}/${stream.stream}`, { end: stream.end, segment, offset });
  } catch {
    // Without the mark the stream is recovered again by whoever adopts it next, and said to be adopted twice.
  }
}

function factsOf({ header, end, lock }: AdoptedStream): Partial<Known> {
  return { over: true, predecessor: header?.predecessor?.stream, end, lock };
}

function keptSegments(
  segments: readonly { readonly first: number; readonly bytes: number }[],
  facts: Known,
  now: number,
): KeptSegment[] {
  return segments.map(({ first, bytes }, index) => {
    const next = segments[index + 1];
    const isFull = next !== undefined || facts.over;
    if (isFull && !facts.fullSinceMs.has(first)) facts.fullSinceMs.set(first, now);
    return {
      first,
      bytes,
      lastSequence: next === undefined ? (facts.end?.sequence ?? Number.MAX_SAFE_INTEGER) : next.first - 1,
      lastHash: next === undefined ? facts.end?.hash : undefined,
      newestMs: facts.fullSinceMs.get(first) ?? now,
    };
  });
}
