/**
 * A receiver of OTLP/HTTP and of bodies that takes everything and counts it, a process of its own. It looks for each record's place in
 * its stream in the bytes, because parsing them would cost more than sending them. `GET /` tells; `DELETE /` forgets.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Received, ReceivedStream } from './received.ts';

/** As they stand in OTLP JSON; in a body, which is a string, each quote has a backslash before it. */
const STREAM = Buffer.from('"key":"verdict.stream.id","value":{"stringValue":"');
const SEQUENCE = Buffer.from('"key":"verdict.stream.sequence","value":{"intValue":');
/** In a body that stands by itself. */
const PLAIN_STREAM = Buffer.from('"verdict.stream.id":"');
const PLAIN_SEQUENCE = Buffer.from('"verdict.stream.sequence":');
const UUID_BYTES = 36;
const DIGITS_MAX = 18;

let streams: Record<string, ReceivedStream> = {};
let totals = empty();

function empty(): Omit<Received, 'streams'> {
  return { records: 0, requests: 0, firstMs: undefined, lastMs: undefined };
}

function take(body: Buffer): void {
  let records = 0;
  const isOtlp = body.includes(STREAM);
  const [stream, sequence] = isOtlp ? [STREAM, SEQUENCE] : [PLAIN_STREAM, PLAIN_SEQUENCE];
  for (let at = body.indexOf(stream); at !== -1; at = body.indexOf(stream, at)) {
    const idAt = at + stream.length;
    const sequenceAt = body.indexOf(sequence, idAt) + sequence.length;
    const digits = body.toString('latin1', sequenceAt, sequenceAt + DIGITS_MAX).replace(/^"/, '');
    note(body.toString('latin1', idAt, idAt + UUID_BYTES), Number.parseInt(digits, 10));
    records += 1;
    at = sequenceAt;
  }
  if (records === 0) return;
  const nowMs = Date.now();
  totals = {
    records: totals.records + records,
    requests: totals.requests + 1,
    firstMs: totals.firstMs ?? nowMs,
    lastMs: nowMs,
  };
}

function note(id: string, sequence: number): void {
  const stream = (streams[id] ??= { last: 0, records: 0, repeated: 0, skipped: 0 });
  stream.records += 1;
  if (sequence <= stream.last) stream.repeated += 1;
  else {
    stream.skipped += sequence - stream.last - 1;
    stream.last = sequence;
  }
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (request.method === 'POST') take(Buffer.concat(chunks));
    if (request.method === 'DELETE') {
      streams = {};
      totals = empty();
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(request.method === 'GET' ? JSON.stringify({ ...totals, streams }) : '{}');
  });
});
server.keepAliveTimeout = 0;
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  // A server that listens on TCP has an AddressInfo.
  process.stdout.write(`listening ${(server.address() as AddressInfo).port}\n`);
});
