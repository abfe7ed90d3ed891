/**
 * Looks after what a spool holds beside the stream that is being written: takes over streams that nobody owns any
 * more, and frees what everybody has had. A stream is held by its lock for as long as there is something to do for
 * it; then it is only kept, by nobody, until it is old enough to go.
 */
import { adoptStreams, type Adoption, type AdoptedStream, type GapDraft } from './adoption.ts';
import { inOrder, listStreams, readCatalogue } from './catalogue.ts';
import { syncCursors } from './cursor.ts';
import type { SpoolFiles, SpoolLock } from './files.ts';
import { gapsOfOthers, keptStream, readAcknowledged, settledEnd } from './kept.ts';
import type { Acknowledged, Known, StreamSegments } from './kept.ts';
import { writeMark } from './mark.ts';
import type { Citation, DurablePosition } from './position.ts';
import { recoveredPosition } from './recovery.ts';
import {
  demandingOf,
  freeSegments,
  planRetention,
  type KeptStream,
  type RetentionPlan,
} from './retention.ts';
import { LOCK_NAME } from './segment.ts';
import { codeOf } from './system-error.ts';

/** Streams that are held at once: each costs a file handle and some memory. The others wait for their turn. */
export const ADOPTED_MAX = 128;

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
  /** How far the stream that is written is durable; what is filled ahead in its segment is not counted. */
  readonly written?: (() => DurablePosition | undefined) | undefined;
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
  /** Takes over what has no owner, as far as there may be more at once. */
  adopt(): Adoption;
  /** Everything there is to record of an adopted stream is durable: it need not be recovered again. Never throws. */
  mark(stream: AdoptedStream): void;
  /** An exporter's cursor is durable at this sequence. */
  acknowledged(exporter: string, stream: string, sequence: number): void;
  /** An exporter has had all of a stream, and has closed its files. */
  finished(exporter: string, stream: string): void;
  /** Whether streams wait to be adopted and now can be. */
  canAdoptMore(): boolean;
  /**
   * Frees what may go; asked again meanwhile, it is the same run. Rejects with what the disk or `onGap` threw: what
   * could not be freed is tried again the next time.
   */
  retain(): Promise<SpoolSize>;
  release(): void;
}

export function createKeeper(options: KeeperOptions): Keeper {
  return new StreamKeeper(options);
}

class StreamKeeper implements Keeper {
  readonly #options: KeeperOptions;
  /** Names of the exporters. */
  readonly #names: readonly string[];
  readonly #known = new Map<string, Known>();
  #retaining: Promise<SpoolSize> | undefined;
  #more = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#names = options.exporters.map(({ name }) => name);
  }

  own(stream: string, predecessor: string | undefined): void {
    this.#add(stream, { own: true, predecessor });
  }

  ended(end: Citation): void {
    const facts = this.#known.get(end.stream);
    if (facts === undefined) return;
    facts.over = true;
    facts.end = end;
  }

  adopt(): Adoption {
    const { files, directory } = this.#options;
    this.#forgetGone();
    const adoption = adoptStreams({
      files,
      directory,
      own: this.#known.keys(),
      isSettled: (stream) => this.#takeSettled(stream),
      most: ADOPTED_MAX - this.#held(),
    });
    this.#more = adoption.more;
    for (const { stream, header, end, lock, marked } of adoption.adopted) {
      const predecessor = header?.predecessor?.stream;
      this.#add(stream, { over: true, predecessor, end, lock, marked });
      this.#settle(stream);
    }
    return adoption;
  }

  mark(stream: AdoptedStream): void {
    const position = recoveredPosition(stream);
    const facts = this.#known.get(stream.stream);
    if (facts === undefined || position === undefined || facts.marked) return;
    const { segment, offset } = position;
    try {
      writeMark(this.#options.files, this.#path(stream.stream), { end: stream.end, segment, offset });
      facts.marked = true;
    } catch {
      // Without the mark the stream is recovered again by whoever adopts it next, and said to be adopted twice.
    }
    this.#settle(stream.stream);
  }

  acknowledged(exporter: string, stream: string, sequence: number): void {
    this.#known.get(stream)?.acknowledged.set(exporter, sequence);
  }

  finished(exporter: string, stream: string): void {
    this.#known.get(stream)?.waitedFor.delete(exporter);
    this.#settle(stream);
  }

  canAdoptMore(): boolean {
    return this.#more && this.#held() <= ADOPTED_MAX / 2;
  }

  retain(): Promise<SpoolSize> {
    // Two at once would record the same gap twice.
    this.#retaining ??= this.#retain().finally(() => (this.#retaining = undefined));
    return this.#retaining;
  }

  release(): void {
    for (const { lock } of this.#known.values()) lock?.release();
    this.#known.clear();
  }

  #path(stream: string): string {
    return `${this.#options.directory}/${stream}`;
  }

  #held(): number {
    let held = 0;
    for (const { lock } of this.#known.values()) if (lock !== undefined) held += 1;
    return held;
  }

  #add(stream: string, facts: Partial<Known>): Known {
    const { own = false, over = false, predecessor, end, lock, marked = false } = facts;
    const before = this.#acknowledgedBefore(stream);
    const known: Known = {
      own,
      over,
      predecessor,
      end,
      lock,
      marked,
      waitedFor: new Set(this.#names),
      settled: undefined,
      acknowledged: new Map(before.sequences),
      before,
      foundSynced: own,
      hadSinceMs: new Map(),
    };
    this.#known.set(stream, known);
    return known;
  }

  #acknowledgedBefore(stream: string): Acknowledged {
    try {
      const place = { files: this.#options.files, directory: this.#path(stream), stream };
      return readAcknowledged(place, this.#names);
    } catch {
      // It is kept for longer than need be, until the next start.
      return { sequences: new Map(), timeMs: undefined };
    }
  }

  /** What others have removed need not be counted any more. */
  #forgetGone(): void {
    const there = this.#namesThere();
    for (const [stream, { settled }] of this.#known) {
      if (settled !== undefined && !there.has(stream)) this.#known.delete(stream);
    }
  }

  /** Notes a stream that needs no owner. @returns whether it is one */
  #takeSettled(stream: string): boolean {
    const { files } = this.#options;
    const end = settledEnd({ files, directory: this.#path(stream), stream }, this.#names);
    if (end === undefined) return false;
    const facts = this.#add(stream, { over: true, end, marked: true });
    facts.settled = this.#read([stream])[0];
    facts.predecessor = facts.settled?.predecessor?.stream;
    return true;
  }

  /** Lets go of a stream for which there is nothing left to do: whoever looks at it sees that. */
  #settle(stream: string): void {
    const facts = this.#known.get(stream);
    if (facts?.lock === undefined || !facts.marked || facts.waitedFor.size > 0) return;
    try {
      facts.settled = this.#read([stream])[0];
    } catch {
      // It is held for longer than need be.
      return;
    }
    facts.lock.release();
    facts.lock = undefined;
  }

  #read(names: readonly string[]): readonly StreamSegments[] {
    const { files, directory } = this.#options;
    const { streams } = readCatalogue(files, directory, names);
    return streams.map(({ stream, segments, predecessor }) => ({ stream, segments, predecessor }));
  }

  #namesThere(): ReadonlySet<string> {
    const { files, directory } = this.#options;
    return new Set(listStreams(files, directory));
  }

  #state(): KeptStream[] {
    const { exporters, nowMs, written } = this.#options;
    const options = { demanding: demandingOf(exporters), nowMs: nowMs(), written: written?.() };
    const settled = [...this.#known.values()].flatMap((facts) => facts.settled ?? []);
    const there = this.#namesThere();
    const names = [...this.#known].flatMap(([stream, facts]) =>
      facts.settled === undefined && there.has(stream) ? [stream] : [],
    );
    const streams = [...this.#read(names), ...settled];
    return inOrder(streams).flatMap((stream) => {
      const facts = this.#known.get(stream.stream);
      return facts === undefined ? [] : [keptStream(stream, facts, options)];
    });
  }

  async #retain(): Promise<SpoolSize> {
    const { files, directory, exporters, keepMs, bytesMax, nowMs, onGap, onFreed } = this.#options;
    const streams = this.#state();
    const wanted = planRetention({ streams, exporters, keepMs, bytesMax, nowMs: nowMs() });
    const { plan, locks, borrowed } = this.#lockFor(wanted);
    try {
      for (const gap of [...plan.gaps, ...this.#gapsOfOthers(streams, plan)]) await onGap(gap);
      // Before it goes: whoever reads there must not take it for damage.
      for (const { stream, segments } of streams) {
        const left = segments.find(
          ({ first }) => !plan.segments.some((gone) => gone.stream === stream && gone.first === first),
        );
        if (left !== undefined && left !== segments[0]) onFreed(stream, left.first);
      }
      const freed = freeSegments({
        files,
        directory,
        plan,
        flush: (stream) => this.#syncFound(stream),
        locks,
      });
      for (const stream of freed.streams) this.#known.delete(stream);
      const bytes = streams
        .flatMap(({ segments }) => segments)
        .reduce((sum, segment) => sum + segment.bytes, 0);
      return { bytes: bytes - freed.bytes, full: plan.full };
    } finally {
      for (const lock of borrowed.values()) lock.release();
      for (const stream of borrowed.keys()) {
        const facts = this.#known.get(stream);
        if (facts !== undefined) facts.settled = this.#read([stream])[0];
      }
    }
  }

  /** What is acknowledged here is durable in its cursor already; what another process left may not be. */
  #syncFound(stream: string): void {
    const facts = this.#known.get(stream);
    if (facts === undefined || facts.foundSynced) return;
    syncCursors(this.#options.files, this.#path(stream), facts.before.sequences.keys());
    facts.foundSynced = true;
  }

  #gapsOfOthers(streams: readonly KeptStream[], plan: RetentionPlan): GapDraft[] {
    const { files } = this.#options;
    return streams.flatMap(({ stream, segments }) => {
      const gone = segments.filter(({ first }) =>
        plan.segments.some((segment) => segment.stream === stream && segment.first === first),
      );
      const place = { files, directory: this.#path(stream) };
      return gone.length === 0 ? [] : gapsOfOthers(place, { stream, segments: gone }, this.#names);
    });
  }

  /**
   * Nothing of another process's stream is freed without its lock: somebody may be reading it. Nor is it put on record
   * as gone.
   */
  #lockFor(plan: RetentionPlan): {
    readonly plan: RetentionPlan;
    readonly locks: Map<string, SpoolLock>;
    readonly borrowed: Map<string, SpoolLock>;
  } {
    const borrowed = new Map<string, SpoolLock>();
    const busy = new Set<string>();
    for (const stream of new Set([...plan.segments.map((segment) => segment.stream), ...plan.streams])) {
      const facts = this.#known.get(stream);
      if (facts === undefined || facts.own || facts.lock !== undefined) continue;
      const lock = this.#borrow(stream);
      if (lock === undefined) busy.add(stream);
      else borrowed.set(stream, lock);
    }
    const held = [...this.#known].flatMap(([stream, { lock }]) => (lock ? [[stream, lock] as const] : []));
    return {
      plan: {
        ...plan,
        segments: plan.segments.filter(({ stream }) => !busy.has(stream)),
        streams: plan.streams.filter((stream) => !busy.has(stream)),
        gaps: plan.gaps.filter(({ stream }) => !busy.has(stream)),
      },
      locks: new Map([...held, ...borrowed]),
      borrowed,
    };
  }

  /** undefined: another process has it, or it is gone, or it cannot be had this time. */
  #borrow(stream: string): SpoolLock | undefined {
    try {
      return this.#options.files.lock(`${this.#path(stream)}/${LOCK_NAME}`);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') this.#known.delete(stream);
      return undefined;
    }
  }
}
