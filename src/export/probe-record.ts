/**
 * The record that `doctor` sends: a lifecycle record like any other, in a stream of its own that ends with it. It goes
 * past the spool, so that the streams of calls know nothing of it (event/verify-probe.ts).
 */
import type { Resource } from '@opentelemetry/resources';
import type { EventTime } from '../event/clock.ts';
import { toAttributes } from '../event/fields.ts';
import { firstLink, stamp } from '../event/stamp.ts';
import { newUid } from '../event/uid.ts';
import { SCHEMA_URL, SCOPE_NAME, SEVERITY } from '../event/vocabulary.ts';
import type { Service } from './resource.ts';
import { SpooledLogRecord } from './spooled-log-record.ts';

export interface ProbeOptions {
  readonly resource: Resource;
  readonly service: Service;
  readonly time: EventTime;
}

export interface Probe {
  /** To look for at the destination: `log.record.uid`. */
  readonly uid: string;
  readonly record: SpooledLogRecord;
}

export function createProbe({ resource, service, time }: ProbeOptions): Probe {
  const nowMs = time.hrTime[0] * 1000 + Math.floor(time.hrTime[1] / 1e6);
  const uid = newUid(nowMs);
  const { body } = stamp(firstLink(newUid(nowMs)), {
    name: 'verdict.lifecycle',
    severity: SEVERITY.info,
    service,
    attributes: toAttributes({
      'log.record.uid': uid,
      'verdict.time': time.rfc3339,
      'verdict.lifecycle.state': 'doctor',
    }),
  });
  const scope = { name: SCOPE_NAME, version: service.version, schemaUrl: SCHEMA_URL };
  return { uid, record: new SpooledLogRecord(body, { resource, scope }) };
}
