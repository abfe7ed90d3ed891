/**
 * Format `otlp-json`: an export request of one record a line, as the collector's file exporter writes it and its
 * OTLP-JSON file receiver reads it (OTLP 1.x, "JSON Protobuf Encoding": 64-bit integers are strings, ids are hex).
 */
import type { Event, Scalar } from '../event/vocabulary.ts';
import { safeJson } from './safe-text.ts';
import type { Format, FormattedRecord, RecordOrigin } from './record.ts';

export const otlpJsonFormat: Format = {
  name: 'otlp-json',
  contentType: 'application/json',
  fileExtension: 'jsonl',
  carriesBody: true,
  encode,
};

function encode({ body, content, origin }: FormattedRecord): string {
  const { before, after } = frameOf(origin);
  const { eventName, severityNumber, timestamp, attributes, traceId, spanId } = content;
  const time = `"${timestamp[0]}${String(timestamp[1]).padStart(9, '0')}"`;
  const ids =
    traceId === undefined || spanId === undefined
      ? ''
      : `,"traceId":${JSON.stringify(traceId)},"spanId":${JSON.stringify(spanId)}`;
  return safeJson(
    `${before}{"timeUnixNano":${time},"observedTimeUnixNano":${time},"severityNumber":${severityNumber},` +
      `"body":{"stringValue":${JSON.stringify(body)}},"attributes":${attributesOf(attributes)}${ids},` +
      `"eventName":${JSON.stringify(eventName)}}${after}`,
  );
}

interface Frame {
  readonly before: string;
  readonly after: string;
}

/** All records of a stream have the same frame. */
const frames = new WeakMap<RecordOrigin, Frame>();

function frameOf(origin: RecordOrigin): Frame {
  let frame = frames.get(origin);
  if (frame === undefined) {
    const { name, version, schemaUrl } = origin.scope;
    const resource = `{"attributes":${attributesOf(origin.resource)}}`;
    const schema = schemaUrl === undefined ? '' : `,"schemaUrl":${JSON.stringify(schemaUrl)}`;
    frame = {
      before: `{"resourceLogs":[{"resource":${resource},"scopeLogs":[{"scope":${JSON.stringify({ name, version })},"logRecords":[`,
      after: `]${schema}}]}]}`,
    };
    frames.set(origin, frame);
  }
  return frame;
}

function attributesOf(event: Event): string {
  let text = '[';
  for (const key of Object.keys(event)) {
    if (text !== '[') text += ',';
    text += `{"key":${JSON.stringify(key)},"value":${anyValue(event[key])}}`;
  }
  return `${text}]`;
}

function anyValue(value: Scalar | undefined): string {
  if (typeof value === 'string') return `{"stringValue":${JSON.stringify(value)}}`;
  if (typeof value === 'boolean') return `{"boolValue":${value}}`;
  if (typeof value === 'number') {
    return Number.isInteger(value) ? `{"intValue":"${value}"}` : `{"doubleValue":${value}}`;
  }
  return value === undefined ? '{}' : `{"arrayValue":{"values":[${value.map(anyValue).join(',')}]}}`;
}
