/** One log file that is only ever appended to, a whole batch at a time: what is in it is whole lines. */
import { dirname } from 'node:path';
import type { LogFile, LogFiles } from './log-files.ts';

const LF = 0x0a;
const CHUNK_BYTES = 64 * 1024;

/** A tail without a line end that is longer was not written by us. */
export const TORN_BYTES_MAX = 64 * 1024 * 1024;

export interface Appender {
  /** Bytes in it. */
  readonly size: number;
  /** When it was last written to, milliseconds since the Unix epoch. */
  readonly modifiedMs: number;
  /**
   * Writes all of it and has it on stable storage. When that fails, what was written is taken back.
   * @returns whether the path still names the file, with all that was written: else it is lost or soon will be
   */
  append(bytes: Uint8Array): Promise<boolean>;
  /** Looks at what others have done to it meanwhile. @returns whether the path still names it */
  refresh(): Promise<boolean>;
  close(): Promise<void>;
}

/** Opens or makes the file, and cuts off a line that has no end: nobody was told that it was written. */
export async function openAppender(path: string, files: LogFiles): Promise<Appender> {
  const file = await files.open(path);
  try {
    const { size: found, modifiedMs } = await file.status();
    const size = await wholeLines(file, found, path);
    if (size < found) await file.truncate(size);
    // It may be new, and a file without a name is lost.
    await files.syncDirectory(dirname(path));
    return new OpenAppender(path, file, { size, modifiedMs });
  } catch (error) {
    await file.close();
    throw error;
  }
}

class OpenAppender implements Appender {
  readonly #path: string;
  readonly #file: LogFile;
  size: number;
  modifiedMs: number;

  constructor(path: string, file: LogFile, state: { readonly size: number; readonly modifiedMs: number }) {
    this.#path = path;
    this.#file = file;
    this.size = state.size;
    this.modifiedMs = state.modifiedMs;
  }

  async append(bytes: Uint8Array): Promise<boolean> {
    const end = this.size + bytes.length;
    try {
      for (let at = 0; at < bytes.length;) {
        const written = await this.#file.append(bytes.subarray(at));
        if (written === 0) throw new Error(`${this.#path} takes no more bytes`);
        at += written;
      }
      await this.#file.sync();
    } catch (error) {
      await this.#file.truncate(this.size).catch(() => {});
      throw error;
    }
    const isWhole = (await this.#file.status()).size >= end;
    return isWhole && (await this.#file.isAt(this.#path));
  }

  async refresh(): Promise<boolean> {
    const [{ size, modifiedMs }, isCurrent] = await Promise.all([
      this.#file.status(),
      this.#file.isAt(this.#path),
    ]);
    this.size = size;
    this.modifiedMs = modifiedMs;
    return isCurrent;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** How many bytes of the file are whole lines. */
async function wholeLines(file: LogFile, size: number, path: string): Promise<number> {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (let end = size; end > 0;) {
    if (size - end > TORN_BYTES_MAX) {
      throw new Error(`${path} ends in ${size - end} bytes without a line end: it is no log file of ours`);
    }
    const start = Math.max(0, end - CHUNK_BYTES);
    const read = await file.read(chunk.subarray(0, end - start), start);
    const at = chunk.subarray(0, read).lastIndexOf(LF);
    if (at >= 0) return start + at + 1;
    end = start;
  }
  return 0;
}
