/** From a spooled body to what the SDK's processors and exporters take. A pure function, so a retry has the same bytes. */
import type { Attributes, HrTime, SeverityNumber, SpanContext } from '@opentelemetry/api';
import type { InstrumentationScope } from '@opentelemetry/core';
import { resourceFromAttributes } from '@opentelemetry/resources';
import type { Resource } from '@opentelemetry/resources';
import type { ReadWriteLogRecord } from '@opentelemetry/sdk-logs';
import { bodyToLogRecord } from '../event/log-record.ts';
import type { LogRecordContent } from '../event/log-record.ts';
import type { Event } from '../event/vocabulary.ts';
import type { StreamIdentity } from '../spool/segment.ts';

/** One of each for a stream: exporters group by the identity of these objects. */
export interface Origin {
  readonly resource: Resource;
  readonly scope: InstrumentationScope;
}

export function originOf({ resource, scope }: StreamIdentity): Origin {
  return { resource: resourceFromAttributes(attributesOf(resource)), scope: { ...scope } };
}

/**
 * Handed to the processor directly: a Logger would stamp it with the present time as observed, and hold it against
 * limits that are meant for others.
 *
 * It holds the body alone. What that says is read when an exporter asks, record by record, and then let go of: a whole
 * batch of attributes outlives the young generation, and such garbage is collected late.
 */
export class SpooledLogRecord implements ReadWriteLogRecord {
  readonly resource: Resource;
  readonly instrumentationScope: InstrumentationScope;
  readonly body: string;
  readonly droppedAttributesCount = 0;

  constructor(body: string, { resource, scope }: Origin) {
    this.resource = resource;
    this.instrumentationScope = scope;
    this.body = body;
  }

  /** @throws SyntaxError or TypeError where the body is not that of a record; so does each getter */
  content(): LogRecordContent {
    if (latest?.record !== this) latest = { record: this, content: bodyToLogRecord(this.body) };
    return latest.content;
  }

  get hrTime(): HrTime {
    return this.content().timestamp;
  }
  get hrTimeObserved(): HrTime {
    return this.content().timestamp;
  }
  get attributes(): Attributes {
    return attributesOf(this.content().attributes);
  }
  get eventName(): string {
    return this.content().eventName;
  }
  get severityNumber(): SeverityNumber {
    // The enum's members are the specification's numbers, and so are ours.
    // oxlint-disable-next-line typescript/no-unsafe-enum-assignment
    return this.content().severityNumber;
  }
  /** undefined where the body names no trace: the interface says so by leaving it out, which a getter cannot. */
  get spanContext(): SpanContext {
    const { traceId, spanId } = this.content();
    const known =
      traceId === undefined || spanId === undefined ? undefined : { traceId, spanId, traceFlags: 0 };
    return known as SpanContext;
  }

  // What was recorded is not changed on its way out, whoever asks.
  setAttribute(): this {
    return this;
  }
  setAttributes(): this {
    return this;
  }
  setBody(): this {
    return this;
  }
  setEventName(): this {
    return this;
  }
  setSeverityNumber(): this {
    return this;
  }
  setSeverityText(): this {
    return this;
  }
}

/** Exporters ask one record for all that they want of it before they come to the next. */
let latest: { readonly record: SpooledLogRecord; readonly content: LogRecordContent } | undefined;

/** The same scalars and arrays of strings: only the SDK's type wants its arrays writable. */
function attributesOf(event: Event): Attributes {
  return event;
}
