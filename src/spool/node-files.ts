/** The spool's disk: node:fs, with synchronous calls, because a busy libuv pool makes the others ten times slower. */
import * as fs from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { SpoolFile, SpoolFiles } from './files.ts';
import { lockFile } from './lock.ts';
import { codeOf, systemError } from './system-error.ts';

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = fs.constants;
// Windows has neither links that need care here nor the flags.
const O_NOFOLLOW = fs.constants.O_NOFOLLOW ?? 0;
const O_NONBLOCK = fs.constants.O_NONBLOCK ?? 0;

const FLAGS = {
  // A pipe that someone put in a file's place must not hold us up before it is refused.
  read: O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
  write: O_RDWR | O_NOFOLLOW | O_NONBLOCK,
  create: O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW,
} as const;

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
/** What group and others may not have. */
const FOREIGN_BITS = 0o077;

export const nodeFiles: SpoolFiles = {
  open(path, how) {
    const handle = fs.openSync(path, FLAGS[how], FILE_MODE);
    if (!fs.fstatSync(handle).isFile()) {
      fs.closeSync(handle);
      throw systemError('ELOOP', `${path} is not a file`);
    }
    return nodeFile(handle);
  },
  makeDirectory(given) {
    const path = resolve(given);
    const first = fs.mkdirSync(path, { recursive: true, mode: DIRECTORY_MODE });
    checkOwn(path);
    if (first === undefined) return;
    for (let made = path; made.length >= first.length; made = dirname(made)) syncDirectory(dirname(made));
  },
  list(path) {
    try {
      return fs.readdirSync(path).sort();
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    }
  },
  rename: fs.renameSync,
  unlink: fs.unlinkSync,
  removeDirectory: (path) => fs.rmdirSync(path),
  syncDirectory,
  freeBytes(path) {
    const { bavail, bsize } = fs.statfsSync(path);
    return bavail * bsize;
  },
  lock(path) {
    // A second way into a stream's directory would have its files read, and freed, as those of another stream.
    const directory = fs.lstatSync(dirname(path));
    if (!directory.isDirectory()) throw systemError('ELOOP', `${dirname(path)} is not a directory`);
    return lockFile(path);
  },
};

/** statfs(2)'s magic number of the file system that a path is on (disk-probe.ts names it). */
export function fileSystemMagic(path: string): number {
  return fs.statfsSync(path).type;
}

function nodeFile(handle: number): SpoolFile {
  let open = true;
  return {
    read: (buffer, position) => fs.readSync(handle, buffer, 0, buffer.length, position),
    write: (bytes, position) => fs.writeSync(handle, bytes, 0, bytes.length, position),
    sync: () => fs.fdatasyncSync(handle),
    size: () => fs.fstatSync(handle).size,
    isAt(path) {
      const there = fs.lstatSync(path, { throwIfNoEntry: false, bigint: true });
      if (there === undefined) return false;
      const here = fs.fstatSync(handle, { bigint: true });
      return there.ino === here.ino && there.dev === here.dev;
    },
    close() {
      // The number may be another file's by now.
      if (!open) return;
      open = false;
      fs.closeSync(handle);
    },
  };
}

function syncDirectory(path: string): void {
  // Windows keeps names by itself and cannot open a directory.
  if (process.platform === 'win32') return;
  const handle = fs.openSync(path, O_RDONLY);
  try {
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}

/** A directory that others may write to is no place for what must not get lost. */
function checkOwn(path: string): void {
  if (process.platform === 'win32') return;
  const { mode, uid } = fs.statSync(path);
  if (uid === process.geteuid?.() && (mode & FOREIGN_BITS) === 0) return;
  throw systemError('EACCES', `${path} must be a directory of this user with mode 0700`);
}
