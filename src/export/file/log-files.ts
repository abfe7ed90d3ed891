/**
 * The disk as the file exporter sees it: asynchronous calls, so that a file system that hangs holds up no other
 * exporter, and few enough to have each of them fail in a test. Every call rejects with the system's `code`.
 */
import { constants, createReadStream } from 'node:fs';
import { open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

const { O_RDWR, O_RDONLY, O_APPEND, O_CREAT } = constants;
const O_NOFOLLOW = constants.O_NOFOLLOW ?? 0;
const O_NONBLOCK = constants.O_NONBLOCK ?? 0;

const FILE_MODE = 0o600;

export interface LogFile {
  /** Reads from `position`; resolves with the bytes read. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  /** May write less than asked (write(2)); resolves with the bytes written. */
  append(bytes: Uint8Array): Promise<number>;
  truncate(size: number): Promise<void>;
  /** fdatasync(2). */
  sync(): Promise<void>;
  status(): Promise<{ readonly size: number; readonly modifiedMs: number }>;
  /** Whether `path` still names this file. */
  isAt(path: string): Promise<boolean>;
  close(): Promise<void>;
}

export interface LogFiles {
  /** Makes it, 0600, where it is missing. Follows no link; rejects what is no file. */
  open(path: string): Promise<LogFile>;
  isDirectory(path: string): Promise<boolean>;
  /** Names in a directory. */
  list(path: string): Promise<string[]>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** fsync(2) of a directory: from then on what was made, renamed or unlinked in it stays so. */
  syncDirectory(path: string): Promise<void>;
  /** Writes `from`, gzipped, to `to`, which is made anew, 0600, and is on stable storage on return. */
  compress(from: string, to: string, signal: AbortSignal): Promise<void>;
}

export const nodeLogFiles: LogFiles = {
  async open(path) {
    // A pipe in the file's place must not hold us up before it is refused.
    const handle = await open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, FILE_MODE);
    if (!(await handle.stat()).isFile()) {
      await handle.close();
      throw Object.assign(new Error(`${path} is not a file`), { code: 'EINVAL' });
    }
    return {
      read: async (buffer, position) => (await handle.read(buffer, 0, buffer.length, position)).bytesRead,
      append: async (bytes) => (await handle.write(bytes)).bytesWritten,
      truncate: (size) => handle.truncate(size),
      sync: () => handle.datasync(),
      async status() {
        const { size, mtimeMs } = await handle.stat();
        return { size, modifiedMs: mtimeMs };
      },
      async isAt(at) {
        const [here, there] = await Promise.all([handle.stat({ bigint: true }), identityOf(at)]);
        return there === `${here.dev}:${here.ino}`;
      },
      close: () => handle.close(),
    };
  },
  isDirectory: async (path) => (await stat(path)).isDirectory(),
  list: (path) => readdir(path),
  rename,
  unlink,
  async syncDirectory(path) {
    // Windows keeps names by itself and cannot open a directory.
    if (process.platform === 'win32') return;
    const handle = await open(path, O_RDONLY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  async compress(from, to, signal) {
    const handle = await open(to, 'wx', FILE_MODE);
    try {
      const write = async (chunks: AsyncIterable<Uint8Array>): Promise<void> => {
        for await (const chunk of chunks) await handle.writeFile(chunk);
      };
      await pipeline(createReadStream(from), createGzip(), write, { signal });
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};

async function identityOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await stat(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
