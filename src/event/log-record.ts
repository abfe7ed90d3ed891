/** From a stored body to what the OTel LogRecord says: a pure function, so that storing the body is enough. */
import { parseEventTime } from './clock.ts';
import { KEYS } from './vocabulary.ts';
import type { Event, Scalar } from './vocabulary.ts';

/** What a LogRecord holds beside its body, resource and scope (OTel logs data model). */
export interface LogRecordContent {
  readonly eventName: string;
  readonly severityNumber: number;
  /** Seconds and nanoseconds since the Unix epoch. */
  readonly timestamp: [seconds: number, nanoseconds: number];
  /** All members of the body but the body-only ones; those that a later schema added too. */
  readonly attributes: Event;
  readonly traceId?: string | undefined;
  readonly spanId?: string | undefined;
}

const BODY_ONLY: ReadonlySet<string> = new Set(KEYS.filter((row) => 'bodyOnly' in row).map((row) => row.key));

/** Throws SyntaxError on what is not JSON, TypeError on what is not the body of a record. */
export function bodyToLogRecord(body: string): LogRecordContent {
  const parsed: unknown = JSON.parse(body);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new TypeError('not the body of a record');
  }
  // An object, as was just seen; what its members are is seen below.
  const members = parsed as Readonly<Record<string, unknown>>;
  const { 'event.name': eventName, 'severity.number': severityNumber, 'verdict.time': time } = members;
  if (typeof eventName !== 'string' || typeof severityNumber !== 'number' || typeof time !== 'string') {
    throw new TypeError('not the body of a record');
  }
  return {
    eventName,
    severityNumber,
    timestamp: parseEventTime(time),
    attributes: attributesOf(members),
    traceId: text(members['trace_id']),
    spanId: text(members['span_id']),
  };
}

/** A plain loop: each delivered record comes this way, and lists of pairs cost as much again as parsing. */
function attributesOf(members: Readonly<Record<string, unknown>>): Event {
  const attributes: Record<string, Scalar> = {};
  for (const key of Object.keys(members)) {
    if (BODY_ONLY.has(key)) continue;
    const value = attribute(members[key]);
    // To assign this one would not make a member of it.
    if (key === '__proto__') {
      Object.defineProperty(attributes, key, { value, enumerable: true, configurable: true, writable: true });
    } else attributes[key] = value;
  }
  return attributes;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** What a later schema may hold and this one does not goes on as its JSON text: no exporter stumbles over that. */
function attribute(value: unknown): Scalar {
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number' && (Number.isSafeInteger(value) || !Number.isInteger(value))) return value;
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
  return JSON.stringify(value);
}
