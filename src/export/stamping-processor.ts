import type { AnyValue, Context } from '@opentelemetry/api';
import type { LogRecordProcessor, ReadWriteLogRecord } from '@opentelemetry/sdk-logs';
import { firstLink, stamp } from '../event/stamp.ts';
import type { Unstamped } from '../event/stamp.ts';
import { EVENT_NAMES } from '../event/vocabulary.ts';
import type { Scalar } from '../event/vocabulary.ts';
import { createRecent } from '../spool/recent.ts';
import type { Service } from './resource.ts';

/** Uids kept for somebody who may still wait; over it, the oldest is forgotten. A caller asks right after emit. */
export const SEEN_UIDS_MAX = 10_000;

export interface StampingProcessorOptions {
  readonly service: Service;
  /** UUID of the chain. */
  readonly streamId: string;
  /** Where stamped records go on to; undefined where there is no exporter. */
  readonly next?: LogRecordProcessor | undefined;
  readonly seenMax?: number | undefined;
}

export interface StampingProcessor extends LogRecordProcessor {
  /** Whether the record has come through; says so once. */
  takeSeen(uid: string): boolean;
}

/**
 * Chains each record to the one before, in the order of their coming: sequence and hash as attributes, the whole as
 * canonical JSON in the body. What the spool's processor does durably, this one does in memory.
 */
export function createStampingProcessor(options: StampingProcessorOptions): StampingProcessor {
  const { service, next, seenMax = SEEN_UIDS_MAX } = options;
  const seen = createRecent<true>(seenMax);
  let link = firstLink(options.streamId);

  return {
    onEmit(record: ReadWriteLogRecord, context?: Context) {
      const unstamped = read(record, service);
      if (unstamped === undefined) return;
      const { event, body, next: following } = stamp(link, unstamped);
      // A record that is lost from here on leaves a hole in the chain, which is how its loss is found.
      link = following;
      for (const [key, value] of Object.entries(event)) {
        if (!Object.hasOwn(record.attributes, key)) record.setAttribute(key, attribute(value));
      }
      record.setBody(body);
      next?.onEmit(record, context);

      const uid = event['log.record.uid'];
      if (typeof uid === 'string') seen.set(uid, true);
    },
    takeSeen: (uid) => seen.delete(uid),
    forceFlush: async () => next?.forceFlush(),
    shutdown: async () => next?.shutdown(),
  };
}

/** undefined for what is no record of ours: somebody else used our logger. */
function read(record: ReadWriteLogRecord, service: Service): Unstamped | undefined {
  const name = EVENT_NAMES.find((known) => known === record.eventName);
  if (name === undefined || record.severityNumber === undefined) return undefined;
  return {
    name,
    severity: record.severityNumber,
    trace: record.spanContext,
    service,
    attributes: Object.fromEntries(Object.entries(record.attributes).filter(isEntry)),
  };
}

function isEntry(entry: [string, unknown]): entry is [string, Scalar] {
  const value = entry[1];
  return (
    ['string', 'number', 'boolean'].includes(typeof value) ||
    (Array.isArray(value) && value.every((item) => typeof item === 'string'))
  );
}

function attribute(value: Scalar): AnyValue {
  return typeof value === 'object' ? [...value] : value;
}
