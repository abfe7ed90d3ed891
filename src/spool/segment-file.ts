/** A segment being written: appends that count only when they are on stable storage. */
import type { SpoolFile } from './files.ts';
import { isTemporary, SyncError, systemError } from './system-error.ts';

/** Zeros are written in slices of this size. */
export const SLICE_BYTES = 256 * 1024;

const ZEROS = Buffer.alloc(SLICE_BYTES);

/**
 * `append` throws what the disk throws. After a temporary error (system-error.ts) nothing was appended and it may be
 * called again; after any other one the file must not be touched again but to close it.
 */
export class SegmentFile {
  readonly #file: SpoolFile;
  #path: string;
  /** Bytes that are on stable storage and count. */
  #offset = 0;
  /** Beyond this there are only zeros, or nothing: a failed append may have left bytes before it. */
  #clean = 0;
  /** So far the file has room of its own. */
  #filled: number;

  /** @param file empty, or zeros only */
  constructor(file: SpoolFile, path: string) {
    this.#file = file;
    this.#path = path;
    this.#filled = file.size();
  }

  get path(): string {
    return this.#path;
  }

  /** Bytes that are on stable storage and count. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes that can be written without new room on the disk, counted from the file's beginning. */
  get filled(): number {
    return this.#filled;
  }

  append(bytes: Uint8Array): void {
    const end = this.#offset + bytes.length;
    try {
      this.#write(bytes, this.#offset);
      // A line of a failed append that stood whole behind a shorter new one could be taken for its successor.
      this.#wipe(end);
    } catch (error) {
      if (isTemporary(error)) this.#wipeQuietly();
      throw error;
    }
    this.#sync();
    this.#offset = end;
    this.#filled = Math.max(this.#filled, end);
  }

  /** Forgets all that was appended, which must not have counted yet: the next append begins the file. */
  restart(): void {
    this.#clean = Math.max(this.#clean, this.#offset);
    this.#offset = 0;
  }

  /** Writes one slice of zeros behind what is filled, up to `end`, and syncs it. */
  fill(end: number): void {
    const from = this.#filled;
    const bytes = Math.min(end - from, SLICE_BYTES);
    if (bytes <= 0) return;
    for (let done = 0; done < bytes;) done += this.#writeOnce(ZEROS.subarray(done, bytes), from + done);
    this.#sync();
    this.#filled = from + bytes;
  }

  renamed(path: string): void {
    this.#path = path;
  }

  /** Throws SyncError where the file is no longer at its path: what was synced would be lost with it. */
  checkPlace(): void {
    if (!this.#file.isAt(this.#path))
      throw new SyncError('the segment was unlinked or replaced from outside');
  }

  /** Never throws: what counts is synced already. */
  close(): void {
    try {
      this.#file.close();
    } catch {
      // The system frees it with the process.
    }
  }

  #sync(): void {
    try {
      this.#file.sync();
    } catch (error) {
      throw new SyncError('a sync failed', { cause: error });
    }
    this.checkPlace();
  }

  #write(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length;) {
      done += this.#writeOnce(bytes.subarray(done), position + done);
      this.#clean = Math.max(this.#clean, position + done);
      this.#filled = Math.max(this.#filled, this.#clean);
    }
  }

  #writeOnce(bytes: Uint8Array, position: number): number {
    const written = this.#file.write(bytes, position);
    // write(2) makes no such answer to a regular file; a loop that trusted it might never end.
    if (written <= 0 || written > bytes.length) throw systemError('EIO', `${written} bytes written`);
    return written;
  }

  #wipe(from: number): void {
    for (let at = from; at < this.#clean;) {
      at += this.#writeOnce(ZEROS.subarray(0, Math.min(this.#clean - at, SLICE_BYTES)), at);
    }
    this.#clean = from;
  }

  /** What stays is wiped by the next append, or is a torn tail to a reader. */
  #wipeQuietly(): void {
    try {
      this.#wipe(this.#offset);
    } catch {
      // `clean` still tells the next append.
    }
  }
}
