/** Files that hold a secret key: read only when nobody else may, made on first use. */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { VerdictError } from '../errors.ts';

export interface KeyFile {
  /** Made, 0700, when it is missing. */
  readonly directory: string;
  readonly name: string;
  /** A file of more bytes is read as an empty one, which no parser takes. */
  readonly bytesMax: number;
  /** The text of a fresh key; called only where there is no file. */
  readonly fresh: () => string;
}

/**
 * The text of a key file, made on first use. Several processes may start at once: all get the same text.
 * Throws config_invalid for a file that others may read, file_unreadable when it can be neither read nor made; what
 * `parse` throws as a VerdictError goes through.
 */
export function loadKeyFile<Key>(options: KeyFile, parse: (text: string, file: string) => Key): Key {
  const file = join(options.directory, options.name);
  try {
    return parse(readKeyFile(file, options.bytesMax) ?? createKeyFile(file, options), file);
  } catch (error) {
    if (error instanceof VerdictError) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    throw new VerdictError('file_unreadable', { file, detail }, { cause: error });
  }
}

function readKeyFile(file: string, bytesMax: number): string | undefined {
  let handle;
  try {
    handle = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  try {
    const stat = fs.fstatSync(handle);
    if (!stat.isFile() || isOpen(stat.mode, 0o077)) {
      const detail = `${file} must be a plain file that only its owner may read (chmod 600)`;
      throw new VerdictError('config_invalid', { detail });
    }
    return stat.size > bytesMax ? '' : fs.readFileSync(handle, 'latin1');
  } finally {
    fs.closeSync(handle);
  }
}

/**
 * Writes a new key beside its place and links it there: so the file is never seen half written, and of several
 * processes one wins. Returns what then stands in the file.
 */
function createKeyFile(file: string, { directory, bytesMax, fresh }: KeyFile): string {
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (isOpen(fs.statSync(directory).mode, 0o022)) {
    throw new VerdictError('config_invalid', {
      detail: `${directory} must not be writable by others (chmod 700)`,
    });
  }
  const beside = `${file}.${process.pid}.${randomBytes(6).toString('hex')}`;
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  const handle = fs.openSync(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    fs.writeSync(handle, fresh());
    fs.fsyncSync(handle);
    fs.linkSync(beside, file);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  } finally {
    fs.closeSync(handle);
    fs.unlinkSync(beside);
  }
  syncDirectory(directory);
  return readKeyFile(file, bytesMax) ?? '';
}

function syncDirectory(directory: string): void {
  if (process.platform === 'win32') return;
  const handle = fs.openSync(directory, 'r');
  try {
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}

/** Whether a file's mode grants any of the bits. Windows has no such bits and reports made-up ones. */
function isOpen(mode: number, bits: number): boolean {
  return process.platform !== 'win32' && (mode & bits) !== 0;
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
