/**
 * Adds keys to a keys file. Several processes may do so at once: each holds a lock while it reads and writes, and the
 * file is replaced whole, so that `serve` never reads half of it.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseDocument } from 'yaml';
import { readTextFile } from '../config.ts';
import { formatFault } from '../document.ts';
import { VerdictError } from '../errors.ts';
import { loadApiKeys, type ApiKeyEntry } from '../identity/api-keys.ts';
import type { SpoolLock } from '../spool/files.ts';
import { lockFile } from '../spool/lock.ts';

export interface KeysFile {
  readonly path: string;
  /** As it was named, for messages. */
  readonly shown: string;
}

/** How long another process may hold the lock before we give up, and how often we look, both in milliseconds. */
export const LOCK_WAIT_MS = 10_000;
const LOCK_RETRY_MS = 20;

const FILE_MODE = 0o600;

const EMPTY = 'apiVersion: mcp-verdict/v1\nkind: ApiKeys\nkeys: []\n';

/**
 * Adds an entry; makes the file where there is none. Throws config_invalid with every fault where the file is no
 * keys file or cannot be written, and leaves it as it was.
 */
export async function addKey(file: KeysFile, entry: ApiKeyEntry, waitMs = LOCK_WAIT_MS): Promise<void> {
  try {
    const lock = await acquire(`${file.path}.lock`, file, waitMs);
    try {
      // A symbolic link stays one: what it names is replaced.
      const target = fs.existsSync(file.path) ? fs.realpathSync(file.path) : file.path;
      replace(target, withEntry(file, target, entry));
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

/** The system frees the lock of a process that dies, so what is left lying is never in the way. */
async function acquire(path: string, { shown }: KeysFile, waitMs: number): Promise<SpoolLock> {
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

/** The text of the file with one entry more; comments stay. */
function withEntry(file: KeysFile, target: string, entry: ApiKeyEntry): string {
  const stat = fs.statSync(target, { throwIfNoEntry: false });
  if (stat !== undefined && !stat.isFile()) {
    throw new VerdictError('config_invalid', { detail: `${file.shown} is not a plain file` });
  }
  const before = stat === undefined ? EMPTY : readTextFile(target);
  check(file, before);
  const document = parseDocument(before);
  document.addIn(['keys'], document.createNode(entry));
  const after = document.toString();
  check(file, after);
  return after;
}

function check({ shown }: KeysFile, text: string): void {
  const loaded = loadApiKeys(shown, text);
  if (loaded.ok) return;
  throw new VerdictError('config_invalid', { detail: loaded.faults.map(formatFault).join('\n') });
}

/** Writes beside the file and renames, so that whoever reads sees the old text or the new one. */
function replace(path: string, text: string): void {
  const owner = fs.statSync(path, { throwIfNoEntry: false });
  const beside = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  const handle = fs.openSync(beside, O_WRONLY | O_CREAT | O_EXCL | (O_NOFOLLOW ?? 0), FILE_MODE);
  try {
    try {
      fs.writeFileSync(handle, text);
      // What root adds to the file of a service's user must stay readable for that user.
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

function why(error: unknown, { path }: KeysFile): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') return `there is no directory ${dirname(path)}`;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return `its directory ${dirname(path)} may not be written`;
  }
  return error instanceof Error ? error.message : String(error);
}
