/** From a spooled body to what the SDK's processors and exporters take. A pure function, so a retry has the same bytes. */
import type { Attributes, HrTime, SeverityNumber, SpanContext } from '@opentelemetry/api';
import type { InstrumentationScope } from '@opentelemetry/core';
import { resourceFromAttributes } from '@opentelemetry/resources';
import type { Resource } from '@opentelemetry/resources';
import type { ReadWriteLogRecord } from '@opentelemetry/sdk-logs';
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
 */
export class SpooledLogRecord implements ReadWriteLogRecord {
  readonly hrTime: HrTime;
  readonly hrTimeObserved: HrTime;
  readonly spanContext?: SpanContext;
  readonly resource: Resource;
  readonly instrumentationScope: InstrumentationScope;
  readonly attributes: Attributes;
  readonly severityNumber: SeverityNumber;
  readonly body: string;
  readonly eventName: string;
  readonly droppedAttributesCount = 0;

  constructor(body: string, content: LogRecordContent, { resource, scope }: Origin) {
    this.hrTime = content.timestamp;
    this.hrTimeObserved = content.timestamp;
    if (content.traceId !== undefined && content.spanId !== undefined) {
      this.spanContext = { traceId: content.traceId, spanId: content.spanId, traceFlags: 0 };
    }
    this.resource = resource;
    this.instrumentationScope = scope;
    this.attributes = attributesOf(content.attributes);
    // The enum's members are the specification's numbers, and so are ours.
    // oxlint-disable-next-line typescript/no-unsafe-enum-assignment
    this.severityNumber = content.severityNumber;
    this.body = body;
    this.eventName = content.eventName;
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

/** The same scalars and arrays of strings: only the SDK's type wants its arrays writable. */
function attributesOf(event: Event): Attributes {
  return event;
}
