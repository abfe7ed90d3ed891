/** From a LogRecord to what a stream keeps of it: our own records as they are, other programs' in the same form. */
import type { AnyValue } from '@opentelemetry/api';
import type { ReadWriteLogRecord } from '@opentelemetry/sdk-logs';
import { createEventClock, eventTime, type EventClock } from '../event/clock.ts';
import type { Unstamped } from '../event/stamp.ts';
import { newUid } from '../event/uid.ts';
import { SCOPE_NAME, type Event, type Scalar } from '../event/vocabulary.ts';
import type { Service } from './resource.ts';

/** Name of a record that has none. */
const UNNAMED = 'log';
/** Where a foreign record's own body goes (OTel semantic conventions, log attributes). */
const ORIGINAL = 'log.record.original';
/** Where the name of a foreign scope goes (OTel specification, mapping to formats without scopes). */
const SCOPE = 'otel.scope.name';

/** Reads a record; uid and time are made where it has none. */
export function createRecordReader(service: Service, clock: EventClock = createEventClock()) {
  return function readRecord(record: ReadWriteLogRecord): Unstamped {
    return {
      name: record.eventName ?? UNNAMED,
      severity: record.severityNumber ?? 0,
      trace: record.spanContext,
      service,
      attributes: eventOf(record) ?? placed(readAttributes(record), record, clock),
    };
  };
}

/**
 * The event of a record of ours, which comes as the body (record-emitter.ts) and needs no reading: it was made for
 * this. Undefined for others; anybody may call a scope as we do.
 */
function eventOf({ instrumentationScope, attributes, body }: ReadWriteLogRecord): Event | undefined {
  if (instrumentationScope.name !== SCOPE_NAME || !isEvent(body)) return undefined;
  const isWhole = body['log.record.uid'] !== undefined && body['verdict.time'] !== undefined;
  return isWhole && Object.keys(attributes).length === 0 ? body : undefined;
}

function isEvent(value: AnyValue): value is Event {
  if (typeof value !== 'object' || value === null) return false;
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isScalar);
}

function readAttributes(record: ReadWriteLogRecord): Record<string, Scalar> {
  const attributes: Record<string, Scalar> = {};
  for (const [key, value] of Object.entries(record.attributes)) {
    if (value !== undefined && value !== null) attributes[key] = scalar(value);
  }
  if (record.body !== undefined && record.body !== null) attributes[ORIGINAL] = scalar(record.body);
  const scope = record.instrumentationScope.name;
  if (scope !== SCOPE_NAME) attributes[SCOPE] = scope;
  return attributes;
}

/** With a uid and a time; a time that the record brings along is kept. */
function placed(attributes: Record<string, Scalar>, record: ReadWriteLogRecord, clock: EventClock): Event {
  if (attributes['log.record.uid'] !== undefined && attributes['verdict.time'] !== undefined)
    return attributes;
  const [seconds, nanoseconds] = record.hrTime;
  const time =
    seconds === 0 ? clock.tick() : eventTime(BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds));
  const ms = time.hrTime[0] * 1000 + Math.floor(time.hrTime[1] / 1e6);
  return { 'log.record.uid': newUid(ms), 'verdict.time': time.rfc3339, ...attributes };
}

/** What is no scalar is kept as its JSON text: nothing is dropped because of its form. */
function scalar(value: AnyValue): Scalar {
  if (isScalar(value)) return value;
  if (typeof value === 'number') return String(value);
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    // Circular, or nested beyond what the engine can walk.
    return Object.prototype.toString.call(value);
  }
}

function isScalar(value: AnyValue): value is Scalar {
  if (typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
