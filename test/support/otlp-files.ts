/**
 * Reads what the collector's file exporter wrote: one export request in OTLP JSON a line (OTLP 1.x, "JSON Protobuf
 * Encoding": 64-bit integers are strings, trace and span ids are hex).
 */
import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';

/** An AnyValue: integers are numbers where those are exact, else bigints; bytes stay base64. */
export type Value =
  | string
  | number
  | bigint
  | boolean
  | null
  | readonly Value[]
  | { readonly [key: string]: Value };

export type Attributes = Readonly<Record<string, Value>>;

/** Where a record, span or metric came from. */
export interface Source {
  readonly resource: Attributes;
  readonly scope: { readonly name: string; readonly version: string };
  readonly schemaUrl: string;
}

export interface ReceivedLog extends Source {
  readonly timeUnixNano: bigint;
  readonly observedTimeUnixNano: bigint;
  readonly severityNumber: number;
  readonly severityText: string;
  readonly eventName: string;
  readonly body: Value;
  readonly attributes: Attributes;
  /** Hex; empty where there is none. */
  readonly traceId: string;
  readonly spanId: string;
}

export interface ReceivedSpan extends Source {
  readonly name: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a root span. */
  readonly parentSpanId: string;
  readonly startTimeUnixNano: bigint;
  readonly endTimeUnixNano: bigint;
  readonly attributes: Attributes;
  /** 0 unset, 1 ok, 2 error. */
  readonly statusCode: number;
  readonly statusMessage: string;
  readonly links: readonly {
    readonly traceId: string;
    readonly spanId: string;
    readonly attributes: Attributes;
  }[];
}

export interface ReceivedMetric extends Source {
  readonly name: string;
  readonly unit: string;
  readonly kind: 'gauge' | 'sum' | 'histogram' | 'exponentialHistogram' | 'summary';
  readonly points: readonly ReceivedPoint[];
}

export interface ReceivedPoint {
  readonly attributes: Attributes;
  readonly timeUnixNano: bigint;
  /** Of a gauge or a sum. */
  readonly value: number | bigint | undefined;
  /** Of a histogram or a summary. */
  readonly count: number | undefined;
  readonly sum: number | undefined;
  readonly bucketCounts: readonly number[];
  readonly explicitBounds: readonly number[];
}

/** The exporter writes a line and its end separately; one that was killed in between leaves two requests in a line. */
const SEAM = /(?<=\})(?=\{"resource(?:Logs|Spans|Metrics)":)/;

/** The JSON objects of one line. Throws on a line that is not whole: nobody but the exporter writes there. */
export function parseLine(line: string): readonly unknown[] {
  if (line.trim() === '') return [];
  return line.split(SEAM).map((part) => JSON.parse(part) as unknown);
}

/** The log records of one export request. */
export function readLogs(request: unknown): ReceivedLog[] {
  return entries(request, { resources: 'resourceLogs', scopes: 'scopeLogs', items: 'logRecords' }).map(
    ({ source, item }) => ({
      ...source,
      timeUnixNano: nanos(item, 'timeUnixNano'),
      observedTimeUnixNano: nanos(item, 'observedTimeUnixNano'),
      severityNumber: number(item, 'severityNumber') ?? 0,
      severityText: text(item, 'severityText'),
      eventName: text(item, 'eventName'),
      body: decodeValue(item['body']),
      attributes: attributesOf(item),
      traceId: text(item, 'traceId'),
      spanId: text(item, 'spanId'),
    }),
  );
}

/** The spans of one export request. */
export function readSpans(request: unknown): ReceivedSpan[] {
  return entries(request, { resources: 'resourceSpans', scopes: 'scopeSpans', items: 'spans' }).map(
    ({ source, item }) => ({
      ...source,
      name: text(item, 'name'),
      kind: number(item, 'kind') ?? 0,
      traceId: text(item, 'traceId'),
      spanId: text(item, 'spanId'),
      parentSpanId: text(item, 'parentSpanId'),
      startTimeUnixNano: nanos(item, 'startTimeUnixNano'),
      endTimeUnixNano: nanos(item, 'endTimeUnixNano'),
      attributes: attributesOf(item),
      statusCode: number(record(item['status']), 'code') ?? 0,
      statusMessage: text(record(item['status']), 'message'),
      links: records(item['links']).map((link) => ({
        traceId: text(link, 'traceId'),
        spanId: text(link, 'spanId'),
        attributes: attributesOf(link),
      })),
    }),
  );
}

const METRIC_KINDS = ['gauge', 'sum', 'histogram', 'exponentialHistogram', 'summary'] as const;

/** The metrics of one export request. */
export function readMetrics(request: unknown): ReceivedMetric[] {
  return entries(request, { resources: 'resourceMetrics', scopes: 'scopeMetrics', items: 'metrics' }).map(
    ({ source, item }) => {
      const kind = METRIC_KINDS.find((name) => name in item);
      if (kind === undefined) throw new Error(`A metric of no known kind: ${JSON.stringify(item)}`);
      const points = records(record(item[kind])['dataPoints']).map(readPoint);
      return { ...source, name: text(item, 'name'), unit: text(item, 'unit'), kind, points };
    },
  );
}

function readPoint(point: JsonObject): ReceivedPoint {
  return {
    attributes: attributesOf(point),
    timeUnixNano: nanos(point, 'timeUnixNano'),
    value: 'asInt' in point ? integer(point['asInt']) : number(point, 'asDouble'),
    count: number(point, 'count'),
    sum: number(point, 'sum'),
    bucketCounts: array(point['bucketCounts']).map(Number),
    explicitBounds: array(point['explicitBounds']).map(Number),
  };
}

/** Decodes an OTLP JSON AnyValue; an absent or empty one is null. */
export function decodeValue(any: unknown): Value {
  const value = record(any);
  if ('stringValue' in value) return text(value, 'stringValue');
  if ('boolValue' in value) return value['boolValue'] === true;
  if ('intValue' in value) return integer(value['intValue']);
  if ('doubleValue' in value) return Number(value['doubleValue']);
  if ('bytesValue' in value) return text(value, 'bytesValue');
  if ('arrayValue' in value) return array(record(value['arrayValue'])['values']).map(decodeValue);
  if ('kvlistValue' in value) return decodePairs(record(value['kvlistValue'])['values']);
  return null;
}

type JsonObject = Readonly<Record<string, unknown>>;

interface Levels {
  readonly resources: string;
  readonly scopes: string;
  readonly items: string;
}

/** Walks resources, scopes and items, which all three signals nest alike. */
function entries(request: unknown, levels: Levels): { readonly source: Source; readonly item: JsonObject }[] {
  return records(record(request)[levels.resources]).flatMap((byResource) => {
    const resource = attributesOf(record(byResource['resource']));
    return records(byResource[levels.scopes]).flatMap((byScope) => {
      const scope = {
        name: text(record(byScope['scope']), 'name'),
        version: text(record(byScope['scope']), 'version'),
      };
      const source = { resource, scope, schemaUrl: text(byScope, 'schemaUrl') };
      return records(byScope[levels.items]).map((item) => ({ source, item }));
    });
  });
}

function attributesOf(holder: JsonObject): Attributes {
  return decodePairs(holder['attributes']);
}

function decodePairs(pairs: unknown): Attributes {
  // Keys are data: `__proto__` is a key like any other here.
  return Object.fromEntries(records(pairs).map((pair) => [text(pair, 'key'), decodeValue(pair['value'])]));
}

function record(value: unknown): JsonObject {
  // Narrowed just before; members are unknown.
  return typeof value === 'object' && value !== null ? (value as JsonObject) : {};
}

function array(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function records(value: unknown): readonly JsonObject[] {
  return array(value).map(record);
}

function text(holder: JsonObject, key: string): string {
  const value = holder[key];
  return typeof value === 'string' ? value : '';
}

function number(holder: JsonObject, key: string): number | undefined {
  return holder[key] === undefined ? undefined : Number(holder[key]);
}

function nanos(holder: JsonObject, key: string): bigint {
  const value = holder[key];
  return typeof value === 'string' || typeof value === 'number' ? BigInt(value) : 0n;
}

function integer(value: unknown): number | bigint {
  const exact = BigInt(typeof value === 'string' || typeof value === 'number' ? value : 0);
  return exact >= Number.MIN_SAFE_INTEGER && exact <= Number.MAX_SAFE_INTEGER ? Number(exact) : exact;
}

/** Cuts bytes that arrive in any pieces into lines; what has no line end yet is kept for the next piece. */
export function createLineBuffer(): { push(bytes: Uint8Array): string[]; pending(): string } {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  return {
    push: (bytes) => {
      const lines = (rest + decoder.write(bytes)).split('\n');
      rest = lines.pop() ?? '';
      return lines;
    },
    pending: () => rest,
  };
}

const READ_BYTES = 1024 * 1024;

/**
 * Follows `NAME.jsonl` and its rotated files `NAME-TIME.jsonl` in a directory.
 * @returns a function that gives the requests written since it was last called
 */
export function followRequests(directory: string, name: string): () => unknown[] {
  // By inode, since rotation renames a file that is half read.
  const files = new Map<number, { offset: number; readonly buffer: ReturnType<typeof createLineBuffer> }>();
  return () =>
    fileNames(directory, name).flatMap((fileName) => {
      const path = join(directory, fileName);
      const { ino, size } = statSync(path);
      const file = files.get(ino) ?? { offset: 0, buffer: createLineBuffer() };
      files.set(ino, file);
      const lines: string[] = [];
      for (const bytes of chunks(path, file.offset, size)) {
        file.offset += bytes.length;
        lines.push(...file.buffer.push(bytes));
      }
      return lines.flatMap(parseLine);
    });
}

/** Oldest first: `logs-2026-...` sorts before `logs.jsonl`. */
function fileNames(directory: string, name: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.jsonl'))
    .map((entry) => entry.name)
    .filter((fileName) => fileName === `${name}.jsonl` || fileName.startsWith(`${name}-`))
    .sort();
}

function* chunks(path: string, from: number, to: number): Generator<Uint8Array> {
  if (from >= to) return;
  const handle = openSync(path, 'r');
  try {
    for (let offset = from; offset < to;) {
      const bytes = Buffer.alloc(Math.min(READ_BYTES, to - offset));
      const length = readSync(handle, bytes, 0, bytes.length, offset);
      if (length === 0) return;
      offset += length;
      yield bytes.subarray(0, length);
    }
  } finally {
    closeSync(handle);
  }
}
