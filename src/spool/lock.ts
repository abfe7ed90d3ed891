/**
 * A lock that the system frees when its process dies, kill -9 included: an exclusively locked SQLite file. Node has
 * no flock of its own.
 */
import * as fs from 'node:fs';
import type * as Sqlite from 'node:sqlite';
import type { SpoolLock } from './files.ts';
import { codeOf, systemError } from './system-error.ts';

const SQLITE_BUSY = 5;

/**
 * @param path made, 0600, where it is missing
 * @returns undefined where another process, or another holder in this one, has it
 */
export function lockFile(path: string): SpoolLock | undefined {
  makeLockFile(path);
  const before = identityOf(path);
  const { DatabaseSync } = loadSqlite();
  // Waiting would not help: a holder keeps its lock for as long as it lives.
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // The journal in memory: beside this file nothing must appear in the directory.
    database.exec('PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (isBusy(error)) return undefined;
    throw error;
  }
  if (identityOf(path) !== before) {
    // Whoever had it before us has removed the file: we hold a lock that nobody else can see.
    database.close();
    return undefined;
  }
  return {
    release() {
      if (database.isOpen) database.close();
    },
  };
}

/** The file is never opened here where it exists: to close it again would free a lock that this process holds. */
function makeLockFile(path: string): void {
  const { O_RDWR, O_CREAT, O_EXCL } = fs.constants;
  try {
    fs.closeSync(fs.openSync(path, O_RDWR | O_CREAT | O_EXCL, 0o600));
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}

function identityOf(path: string): string | undefined {
  const stat = fs.lstatSync(path, { throwIfNoEntry: false, bigint: true });
  if (stat === undefined) return undefined;
  if (!stat.isFile()) throw systemError('ELOOP', `${path} is not a file`);
  return `${stat.dev}:${stat.ino}`;
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
}

/** Loaded on first use, and without the warning that Node 22 prints for it: stderr is for what matters. */
function loadSqlite(): typeof Sqlite {
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = () => {};
  try {
    return process.getBuiltinModule('node:sqlite');
  } finally {
    process.emitWarning = emitWarning;
  }
}
