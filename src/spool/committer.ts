/**
 * The writing end of one stream, synchronous: stamps, chains, writes, syncs. One commit is one write and one sync.
 * Only a sync that returned advances the chain; after one that failed the stream is over where it was durable, and a
 * successor cites that place (DESIGN section 3, Commit).
 */
import { join as joinPath } from 'node:path';
import { join } from '../event/halves.ts';
import type { Halves } from '../event/halves.ts';
import { bodyHash, ZERO_HASH } from '../event/stamp.ts';
import type { SpoolFiles, SpoolLock } from './files.ts';
import { encodeLine, hasControls, LINE_BYTES_MAX } from './line.ts';
import { createOpenDecisions } from './open-decisions.ts';
import type { OpenDecisions } from './open-decisions.ts';
import type { Citation, DurablePosition } from './position.ts';
import { NextSegment } from './preallocation.ts';
import { encodeHeader, encodeSeal, LOCK_NAME, NEXT_NAME, segmentBytes, segmentName } from './segment.ts';
import type { StreamIdentity } from './segment.ts';
import { SLICE_BYTES } from './segment-file.ts';
import type { SegmentFile } from './segment-file.ts';
import { isTemporary, SyncError, systemError } from './system-error.ts';

export interface CommitterOptions {
  readonly files: SpoolFiles;
  /** The spool's directory; the stream's own is made in it. */
  readonly directory: string;
  /** A UUID that no stream has had. */
  readonly streamId: string;
  readonly identityOfStream: StreamIdentity;
  /** The stream that ended where this one begins. */
  readonly predecessor?: Citation | undefined;
  /** SEGMENT_BYTES_MIN to SEGMENT_BYTES_MAX. */
  readonly segmentBytes?: number | undefined;
  /** Allowed decisions of the predecessor that still wait for their outcome, oldest first. */
  readonly openDecisions?: Iterable<string> | undefined;
}

/** One record to commit. */
export interface Entry extends Halves {
  /** Its own uid, where it is an allowed decision that will have an outcome. */
  readonly opens?: string | undefined;
  /** The uid of the decision whose outcome it is. */
  readonly closes?: string | undefined;
}

export type CommitResult =
  /** All records of the batch are durable; `first` is the sequence of the first. */
  | { readonly ok: true; readonly position: DurablePosition; readonly first: number }
  /**
   * None of them counts. Fatal: the stream is over at `position()`. Otherwise it may be tried again: when there is
   * room, or, where the error is a RangeError, without the record that is no line (`isSpoolable`).
   */
  | { readonly ok: false; readonly error: unknown; readonly fatal: boolean };

export interface Committer {
  readonly stream: string;
  /** Makes a batch durable, all or nothing. Never throws. */
  commit(batch: readonly Entry[]): CommitResult;
  /** One slice of preallocation; call it between commits. Never throws. @returns whether there is more to do */
  prepareNext(): boolean;
  /** How far the stream is durable; where it is over, where a successor cites it. */
  position(): DurablePosition;
  /** Uids of allowed decisions that are durable and wait for their outcome, oldest first. */
  openDecisions(): readonly string[];
  /** Ends the stream. Never throws. @returns whether its seal is durable */
  close(): boolean;
  /** Lets other processes adopt the stream: only when nothing here delivers it any more. */
  release(): void;
}

/** Room kept in each segment for its seal. */
export const SEAL_BYTES_MAX = 512;
/** How far ahead of the records the current segment is filled with zeros. */
export const FILL_AHEAD_BYTES = 4 * SLICE_BYTES;
/** What the stream's place, the offset and the CRC add to the halves, at most. */
const PLACE_BYTES_MAX = 512;

/** Whether a record is one that a line can hold: one that is not would be refused, and its whole batch with it. */
export function isSpoolable({ head, tail }: Halves): boolean {
  if (hasControls(head) || hasControls(tail)) return false;
  const most = LINE_BYTES_MAX - PLACE_BYTES_MAX;
  // A UTF-16 unit is three bytes of UTF-8 at most.
  if ((head.length + tail.length) * 3 <= most) return true;
  return Buffer.byteLength(head) + Buffer.byteLength(tail) <= most;
}

/**
 * Begins a stream: its directory, its lock, its first segment with a durable header. Throws what the disk throws,
 * EBUSY where another process was quicker to adopt the empty directory and EEXIST where the stream exists: take
 * another id then. Whatever was made is removed again.
 */
export function createCommitter(options: CommitterOptions): Committer {
  const { files, directory, streamId } = options;
  const path = joinPath(directory, streamId);
  files.makeDirectory(directory);
  files.makeDirectory(path);
  const lock = files.lock(joinPath(path, LOCK_NAME));
  if (lock === undefined) throw systemError('EBUSY', `the stream ${streamId} is locked`);
  if (files.list(path).some((name) => !name.startsWith(LOCK_NAME))) {
    lock.release();
    throw systemError('EEXIST', `the stream ${streamId} exists`);
  }
  const committer = new StreamCommitter(options, lock);
  try {
    committer.begin();
  } catch (error) {
    committer.abandon();
    throw error;
  }
  return committer;
}

interface Segment {
  readonly first: number;
  readonly file: SegmentFile;
}

interface Chained {
  readonly body: string;
  readonly hash: string;
}

class StreamCommitter implements Committer {
  readonly stream: string;
  readonly #options: CommitterOptions;
  readonly #directory: string;
  readonly #lock: SpoolLock;
  readonly #segmentBytes: number;
  readonly #next: NextSegment;
  readonly #open: OpenDecisions;
  /** undefined between a seal and the next header. */
  #segment: Segment | undefined;
  #position: DurablePosition;
  /** Why nothing more can be committed. */
  #over: unknown;

  constructor(options: CommitterOptions, lock: SpoolLock) {
    this.stream = options.streamId;
    this.#options = options;
    this.#directory = joinPath(options.directory, options.streamId);
    this.#lock = lock;
    this.#segmentBytes = segmentBytes(options.segmentBytes);
    this.#next = new NextSegment(options.files, this.#directory);
    this.#open = createOpenDecisions(options.openDecisions);
    const hash = options.predecessor?.hash ?? ZERO_HASH;
    this.#position = { stream: this.stream, segment: 1, offset: 0, sequence: 0, hash };
  }

  commit(batch: readonly Entry[]): CommitResult {
    if (this.#over !== undefined) return { ok: false, error: this.#over, fatal: true };
    try {
      const first = this.#position.sequence + 1;
      if (batch.length > 0) this.#append(batch);
      return { ok: true, position: this.#position, first };
    } catch (error) {
      return { ok: false, error, fatal: this.#end(error) };
    }
  }

  prepareNext(): boolean {
    const segment = this.#segment;
    if (segment === undefined || this.#over !== undefined) return false;
    const { file } = segment;
    const ahead = Math.min(this.#segmentBytes, file.offset + FILL_AHEAD_BYTES);
    try {
      // By whole slices, else each commit would be followed by a fill of its own size.
      if (
        file.filled < Math.max(ahead - SLICE_BYTES, file.offset) ||
        (file.filled < ahead && ahead === this.#segmentBytes)
      ) {
        file.fill(ahead);
        return true;
      }
    } catch (error) {
      this.#end(error);
      return false;
    }
    // Early enough that a burst finds it, late enough that a short life does not pay for it.
    return file.offset * 2 >= this.#segmentBytes && this.#next.prepare(this.#segmentBytes);
  }

  position(): DurablePosition {
    return this.#position;
  }

  openDecisions(): readonly string[] {
    return this.#open.list();
  }

  close(): boolean {
    const sealed = this.#over === undefined && this.#sealQuietly();
    this.#over ??= systemError('EBADF', 'the stream is closed');
    this.#segment?.file.close();
    this.#segment = undefined;
    this.#next.discard();
    return sealed;
  }

  release(): void {
    this.#lock.release();
  }

  /** Takes back a stream that could not begin. */
  abandon(): void {
    const { files } = this.#options;
    this.#over ??= systemError('EBADF', 'the stream did not begin');
    this.close();
    try {
      for (const name of [NEXT_NAME, segmentName(1), LOCK_NAME]) {
        if (files.list(this.#directory).includes(name)) files.unlink(joinPath(this.#directory, name));
      }
    } catch {
      // An empty stream may stay: whoever adopts it removes it.
    }
    this.release();
    try {
      files.removeDirectory(this.#directory);
    } catch {
      // As above.
    }
  }

  /** Opens the next segment, or the first: header and name are durable before any record is written. */
  begin(): Segment {
    const { files, identityOfStream, predecessor } = this.#options;
    const { sequence, hash } = this.#position;
    const first = sequence + 1;
    const { resource, scope } = identityOfStream;
    const open = this.#open.list();
    const header = {
      stream: this.stream,
      firstSequence: first,
      previousHash: hash,
      predecessor,
      resource,
      scope,
      open,
    };
    const line = encodeLine(encodeHeader(header), 0);
    const path = joinPath(this.#directory, segmentName(first));
    const file = this.#next.take();
    try {
      file.append(line);
      files.rename(file.path, path);
    } catch (error) {
      this.#next.putBack(file);
      throw error;
    }
    file.renamed(path);
    this.#segment = { first, file };
    try {
      files.syncDirectory(this.#directory);
    } catch (error) {
      throw new SyncError('a directory sync failed', { cause: error });
    }
    file.checkPlace();
    this.#position = { ...this.#position, segment: first, offset: file.offset };
    return this.#segment;
  }

  #append(batch: readonly Entry[]): void {
    const records = this.#chain(batch);
    let segment = this.#segment;
    let bytes = linesOf(records, segment?.file.offset ?? 0);
    if (segment === undefined || this.#isFull(segment, bytes.length)) {
      if (segment !== undefined) this.#seal(segment);
      segment = this.begin();
      bytes = linesOf(records, segment.file.offset);
    }
    segment.file.append(bytes);
    const sequence = this.#position.sequence + records.length;
    const hash = records.at(-1)?.hash ?? this.#position.hash;
    this.#position = { ...this.#position, offset: segment.file.offset, sequence, hash };
    for (const { opens, closes } of batch) {
      if (opens !== undefined) this.#open.open(opens);
      if (closes !== undefined) this.#open.close(closes);
    }
  }

  #chain(batch: readonly Entry[]): Chained[] {
    let { sequence, hash } = this.#position;
    return batch.map((entry) => {
      sequence += 1;
      const body = join(entry, { stream: this.stream, sequence, previousHash: hash });
      hash = bodyHash(body);
      return { body, hash };
    });
  }

  /** A segment without records is never full: the next one would have its name. */
  #isFull({ first, file }: Segment, bytes: number): boolean {
    return this.#position.sequence >= first && file.offset + bytes + SEAL_BYTES_MAX > this.#segmentBytes;
  }

  /** From here on there is no segment to write to, until one is begun. */
  #seal({ first, file }: Segment): void {
    const { sequence, hash } = this.#position;
    const seal = { stream: this.stream, lastSequence: sequence, hash, count: sequence + 1 - first };
    file.append(encodeLine(encodeSeal(seal), file.offset));
    this.#position = { ...this.#position, offset: file.offset };
    file.close();
    this.#segment = undefined;
  }

  #sealQuietly(): boolean {
    if (this.#segment === undefined) return true;
    try {
      this.#seal(this.#segment);
      return true;
    } catch {
      return false;
    }
  }

  /** @returns whether the error ends the stream */
  #end(error: unknown): boolean {
    // A RangeError is a record that is no line: nothing was written.
    if (isTemporary(error) || error instanceof RangeError) return false;
    this.#over = error;
    this.#segment?.file.close();
    this.#segment = undefined;
    this.#next.discard();
    return true;
  }
}

function linesOf(records: readonly Chained[], durableBefore: number): Buffer {
  return Buffer.concat(records.map(({ body }) => encodeLine(body, durableBefore)));
}
