/**
 * Records from files of any kind that they come in: bodies a line, OTLP/JSON as the collector's file and S3
 * exporters write it (a request a line, or one document), what searches give back, lines of a segment; each also
 * gzipped. What a line is shows in the line.
 */
import { createGunzip } from 'node:zlib';
import { pipeline, Readable } from 'node:stream';
import { eventTime } from '../event/clock.ts';
import { SCOPE_NAME } from '../event/vocabulary.ts';
import { decodeLine, TAB } from '../spool/line.ts';
import { isHeader, isSeal } from '../spool/segment.ts';
import { INPUT_LINE_BYTES_MAX, splitDocument, splitLines } from './records-lines.ts';
import { bodiesOfResult, mayHoldBodies } from './records-result.ts';

/** Takes what was read; `verify`'s verifier fits. */
export interface RecordSink {
  add(body: string, attributes: Readonly<Record<string, unknown>> | undefined, where: string): unknown;
  unreadable(text: string): void;
}

const LINE_END = Buffer.from('\n');
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);
/** The collector writes a line and its end separately; killed in between it leaves two requests in one line. */
const SEAM = /(?<=\})(?=\{"resource(?:Logs|Spans|Metrics)":)/;
const REQUEST = '{"resource';

/** Reads one input to its end. What cannot be read goes to the sink; throws only what the source throws. */
export async function readRecords(
  name: string,
  source: AsyncIterable<Uint8Array>,
  sink: RecordSink,
): Promise<void> {
  const document: Buffer[] = [];
  let documentBytes = 0;
  let mode: 'lines' | 'document' | undefined;
  let number = 0;
  for await (const line of splitLines(unzipped(name, source, sink))) {
    number += 1;
    if (line === undefined) {
      sink.unreadable(`${name}:${number}: a line too long to be a record`);
      continue;
    }
    if (isBlank(line)) continue;
    mode ??= startsDocument(line) ? 'document' : 'lines';
    if (mode === 'lines') {
      readLine(line, `${name}:${number}`, sink);
      continue;
    }
    document.push(line, LINE_END);
    documentBytes += line.length + 1;
    if (documentBytes <= INPUT_LINE_BYTES_MAX) continue;
    sink.unreadable(
      `${name}: one JSON document of more than ${INPUT_LINE_BYTES_MAX} bytes: write one request a line`,
    );
    return;
  }
  if (document.length === 0) return;
  const { values, rest } = splitDocument(Buffer.concat(document).toString('utf8'));
  for (const value of values) readJson(value, name, sink);
  if (rest !== '') sink.unreadable(`${name}: the document breaks off`);
}

/** A document over several lines begins with a bracket alone, or with a request that does not end on its line. */
function startsDocument(line: Buffer): boolean {
  const text = line.toString('utf8').trim();
  if (/^[[{]$/.test(text)) return true;
  return /^(?:\[\s*)?\{\s*"resource(?:Logs|Spans|Metrics)"/.test(text) && splitDocument(text).rest !== '';
}

function isBlank(line: Buffer): boolean {
  return line.every((byte) => byte === 0x20 || byte === 0x0d || byte === 0x09 || byte === 0);
}

function readLine(line: Buffer, where: string, sink: RecordSink): void {
  if (!line.includes(TAB)) {
    const text = line.toString('utf8').trim();
    if (text.startsWith(REQUEST)) for (const request of text.split(SEAM)) readJson(request, where, sink);
    else if (mayHoldBodies(text)) readJson(text, where, sink);
    else if (!isHeader(text) && !isSeal(text)) sink.add(text, undefined, where);
    return;
  }
  const decoded = decodeLine(line);
  if (!decoded.ok) sink.unreadable(`${where}: a spoiled line of a segment`);
  else if (!isHeader(decoded.json) && !isSeal(decoded.json)) sink.add(decoded.json, undefined, where);
}

function readJson(text: string, where: string, sink: RecordSink): void {
  let request: unknown;
  try {
    request = JSON.parse(text);
  } catch {
    sink.unreadable(`${where}: not JSON`);
    return;
  }
  for (const each of Array.isArray(request) ? request : [request]) {
    // An array is no one's body: its members are written anew, which the verifier then says.
    if ('verdict.stream.id' in membersOf(each))
      sink.add(each === request ? text : JSON.stringify(each), undefined, where);
    else if ('resourceLogs' in membersOf(each)) readRequest(each, where, sink);
    else readResult(each, where, sink);
  }
}

function readResult(result: unknown, where: string, sink: RecordSink): void {
  const bodies = bodiesOfResult(result);
  for (const body of bodies) sink.add(body, undefined, where);
  if (bodies.length === 0 && mayHoldBodies(JSON.stringify(result)))
    sink.unreadable(`${where}: a record of ours in a form that is not known`);
}

function readRequest(request: unknown, where: string, sink: RecordSink): void {
  for (const byResource of listOf(request, 'resourceLogs')) {
    for (const byScope of listOf(byResource, 'scopeLogs')) {
      const ours = membersOf(membersOf(byScope)['scope'])['name'] === SCOPE_NAME;
      for (const record of listOf(byScope, 'logRecords')) readLog(record, ours, where, sink);
    }
  }
}

function readLog(record: unknown, ours: boolean, where: string, sink: RecordSink): void {
  const body = membersOf(membersOf(record)['body'])['stringValue'];
  const attributes = attributesOf(record);
  // Whose logs stand beside ours is none of our business.
  const claimed = ours || 'verdict.stream.id' in attributes;
  if (typeof body === 'string' && (claimed || body.includes('"verdict.stream.id":')))
    sink.add(body, attributes, where);
  else if (claimed) sink.unreadable(`${where}: a record of ours whose body is no text`);
}

/** What a LogRecord says beside its body, under the body's keys. */
function attributesOf(record: unknown): Record<string, unknown> {
  const said = new Map<string, unknown>();
  const say = (key: string, value: unknown): void => {
    // A key that stands there twice with two values says neither: null is in no body.
    said.set(key, said.has(key) && JSON.stringify(said.get(key)) !== JSON.stringify(value) ? null : value);
  };
  for (const pair of listOf(record, 'attributes')) {
    const { key, value } = membersOf(pair);
    if (typeof key === 'string') say(key, valueOf(value));
  }
  const { eventName, severityNumber, traceId, spanId, timeUnixNano } = membersOf(record);
  if (typeof eventName === 'string' && eventName !== '') say('event.name', eventName);
  if (typeof severityNumber === 'number' && severityNumber !== 0) say('severity.number', severityNumber);
  if (typeof traceId === 'string' && traceId !== '') say('trace_id', traceId.toLowerCase());
  if (typeof spanId === 'string' && spanId !== '') say('span_id', spanId.toLowerCase());
  const time = integer(timeUnixNano);
  if (time !== undefined && time > 0n && time < 2n ** 63n) say('verdict.time', eventTime(time).rfc3339);
  return Object.fromEntries(said);
}

/** An AnyValue (OTLP 1.x, JSON Protobuf encoding: 64-bit integers are strings). */
function valueOf(any: unknown): unknown {
  const value = membersOf(any);
  if ('intValue' in value) {
    const exact = integer(value['intValue']);
    return exact !== undefined && Number.isSafeInteger(Number(exact)) ? Number(exact) : exact;
  }
  if ('arrayValue' in value) return listOf(value['arrayValue'], 'values').map(valueOf);
  if ('kvlistValue' in value) {
    return Object.fromEntries(
      listOf(value['kvlistValue'], 'values').map((pair) => [
        String(membersOf(pair)['key']),
        valueOf(membersOf(pair)['value']),
      ]),
    );
  }
  return value['stringValue'] ?? value['boolValue'] ?? value['doubleValue'] ?? value['bytesValue'] ?? null;
}

function integer(value: unknown): bigint | undefined {
  return (typeof value === 'string' && /^-?\d{1,19}$/.test(value)) || Number.isSafeInteger(value)
    ? BigInt(value as string | number) // one of the two, as was just asked
    : undefined;
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  // Narrowed just before; what its members are is asked where they are used.
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function listOf(holder: unknown, key: string): readonly unknown[] {
  const list = membersOf(holder)[key];
  return Array.isArray(list) ? list : [];
}

/** The bytes themselves, or what they hold where they are gzip. A gzip that breaks off gives what it held until then. */
async function* unzipped(
  name: string,
  source: AsyncIterable<Uint8Array>,
  sink: RecordSink,
): AsyncGenerator<Uint8Array> {
  const chunks = source[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < GZIP_MAGIC.length) {
    const next = await chunks.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  async function* whole(): AsyncGenerator<Uint8Array> {
    yield head;
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value;
  }
  if (!head.subarray(0, GZIP_MAGIC.length).equals(GZIP_MAGIC)) {
    yield* whole();
    return;
  }
  const plain = createGunzip();
  pipeline(Readable.from(whole()), plain, () => {});
  try {
    for await (const chunk of plain) yield chunk as Uint8Array; // a zlib stream gives Buffers
  } catch (error) {
    // zlib's codes: what is wrong with the source itself is for the caller.
    if (!(error instanceof Error && 'code' in error && String(error.code).startsWith('Z_'))) throw error;
    sink.unreadable(`${name}: the gzip data is broken: ${error.message}`);
  }
}
