/** What verification takes from one body, and whether body and attributes are what a writer of ours makes. */
import { hash as digest } from 'node:crypto';
import { canonicalJson } from './canonical.ts';
import { parseEventTime } from './clock.ts';
import { parseEmbedded } from './embedded.ts';
import { KEYS } from './vocabulary.ts';

export interface BodyFacts {
  readonly stream: string;
  readonly sequence: number;
  /** Hex. */
  readonly previousHash: string;
  /** Hex SHA-256 of the canonical body, which is what the successor cites. */
  readonly hash: string;
  readonly uid: string;
  /** Milliseconds since the Unix epoch; NaN where the record has no time that can be read. */
  readonly timeMs: number;
  readonly name: string;
  readonly severity: number;
  /** False where the text is not canonical though it says the same: something parsed and wrote it again. */
  readonly canonical: boolean;
  readonly members: Members;
}

/** A body's members. Own keys only: `constructor` is a key like any other. */
export type Members = ReadonlyMap<string, unknown>;

/** Longer stream ids are none of ours. */
const STREAM_CHARS_MAX = 128;

/** undefined for what is not the body of a record: no JSON, a key twice, no place in a stream. */
export function readBody(body: string): BodyFacts | undefined {
  const parsed = parseMembers(body);
  if (parsed === undefined) return undefined;
  const { members, canonical } = parsed;
  const stream = members.get('verdict.stream.id');
  const sequence = members.get('verdict.stream.sequence');
  const previousHash = members.get('verdict.stream.previous_hash');
  const uid = members.get('log.record.uid');
  if (typeof stream !== 'string' || stream === '' || stream.length > STREAM_CHARS_MAX) return undefined;
  if (typeof sequence !== 'number' || !Number.isSafeInteger(sequence) || sequence < 1) return undefined;
  if (!isHash(previousHash) || typeof uid !== 'string') return undefined;
  const severity = members.get('severity.number');
  return {
    stream,
    sequence,
    previousHash,
    hash: digest('sha256', canonical ?? body, 'hex'),
    uid,
    timeMs: timeOf(members.get('verdict.time')),
    name: textOf(members, 'event.name') ?? '',
    severity: typeof severity === 'number' ? severity : 0,
    canonical: canonical === undefined,
    members,
  };
}

export function isHash(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

export function textOf(members: Members, key: string): string | undefined {
  const value = members.get(key);
  return typeof value === 'string' ? value : undefined;
}

export function placeOf(members: Members, key: string): number | undefined {
  const value = members.get(key);
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 ? value : undefined;
}

export function textsOf(members: Members, key: string): readonly string[] {
  const value = members.get(key);
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

const OURS: ReadonlySet<string> = new Set(KEYS.map((row) => row.key));

/**
 * The keys of a LogRecord that say something else than its body: another value, or a key of ours that the body does
 * not hold. What a collector added under other names, and what it left out, is its own business.
 */
export function differingKeys(members: Members, attributes: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(attributes).filter((key) => {
    if (!members.has(key)) return OURS.has(key) || key.startsWith('verdict.');
    const [said, attribute] = [members.get(key), attributes[key]];
    if (said === attribute) return false;
    if (typeof said === 'string') return true;
    const text = JSON.stringify(said);
    // What OTLP has no type for goes as its JSON text (log-record.ts).
    return text !== attribute && text !== json(attribute);
  });
}

function json(value: unknown): string | undefined {
  return typeof value === 'bigint' ? String(value) : JSON.stringify(value);
}

/** `canonical` is undefined where the text is that already. */
function parseMembers(body: string): { members: Members; canonical: string | undefined } | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return undefined;
  const members = new Map<string, unknown>(Object.entries(parsed));
  if (isPlainlyCanonical(body, parsed, members)) return { members, canonical: undefined };
  // The exact way, which knows numbers beyond a double, nested members and lone surrogates, is ten times as slow.
  const exact = parseEmbedded(body);
  if (exact === undefined || 'refused' in exact) return undefined;
  const canonical = canonicalJson(exact.value);
  return { members, canonical: canonical === body ? undefined : canonical };
}

/** For a flat map, canonical is: names in order, and what JSON.stringify writes (RFC 8785, section 3.2). */
function isPlainlyCanonical(body: string, parsed: object, members: Members): boolean {
  let last = '';
  for (const [key, value] of members) {
    if (key < last || (typeof value === 'object' && !isFlatList(value))) return false;
    last = key;
  }
  return !body.includes('\\ud') && JSON.stringify(parsed) === body;
}

function isFlatList(value: unknown): boolean {
  return value === null || (Array.isArray(value) && value.every((item) => typeof item !== 'object'));
}

function timeOf(value: unknown): number {
  if (typeof value !== 'string') return Number.NaN;
  try {
    const [seconds, nanoseconds] = parseEventTime(value);
    return seconds * 1000 + Math.floor(nanoseconds / 1e6);
  } catch {
    return Number.NaN;
  }
}
