/** From what the SDK hands to an exporter to the records that formats take, and from a name to a format. */
import type { Resource } from '@opentelemetry/resources';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { VerdictError } from '../errors.ts';
import { bodyToLogRecord } from '../event/log-record.ts';
import type { Event } from '../event/vocabulary.ts';
import { FORMAT_NAMES, formatNamed } from '../format/formats.ts';
import type { Format, FormattedRecord, RecordOrigin } from '../format/record.ts';
import { SpooledLogRecord } from './spooled-log-record.ts';

/** @throws VerdictError config_invalid for a name that is none */
export function formatOf(name: string): Format {
  const format = formatNamed(name);
  if (format !== undefined) return format;
  const detail = `there is no format ${JSON.stringify(name)}: use one of ${FORMAT_NAMES.join(', ')}`;
  throw new VerdictError('config_invalid', { detail });
}

/**
 * What a record says is read when a format asks for it: one that wants the body alone costs no parsing.
 * @throws TypeError where a record is none of ours: no format has a form for it
 */
export function recordOf(record: ReadableLogRecord): FormattedRecord {
  const { body } = record;
  if (typeof body !== 'string') throw new TypeError('the record has no body that is text');
  return {
    body,
    origin: originOf(record),
    get content() {
      return record instanceof SpooledLogRecord ? record.content() : bodyToLogRecord(body);
    },
  };
}

/** Formats keep what they make of an origin by its identity, and all records of a stream have one resource. */
const origins = new WeakMap<Resource, RecordOrigin>();

function originOf({ resource, instrumentationScope }: ReadableLogRecord): RecordOrigin {
  let origin = origins.get(resource);
  if (origin === undefined) {
    origin = { resource: resource.attributes as Event, scope: instrumentationScope };
    origins.set(resource, origin);
  }
  return origin;
}
