/**
 * API keys: `k_ID_SECRET`, the secret 256 random bits. The file holds SHA-256 of the whole key and never the key:
 * a random 256-bit key needs no slow hash. Comparison takes the same time whether the id exists or not.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readDocument, type Fault } from '../document.ts';
import type { Authentication, Identity } from './identity.ts';

/** One key as the file has it. */
export interface ApiKeyEntry {
  readonly id: string;
  /** `sha256:` and 64 hex digits. */
  readonly hash: string;
  readonly user?: string;
  readonly agent?: { readonly id?: string; readonly name?: string };
  readonly roles?: readonly string[];
  /** `SERVER/TOOL` globs that the key is limited to. */
  readonly grants?: readonly string[];
  /** RFC 3339; from then on the key is refused. */
  readonly expires?: string;
}

export interface ApiKeys {
  readonly file: string;
  readonly byId: ReadonlyMap<string, ApiKeyEntry>;
}

const KEY_PATTERN = /^k_([A-Za-z0-9]{4,32})_([A-Za-z0-9_-]{43})$/;

const KEYS_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['apiVersion', 'kind', 'keys'],
  properties: {
    apiVersion: { const: 'mcp-verdict/v1' },
    kind: { const: 'ApiKeys' },
    keys: {
      type: 'array',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['id', 'hash'],
        properties: {
          id: { type: 'string', pattern: '^k_[A-Za-z0-9]{4,32}$' },
          hash: { type: 'string', pattern: '^sha256:[0-9a-f]{64}$' },
          user: { type: 'string', minLength: 1 },
          agent: {
            type: 'object',
            additionalProperties: false,
            minProperties: 1,
            properties: { id: { type: 'string', minLength: 1 }, name: { type: 'string', minLength: 1 } },
          },
          roles: { type: 'array', items: { type: 'string', minLength: 1 } },
          grants: {
            type: 'array',
            items: {
              type: 'string',
              pattern: '^[^/]+/.+$',
              description: 'of the form SERVER/TOOL, where * and ? may stand: files/read_*',
            },
          },
          expires: {
            type: 'string',
            pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d+)?Z$',
            description: 'a time in UTC, for example 2027-01-31T00:00:00Z',
          },
        },
      },
    },
  },
} as const;

export type LoadedKeys =
  | { readonly ok: true; readonly keys: ApiKeys }
  | { readonly ok: false; readonly faults: readonly Fault[] };

/** Reads a keys file (YAML or JSON, `kind: ApiKeys`). */
export function loadApiKeys(file: string, text: string): LoadedKeys {
  const document = readDocument({ file, text, schema: KEYS_SCHEMA });
  if (!document.ok) return document;
  // The schema above has checked this shape.
  const { keys } = document.value as { keys: readonly ApiKeyEntry[] };
  const byId = new Map<string, ApiKeyEntry>();
  const faults: Fault[] = [];
  keys.forEach((entry, index) => {
    if (byId.has(entry.id)) {
      faults.push({
        file,
        ...document.locate(`/keys/${index}/id`),
        message: `the key id ${entry.id} stands twice`,
      });
    }
    if (entry.expires !== undefined && !isTime(entry.expires)) {
      const message = `there is no such time as ${entry.expires}`;
      faults.push({ file, ...document.locate(`/keys/${index}/expires`), message });
    }
    byId.set(entry.id, entry);
  });
  return faults.length > 0 ? { ok: false, faults } : { ok: true, keys: { file, byId } };
}

/** Whether a text is a time that there is, RFC 3339 in UTC: not the 13th month, nor the 30th of February. */
export function isTime(text: string): boolean {
  const ms = TIME_PATTERN.test(text) ? Date.parse(text) : Number.NaN;
  // The date parser moves what is beyond the end of a month or a day on into the next.
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text.slice(0, SECONDS_CHARS));
}

const TIME_PATTERN = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$/;
const SECONDS_CHARS = 'YYYY-MM-DDTHH:MM:SS'.length;

/** Whether a key is still good. A time that cannot be read is over. */
export function isCurrent({ expires }: ApiKeyEntry, nowMs: number): boolean {
  return expires === undefined || Date.parse(expires) > nowMs;
}

/** Makes a key. The key itself is shown once, to whoever asked for it; the entry goes into the file. */
export function newApiKey(facts: Omit<ApiKeyEntry, 'id' | 'hash'>): { key: string; entry: ApiKeyEntry } {
  const id = `k_${randomBytes(6).toString('hex')}`;
  const key = `${id}_${randomBytes(32).toString('base64url')}`;
  return { key, entry: { id, hash: `sha256:${sha256(key).toString('hex')}`, ...facts } };
}

const NOBODY = Buffer.alloc(32);

/**
 * Checks a key (`k_...`).
 * @param nowMs milliseconds since the epoch, for `expires`
 */
export function authenticateApiKey(
  keys: ApiKeys | undefined,
  presented: string,
  nowMs: number,
): Authentication {
  const id = KEY_PATTERN.exec(presented)?.[1];
  const entry = id === undefined ? undefined : keys?.byId.get(`k_${id}`);
  const expected = entry === undefined ? NOBODY : Buffer.from(entry.hash.slice('sha256:'.length), 'hex');
  const matches = timingSafeEqual(sha256(presented), expected);
  if (entry === undefined || !matches) return invalid('the key is not known here');
  if (!isCurrent(entry, nowMs)) return invalid(`the key ${entry.id} has expired`);
  return { ok: true, identity: identityOf(entry, keys?.file) };
}

function identityOf(entry: ApiKeyEntry, file: string | undefined): Identity {
  return Object.freeze({
    source: 'api_key' as const,
    user: entry.user,
    roles: entry.roles,
    agent: entry.agent,
    issuer: file,
    keyId: entry.id,
    ...(entry.grants === undefined ? {} : { grants: entry.grants }),
  });
}

function invalid(message: string): Authentication {
  return { ok: false, reason: 'identity_invalid', message };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}
