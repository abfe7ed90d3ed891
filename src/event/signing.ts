/**
 * The Ed25519 key that signs checkpoints. Whoever has its public half can prove that what was signed is what was
 * recorded; only who has the private half could have made another history.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { VerdictError } from '../errors.ts';
import { loadKeyFile } from './key-file.ts';

export interface PublicKey {
  /** First 16 hex digits of the SHA-256 of the raw key. */
  readonly id: string;
  readonly key: KeyObject;
  /** The raw 32 bytes as base64: `verdict.lifecycle.public_key`. */
  readonly text: string;
}

export interface SigningKey {
  /** As that of its public half. */
  readonly id: string;
  /** A KeyObject, because it is not printed or serialized by accident. */
  readonly privateKey: KeyObject;
  readonly publicKeyText: string;
}

/** What a checkpoint signs: that the stream's record of this sequence has this hash, and so all before it theirs. */
export interface SignedPlace {
  readonly stream: string;
  readonly sequence: number;
  /** Hex SHA-256 of the record's body. */
  readonly hash: string;
}

export interface SigningOptions {
  /** Where the key file is; made, 0700, when it is missing. Not needed when the environment holds the key. */
  readonly directory: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** PKCS #8, as PEM (line ends may be written `\n`) or as the base64 of DER. */
export const SIGNING_KEY_ENV = 'MCP_VERDICT_SIGNING_KEY';
export const SIGNING_KEY_FILE = 'signing.key';

const FILE_BYTES_MAX = 4096;
const RAW_KEY_BYTES = 32;
/** What stands before the raw key in its SubjectPublicKeyInfo (RFC 8410, section 4). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/**
 * The key of the environment, else the key file, made on first use. Several processes may start at once: all get the
 * same key. Throws config_invalid for what is no Ed25519 key or a file that others may read, file_unreadable when it
 * can be neither read nor made.
 */
export function loadSigningKey({ directory, env }: SigningOptions): SigningKey {
  const given = env[SIGNING_KEY_ENV];
  if (given !== undefined && given !== '') return parsePrivateKey(given, SIGNING_KEY_ENV);
  const file = { directory, name: SIGNING_KEY_FILE, bytesMax: FILE_BYTES_MAX, fresh: freshKey };
  return loadKeyFile(file, parsePrivateKey);
}

export function signingKey(privateKey: KeyObject): SigningKey {
  const { id, text } = describe(createPublicKey(privateKey));
  return { id, privateKey, publicKeyText: text };
}

/**
 * A public key from its base64 (raw or DER) or its PEM; undefined for anything else, a private
 * key too: that one has no business where records are checked.
 */
export function parsePublicKey(given: string): PublicKey | undefined {
  const text = given.trim();
  if (text.includes('PRIVATE KEY')) return undefined;
  try {
    if (text.startsWith('-----BEGIN')) return publicKeyOf(createPublicKey(text));
    if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return undefined;
    const bytes = Buffer.from(text, 'base64');
    const der = bytes.length === RAW_KEY_BYTES ? Buffer.concat([SPKI_PREFIX, bytes]) : bytes;
    return publicKeyOf(createPublicKey({ key: der, format: 'der', type: 'spki' }));
  } catch {
    return undefined;
  }
}

/** @returns the signature as base64 */
export function signPlace(key: SigningKey, place: SignedPlace): string {
  return sign(undefined, signedBytes(place), key.privateKey).toString('base64');
}

/** @param signature base64 */
export function verifyPlace(key: PublicKey, place: SignedPlace, signature: string): boolean {
  const bytes = Buffer.from(signature, 'base64');
  // Node's base64 reader skips what it does not know: a signature has one spelling only.
  if (bytes.toString('base64') !== signature) return false;
  return verify(undefined, signedBytes(place), key.key, bytes);
}

function signedBytes({ stream, sequence, hash }: SignedPlace): Buffer {
  return Buffer.from(`mcp-verdict/checkpoint/1\n${stream}\n${sequence}\n${hash}\n`, 'utf8');
}

function freshKey(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function parsePrivateKey(given: string, where: string): SigningKey {
  const text = given.trim().replaceAll('\\n', '\n');
  const key = readPrivateKey(text);
  if (key?.asymmetricKeyType !== 'ed25519') {
    const detail = `${where} must be an Ed25519 private key in PKCS #8 (openssl genpkey -algorithm ed25519)`;
    throw new VerdictError('config_invalid', { detail });
  }
  return signingKey(key);
}

function readPrivateKey(text: string): KeyObject | undefined {
  try {
    if (text.startsWith('-----BEGIN')) return createPrivateKey(text);
    return createPrivateKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'pkcs8' });
  } catch {
    return undefined;
  }
}

function publicKeyOf(key: KeyObject): PublicKey | undefined {
  return key.asymmetricKeyType === 'ed25519' ? describe(key) : undefined;
}

function describe(key: KeyObject): PublicKey {
  const raw = key.export({ type: 'spki', format: 'der' }).subarray(SPKI_PREFIX.length);
  return {
    id: createHash('sha256').update(raw).digest('hex').slice(0, 16),
    key,
    text: raw.toString('base64'),
  };
}
