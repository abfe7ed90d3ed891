/**
 * Changes files that people and other processes read meanwhile: whoever changes one holds a lock while it reads and
 * writes, and the file is replaced whole, so that nobody ever reads half of it.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readTextFile } from '../config/text-file.ts';
import { VerdictError } from '../errors.ts';
import type { SpoolLock } from '../spool/files.ts';
import { lockFile } from '../spool/lock.ts';

export interface NamedFile {
  readonly path: string;
  /** As it was named, for messages. */
  readonly shown: string;
}

/** How long another process may hold the lock before we give up, and how often we look, both in milliseconds. */
export const LOCK_WAIT_MS = 10_000;
const LOCK_RETRY_MS = 20;

export interface UpdateOptions {
  /** Permissions of the file, before the umask. */
  readonly mode: number;
  readonly waitMs?: number | undefined;
}

/**
 * Gives a file another text; makes it where there is none.
 * @param change from the text that it has, undefined where there is no file, to the one that it is to have
 * Throws config_invalid where it cannot be written, and leaves it as it was then, and where `change` throws.
 */
export async function updateFile(
  file: NamedFile,
  { mode, waitMs = LOCK_WAIT_MS }: UpdateOptions,
  change: (before: string | undefined) => string,
): Promise<void> {
  try {
    const lock = await acquire(`${file.path}.lock`, file, waitMs);
    try {
      // A symbolic link stays one: what it names is replaced.
      const target = fs.existsSync(file.path) ? fs.realpathSync(file.path) : file.path;
      const before = textOf(file, target);
      const after = change(before);
      if (after !== before) replace(target, after, mode);
    } finally {
      // Removed while it is held: whoever waits sees that it is gone, and makes another.
      fs.rmSync(`${file.path}.lock`, { force: true });
      lock.release();
    }
  } catch (error) {
    if (error instanceof VerdictError) throw error;
    throw new VerdictError('config_invalid', {
      detail: `${file.shown} cannot be written: ${why(error, file)}`,
    });
  }
}

function textOf(file: NamedFile, target: string): string | undefined {
  const stat = fs.statSync(target, { throwIfNoEntry: false });
  if (stat !== undefined && !stat.isFile()) {
    throw new VerdictError('config_invalid', { detail: `${file.shown} is not a plain file` });
  }
  return stat === undefined ? undefined : readTextFile(target);
}

/** The system frees the lock of a process that dies, so what is left lying is never in the way. */
async function acquire(path: string, { shown }: NamedFile, waitMs: number): Promise<SpoolLock> {
  const endMs = performance.now() + waitMs;
  for (;;) {
    const lock = lockFile(path);
    if (lock !== undefined) return lock;
    if (performance.now() >= endMs) {
      const detail = `${shown} is being written by another process, which holds ${shown}.lock`;
      throw new VerdictError('config_invalid', { detail });
    }
    await sleep(LOCK_RETRY_MS);
  }
}

/** Writes beside the file and renames, so that whoever reads sees the old text or the new one. */
function replace(path: string, text: string, mode: number): void {
  // What root makes or adds to for a service must stay readable for the service's user.
  const owner =
    fs.statSync(path, { throwIfNoEntry: false }) ?? (isRoot() ? fs.statSync(dirname(path)) : undefined);
  const beside = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  const handle = fs.openSync(beside, O_WRONLY | O_CREAT | O_EXCL | (O_NOFOLLOW ?? 0), mode);
  try {
    try {
      fs.writeFileSync(handle, text);
      if (owner !== undefined && owner.uid !== fs.fstatSync(handle).uid) {
        fs.fchownSync(handle, owner.uid, owner.gid);
      }
      fs.fsyncSync(handle);
    } finally {
      fs.closeSync(handle);
    }
    fs.renameSync(beside, path);
  } catch (error) {
    fs.rmSync(beside, { force: true });
    throw error;
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function why(error: unknown, { path }: NamedFile): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') return `there is no directory ${dirname(path)}`;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return `its directory ${dirname(path)} may not be written`;
  }
  return error instanceof Error ? error.message : String(error);
}
