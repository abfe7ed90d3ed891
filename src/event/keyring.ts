/**
 * The HMAC key. With it, and only with it, someone can check a guess at what a record does not show: a plain hash of
 * a short value could be guessed by anybody.
 */
import { createHash, createHmac, createSecretKey, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { VerdictError } from '../errors.ts';
import { loadKeyFile } from './key-file.ts';

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
const FILE_BYTES_MAX = 4 * HMAC_KEY_BYTES_MAX;

/**
 * The key of the environment, else the key file, made on first use. Several processes may start at once: all get the
 * same key. Throws config_invalid for a key that is none or a file that others may read, file_unreadable when it can
 * be neither read nor made.
 */
export function loadHmacKey({ directory, env }: KeyringOptions): HmacKey {
  const given = env[HMAC_KEY_ENV];
  if (given !== undefined && given !== '') return hmacKey(keyBytes(given, HMAC_KEY_ENV));
  const file = {
    directory,
    name: HMAC_KEY_FILE,
    bytesMax: FILE_BYTES_MAX,
    fresh: () => `${randomBytes(HMAC_KEY_BYTES_MIN).toString('hex')}\n`,
  };
  return loadKeyFile(file, (text, path) => hmacKey(keyBytes(text, path)));
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
  return createHmac('sha256', key.secret).update(`mcp-verdict/${label}\n${data}`, 'utf8').digest('hex');
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
