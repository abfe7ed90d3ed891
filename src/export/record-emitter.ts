/** From a draft to the OTel Logs API: the way that every record takes, whatever processor is behind it. */
import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import type { Context, LogRecord } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import type { LogRecordProcessor } from '@opentelemetry/sdk-logs';
import type { EventClock, EventTime } from '../event/clock.ts';
import { toAttributes } from '../event/fields.ts';
import type { Draft, TraceIds } from '../event/recorder.ts';
import { newUid } from '../event/uid.ts';
import { SCHEMA_URL, SCOPE_NAME } from '../event/vocabulary.ts';

export interface EmitterOptions {
  readonly resource: Resource;
  readonly version: string;
  readonly processor: LogRecordProcessor;
  readonly clock: EventClock;
  /**
   * Where in the LogRecord the event stands for the processor. The SDK copies attributes one by one and checks each,
   * which costs more than all else that is done with a record; a body it takes as it is. So a processor that makes
   * the LogRecord anew in any case, from what it keeps, is given the event as the body.
   */
  readonly eventAs: 'attributes' | 'body';
}

export interface RecordEmitter {
  readonly provider: LoggerProvider;
  /** @returns the record's uid; throws what the API throws */
  emit(draft: Draft): string;
  /** A uid for a record that is not made, because it is too late. */
  uid(): string;
}

export function createRecordEmitter(options: EmitterOptions): RecordEmitter {
  const { resource, version, processor, clock, eventAs } = options;
  const provider = new LoggerProvider({
    resource,
    processors: [processor],
    // A record is never cut by a limit that was meant for others (OTEL_ATTRIBUTE_*): it has caps of its own.
    logRecordLimits: { attributeCountLimit: Infinity, attributeValueLengthLimit: Infinity },
  });
  const logger = provider.getLogger(SCOPE_NAME, version, { schemaUrl: SCHEMA_URL });
  const uidAt = ({ hrTime }: EventTime): string => newUid(hrTime[0] * 1000 + Math.floor(hrTime[1] / 1e6));
  return {
    provider,
    uid: () => uidAt(clock.tick()),
    emit(draft) {
      const time = clock.tick();
      const uid = uidAt(time);
      const event = { ...toAttributes(draft.fields), 'log.record.uid': uid, 'verdict.time': time.rfc3339 };
      logger.emit({ ...envelope(draft, time), [eventAs]: event });
      return uid;
    },
  };
}

/** A LogRecord without its event. */
function envelope(draft: Draft, time: EventTime): LogRecord {
  return {
    eventName: draft.name,
    // The enum's members are the specification's numbers, and so are ours.
    // oxlint-disable-next-line typescript/no-unsafe-enum-assignment
    severityNumber: draft.severity,
    timestamp: time.hrTime,
    observedTimestamp: time.hrTime,
    context: contextOf(draft.trace),
  };
}

/** Given explicitly in every case: the active context would be that of whoever happens to run. */
function contextOf(ids: TraceIds | undefined): Context {
  return ids === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, { ...ids });
}
