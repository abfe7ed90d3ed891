/** An upstream's event stream on its way to the client: event by event, each looked into, none held back. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { errorText } from '../../errors.ts';
import { readAnswer, type ReadAnswer } from '../message/answer-reader.ts';
import type { Origin } from '../gate.ts';
import { fail, type Exchange, type Relay } from './exchange.ts';
import { answerHeaders, ownHeaders } from './headers.ts';
import { errorCode, statusOf } from './upstream.ts';
import type { Id, NotificationMessage, RequestMessage } from '../message/message.ts';
import type { PendingKey } from '../pending.ts';
import { createSseSplitter, type SseEvent } from '../message/sse.ts';

/** How long an upstream may take to accept our answer to a request of its own. */
const REFUSAL_TIMEOUT_MS = 10_000;

/** One stream while it is open. */
interface Stream {
  readonly relay: Relay;
  readonly exchange: Exchange;
  /** Whom the stream is for: the identity of the request that it answers, and the session it belongs to. */
  readonly origin: Origin;
  readonly httpStatus: number;
  /** Whether the answer to our request has passed. */
  answered: boolean;
  /** Whether events have ids, so that the client may resume the stream with a GET. */
  resumable: boolean;
  /** The last refusal that we sent to the upstream; the next one waits for it. */
  refusal: Promise<void>;
}

/** Passes a stream on until it ends. Never rejects. */
export async function relayStream(
  relay: Relay,
  exchange: Exchange,
  response: IncomingMessage,
): Promise<void> {
  const { client, origin } = exchange;
  const given = response.headers['mcp-session-id'];
  const stream: Stream = {
    relay,
    exchange,
    // The answer to initialize is the first to name the session.
    origin: { ...origin, sessionId: origin.sessionId ?? (typeof given === 'string' ? given : undefined) },
    httpStatus: statusOf(response),
    answered: exchange.message?.kind !== 'request',
    resumable: false,
    refusal: Promise.resolve(),
  };
  client.writeHead(stream.httpStatus, {
    'cache-control': 'no-cache',
    ...answerHeaders(response.headers),
    // Exactly this, however the upstream spelled it: a client must not read as JSON what we read as a stream.
    'content-type': 'text/event-stream',
    'x-accel-buffering': 'no',
  });
  client.flushHeaders();
  try {
    await passEvents(stream, response);
  } catch (error) {
    response.destroy();
    const finished = stream.answered || exchange.openEnded;
    if (finished && exchange.signal.aborted && exchange.signal.reason === 'shutdown') {
      exchange.ruling?.settle({ status: 'cancelled', errorType: 'shutdown' });
      client.end();
    } else {
      breakOff(stream, errorCode(error));
    }
    return;
  }
  endOf(stream);
  client.end();
}

async function passEvents(stream: Stream, response: IncomingMessage): Promise<void> {
  const { client, signal } = stream.exchange;
  const splitter = createSseSplitter({ eventBytesMax: stream.relay.limits.answerBytesMax });
  const pass = async (events: readonly SseEvent[]): Promise<void> => {
    for (const event of events) {
      const bytes = await judgeEvent(stream, event);
      if (bytes === undefined) continue;
      // Reading on only when the client has taken what it was sent is what holds a fast upstream back.
      if (!client.write(bytes)) await once(client, 'drain', { signal });
    }
  };
  for await (const chunk of response) await pass(splitter.push(chunk));
  await pass(splitter.end());
}

/** @returns the bytes that the client gets for an event; undefined: none */
async function judgeEvent(stream: Stream, event: SseEvent): Promise<Uint8Array | undefined> {
  if (event.id !== undefined && event.id !== '') stream.resumable = true;
  // A comment, a retry time, or the event that only gives the client an id to resume from.
  if (event.data === undefined || event.data === '') return event.bytes;
  const data = Buffer.from(event.data);
  const read = readAnswer(data, { bytesMax: data.length });
  if (read.kind === 'response') {
    settleResponse(stream, read, data.length);
    return event.bytes;
  }
  if (read.kind === 'message') return (await judgeMessage(stream, read.message)) ? event.bytes : hole(event);
  const { code, details } = read;
  const { relay, origin } = stream;
  relay.gate.reject({ reason: 'parse', code, details, origin, id: null });
  const why = errorText(code, details);
  relay.diagnostics.warn(`server ${origin.server.name}: an event was not passed on: ${why}`);
  return hole(event);
}

/** What stands for an event that is not passed on: its id, so that a client resumes after it and not before. */
function hole(event: SseEvent): Uint8Array | undefined {
  return event.id === undefined ? undefined : Buffer.from(`id: ${event.id}\n\n`);
}

function settleResponse(stream: Stream, read: ReadAnswer & { kind: 'response' }, size: number): void {
  const { exchange, relay, httpStatus } = stream;
  if (read.id === null) return;
  const outcome = { ...read.outcome, size, httpStatus };
  if (exchange.message?.kind === 'request' && exchange.message.id.json === read.id.json) {
    stream.answered = true;
    exchange.ruling?.settle(outcome);
    return;
  }
  // A resumed stream brings the answer to a call whose own stream has ended.
  const held = relay.pending.take(keyOf(stream, 'to_upstream', read.id));
  if (held !== undefined && held !== 'refused') held.settle(outcome);
}

/** Has a server's own request or notification decided. @returns whether the client may see it */
async function judgeMessage(stream: Stream, message: RequestMessage | NotificationMessage): Promise<boolean> {
  const { relay, origin } = stream;
  const ruling = await relay.gate.decide(message, origin, 'to_client');
  const key = message.kind === 'request' ? keyOf(stream, 'to_client', message.id) : undefined;
  if (ruling.forward) {
    if (key !== undefined) relay.pending.hold(key, ruling);
    return true;
  }
  if (key !== undefined) relay.pending.refuse(key);
  const { body } = ruling.answer;
  if (body !== undefined) {
    // One at a time: the stream need not wait for the first, but cannot make us open connections without end.
    await stream.refusal;
    stream.refusal = sendRefusal(stream, body);
  }
  return false;
}

/** Gives the upstream our answer to a request that its client never sees. Never rejects. */
async function sendRefusal({ relay, exchange, origin }: Stream, body: Uint8Array): Promise<void> {
  const { upstream } = exchange;
  const headers = ownHeaders(origin, upstream.headers);
  // The upstream waits for it also when the client has gone.
  const signal = AbortSignal.timeout(REFUSAL_TIMEOUT_MS);
  const sent = await relay.upstreams.send({ upstream, method: 'POST', headers, body, signal });
  if (sent.ok) {
    sent.response.on('error', () => {});
    sent.response.resume();
    return;
  }
  relay.diagnostics.warn(`server ${upstream.name}: a refusal could not be sent: ${sent.code}`);
}

/** A stream that ended in good order, with or without the answer to our request. */
function endOf(stream: Stream): void {
  const { exchange, relay } = stream;
  const { message, ruling } = exchange;
  if (stream.answered || message?.kind !== 'request' || ruling === undefined) return;
  // Servers may close a stream early and let the client poll (MCP 2025-11-25, SEP-1699).
  if (stream.resumable) relay.pending.hold(keyOf(stream, 'to_upstream', message.id), ruling);
  else ruling.settle({ status: 'transport_error', errorType: 'no_answer', httpStatus: stream.httpStatus });
}

function breakOff({ relay, exchange, httpStatus }: Stream, errorType: string): void {
  fail(relay, exchange, { code: 'upstream_broken', detail: errorType, errorType, httpStatus });
}

function keyOf({ origin }: Stream, direction: PendingKey['direction'], id: Id): PendingKey {
  return { direction, server: origin.server.name, sessionId: origin.sessionId, id };
}
