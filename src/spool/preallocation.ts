/**
 * Room made ahead of need, so that syncs are fast (no size to journal) and a full disk can still take what says so.
 * All of it is best effort: without it segments grow as they are written.
 */
import { join } from 'node:path';
import type { SpoolFiles } from './files.ts';
import { NEXT_NAME } from './segment.ts';
import { SegmentFile } from './segment-file.ts';
import { isTemporary } from './system-error.ts';

/** The next segment, `next.log`, before it has a name. */
export class NextSegment {
  readonly #files: SpoolFiles;
  readonly #directory: string;
  readonly #path: string;
  #file: SegmentFile | undefined;
  /** Set by a failure, so that a full disk is not asked again and again; a new segment clears it. */
  #resting = false;

  constructor(files: SpoolFiles, streamDirectory: string) {
    this.#files = files;
    this.#directory = streamDirectory;
    this.#path = join(streamDirectory, NEXT_NAME);
  }

  /** Makes one slice of room. Never throws. @returns whether there is more to do */
  prepare(bytes: number): boolean {
    if (this.#resting) return false;
    try {
      this.#file ??= this.#create();
      this.#file.fill(bytes);
      return this.#file.filled < bytes;
    } catch (error) {
      if (!isTemporary(error)) this.discard();
      this.#resting = true;
      return false;
    }
  }

  /** The prepared file, or a new one: nothing of it counts before it is renamed. */
  take(): SegmentFile {
    const file = this.#file ?? this.#create();
    this.#file = undefined;
    this.#resting = false;
    file.restart();
    return file;
  }

  /** For the next `take`, after a failure that passes. */
  putBack(file: SegmentFile): void {
    this.#file = file;
  }

  /** Gives the room back. Never throws. */
  discard(): void {
    this.#resting = true;
    if (this.#file === undefined) return;
    this.#file.close();
    this.#file = undefined;
    this.#unlinkQuietly();
  }

  #create(): SegmentFile {
    // A leftover cannot be trusted to hold zeros only.
    if (this.#files.list(this.#directory).includes(NEXT_NAME)) this.#files.unlink(this.#path);
    return new SegmentFile(this.#files.open(this.#path, 'create'), this.#path);
  }

  #unlinkQuietly(): void {
    try {
      this.#files.unlink(this.#path);
    } catch {
      // It goes with the stream's directory.
    }
  }
}
