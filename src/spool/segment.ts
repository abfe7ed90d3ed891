/** What a segment is made of beside records: its name, its header, its seal. Pure. */
import type { Event } from '../event/vocabulary.ts';
import type { Citation } from './position.ts';

/** Raised when an old reader would misread a new segment. */
export const SEGMENT_VERSION = 1;

/** Bytes of one segment; a batch that does not fit an empty one exceeds it, because no commit spans two. */
export const SEGMENT_BYTES_DEFAULT = 16 * 1024 * 1024;
export const SEGMENT_BYTES_MIN = 64 * 1024;
export const SEGMENT_BYTES_MAX = 256 * 1024 * 1024;

/** Uids of allowed decisions without outcome that a header names; over it, the oldest are left out. */
export const OPEN_MAX = 10_000;

/** In a stream's directory: the next segment, while it is prepared. */
export const NEXT_NAME = 'next.log';
/** In a stream's directory: held by the process that owns the stream. */
export const LOCK_NAME = 'lock.sqlite';

/** What the LogRecords of a stream have in common: with it and a body alone each can be made again. */
export interface StreamIdentity {
  readonly resource: Event;
  readonly scope: StreamScope;
}

/** OTel instrumentation scope. */
export interface StreamScope {
  readonly name: string;
  readonly version: string;
  readonly schemaUrl: string;
}

export interface SegmentHeader extends StreamIdentity {
  readonly stream: string;
  /** Sequence of the first record here, from 1. */
  readonly firstSequence: number;
  /** Hex SHA-256 of the record before it; of the predecessor's last, or zeros, where the stream begins. */
  readonly previousHash: string;
  /** The stream that this one continues; the same in all its segments. */
  readonly predecessor: Citation | undefined;
  /** Uids of allowed decisions without outcome when the segment began, oldest first. */
  readonly open: readonly string[];
}

export interface SegmentSeal {
  readonly stream: string;
  readonly lastSequence: number;
  /** Hex SHA-256 of that record's body. */
  readonly hash: string;
  /** Records in this segment. */
  readonly count: number;
}

/** @returns the value, or the nearest one allowed */
export function segmentBytes(given: number = SEGMENT_BYTES_DEFAULT): number {
  return Math.min(Math.max(Math.floor(given), SEGMENT_BYTES_MIN), SEGMENT_BYTES_MAX);
}

/** File name of the segment that begins with this sequence. */
export function segmentName(firstSequence: number): string {
  return `${String(firstSequence).padStart(20, '0')}.log`;
}

/** First sequence of a segment's file name; undefined for any other name. */
export function parseSegmentName(name: string): number | undefined {
  const digits = /^(\d{20})\.log$/.exec(name)?.[1];
  const first = Number(digits);
  return Number.isSafeInteger(first) && first >= 1 ? first : undefined;
}

/** Whether a name can be that of a stream and its directory: a lower-case UUID. */
export function isStreamId(name: unknown): name is string {
  return typeof name === 'string' && /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(name);
}

/** JSON of a segment's first line. */
export function encodeHeader(header: SegmentHeader): string {
  const { resource, scope } = header;
  return JSON.stringify({
    'verdict.segment': SEGMENT_VERSION,
    stream: header.stream,
    first_sequence: header.firstSequence,
    previous_hash: header.previousHash,
    predecessor: header.predecessor === undefined ? null : citationOf(header.predecessor),
    resource,
    scope: { name: scope.name, version: scope.version, schema_url: scope.schemaUrl },
    open: header.open,
  });
}

/** JSON of a segment's last line. */
export function encodeSeal(seal: SegmentSeal): string {
  return JSON.stringify({
    'verdict.seal': SEGMENT_VERSION,
    stream: seal.stream,
    last_sequence: seal.lastSequence,
    hash: seal.hash,
    count: seal.count,
  });
}

/** Whether a line's JSON says that it is a header. No body does: `event.name` sorts before it. */
export function isHeader(json: string): boolean {
  return json.startsWith('{"verdict.segment":');
}

/** Whether a line's JSON says that it is a seal. No body does. */
export function isSeal(json: string): boolean {
  return json.startsWith('{"verdict.seal":');
}

/** undefined for what is not a header of this version. */
export function parseHeader(json: string): SegmentHeader | undefined {
  const members = isHeader(json) ? objectOf(json) : undefined;
  if (members?.['verdict.segment'] !== SEGMENT_VERSION) return undefined;
  const { stream, first_sequence: firstSequence, previous_hash: previousHash, open } = members;
  const predecessor = members['predecessor'] === null ? undefined : parseCitation(members['predecessor']);
  const scope = parseScope(members['scope']);
  const resource = parseResource(members['resource']);
  if (!isStreamId(stream) || !isSequence(firstSequence, 1) || !isHash(previousHash)) return undefined;
  if (scope === undefined || resource === undefined || !isStrings(open)) return undefined;
  if (predecessor === undefined && members['predecessor'] !== null) return undefined;
  return { stream, firstSequence, previousHash, predecessor, resource, scope, open };
}

/** undefined for what is not a seal of this version. */
export function parseSeal(json: string): SegmentSeal | undefined {
  const members = isSeal(json) ? objectOf(json) : undefined;
  if (members?.['verdict.seal'] !== SEGMENT_VERSION) return undefined;
  const { stream, last_sequence: lastSequence, hash, count } = members;
  if (!isStreamId(stream) || !isSequence(lastSequence, 0) || !isHash(hash) || !isSequence(count, 0)) {
    return undefined;
  }
  return { stream, lastSequence, hash, count };
}

type Members = Readonly<Record<string, unknown>>;

function citationOf({ stream, sequence, hash }: Citation): Citation {
  return { stream, sequence, hash };
}

function parseCitation(value: unknown): Citation | undefined {
  if (!isMembers(value)) return undefined;
  const { stream, sequence, hash } = value;
  return isStreamId(stream) && isSequence(sequence, 0) && isHash(hash)
    ? { stream, sequence, hash }
    : undefined;
}

function parseScope(value: unknown): StreamScope | undefined {
  if (!isMembers(value)) return undefined;
  const { name, version, schema_url: schemaUrl } = value;
  if (typeof name !== 'string' || typeof version !== 'string' || typeof schemaUrl !== 'string')
    return undefined;
  return { name, version, schemaUrl };
}

function parseResource(value: unknown): Event | undefined {
  return isMembers(value) && isFlat(value) ? value : undefined;
}

function isFlat(members: Members): members is Event {
  return Object.values(members).every(
    (item) => ['string', 'number', 'boolean'].includes(typeof item) || isStrings(item),
  );
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isSequence(value: unknown, least: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= least;
}

function isHash(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function objectOf(json: string): Members | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return isMembers(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
