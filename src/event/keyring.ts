/**
 * The HMAC key. With it, and only with it, someone can check a guess at what a record does not show: a plain hash of
 * a short value could be guessed by anybody.
 */
import { createHash, createHmac, createSecretKey, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { VerdictError } from '../errors.ts';

export interface HmacKey {
  /** First 16 hex digits of the key's SHA-256. */
  readonly id: string;
  /** A KeyObject, because it is not printed or serialized by accident. */
  readonly secret: KeyObject;
}

export interface KeyringOptions {
  /** Where the key file is; made, 0700, when it is missing. Not needed when the environment holds the key. */
  readonly directory: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export const HMAC_KEY_ENV = 'MCP_VERDICT_HMAC_KEY';
export const HMAC_KEY_FILE = 'hmac.key';
/** SHA-256's own size (RFC 2104, section 3: a shorter key weakens it). */
export const HMAC_KEY_BYTES_MIN = 32;
export const HMAC_KEY_BYTES_MAX = 1024;

const SHORT_DIGEST_HEX = 32;
const FILE_CHARS_MAX = 4 * HMAC_KEY_BYTES_MAX;

/**
 * The key of the environment, else the key file, made on first use. Several processes may start at once: all get the
 * same key. Throws config_invalid for a key that is none or a file that others may read, file_unreadable when it can
 * be neither read nor made.
 */
export function loadHmacKey({ directory, env }: KeyringOptions): HmacKey {
  const given = env[HMAC_KEY_ENV];
  if (given !== undefined && given !== '') return hmacKey(keyBytes(given, HMAC_KEY_ENV));
  const file = join(directory, HMAC_KEY_FILE);
  try {
    return hmacKey(keyBytes(readKeyFile(file) ?? createKeyFile(directory, file), file));
  } catch (error) {
    if (error instanceof VerdictError) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    throw new VerdictError('file_unreadable', { file, detail }, { cause: error });
  }
}

/** @param bytes HMAC_KEY_BYTES_MIN to HMAC_KEY_BYTES_MAX of them */
export function hmacKey(bytes: Uint8Array): HmacKey {
  return {
    id: createHash('sha256').update(bytes).digest('hex').slice(0, 16),
    secret: createSecretKey(bytes),
  };
}

/**
 * `hmac-sha256:KEYID:HEX`, where HEX is HMAC-SHA256 over `mcp-verdict/LABEL\n` and the data's UTF-8.
 * The label keeps digests of different things apart. It holds no line end.
 */
export function keyedDigest(key: HmacKey, label: string, data: string): string {
  return `hmac-sha256:${key.id}:${digest(key, label, data)}`;
}

/** The first 32 hex digits of such a digest, without prefix: to tell sessions apart, not to prove anything. */
export function shortDigest(key: HmacKey, label: string, data: string): string {
  return digest(key, label, data).slice(0, SHORT_DIGEST_HEX);
}

function digest(key: HmacKey, label: string, data: string): string {
  return createHmac('sha256', key.secret).update(`mcp-verdict/${label}\n`).update(data, 'utf8').digest('hex');
}

function keyBytes(text: string, where: string): Buffer {
  const trimmed = text.trim();
  // What is all hex digits is hex: read as base64, a short hex key would pass for a longer one.
  const bytes = /^[0-9a-f]+$/i.test(trimmed)
    ? Buffer.from(trimmed.length % 2 === 0 ? trimmed : '', 'hex')
    : Buffer.from(/^[A-Za-z0-9+/_-]+={0,2}$/.test(trimmed) ? trimmed : '', 'base64');
  if (bytes.length < HMAC_KEY_BYTES_MIN || bytes.length > HMAC_KEY_BYTES_MAX) {
    const detail = `${where} must be ${HMAC_KEY_BYTES_MIN} to ${HMAC_KEY_BYTES_MAX} random bytes as hex or base64 (openssl rand -hex 32)`;
    throw new VerdictError('config_invalid', { detail });
  }
  return bytes;
}

function readKeyFile(file: string): string | undefined {
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
    return stat.size > FILE_CHARS_MAX ? '' : fs.readFileSync(handle, 'latin1');
  } finally {
    fs.closeSync(handle);
  }
}

/**
 * Writes a new key beside its place and links it there: so the file is never seen half written, and of several
 * processes one wins. Returns what then stands in the file.
 */
function createKeyFile(directory: string, file: string): string {
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (isOpen(fs.statSync(directory).mode, 0o022)) {
    throw new VerdictError('config_invalid', {
      detail: `${directory} must not be writable by others (chmod 700)`,
    });
  }
  const fresh = `${file}.${process.pid}.${randomBytes(6).toString('hex')}`;
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  const handle = fs.openSync(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    fs.writeSync(handle, `${randomBytes(HMAC_KEY_BYTES_MIN).toString('hex')}\n`);
    fs.fsyncSync(handle);
    fs.linkSync(fresh, file);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  } finally {
    fs.closeSync(handle);
    fs.unlinkSync(fresh);
  }
  syncDirectory(directory);
  return readKeyFile(file) ?? '';
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
