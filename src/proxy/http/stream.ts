/** An upstream's event stream on its way to the client: event by event, each looked into, none held back. */
import { once } from 'node:events';
import { errorText } from '../../errors.ts';
import { errorAnswer } from '../message/answer.ts';
import { readAnswer, type ReadAnswer } from '../message/answer-reader.ts';
import { callerKey } from '../caller.ts';
import type { Forward, Origin, Rejection } from '../gate.ts';
import { admitResponse } from '../inputs.ts';
import { cancelUpstream, fail, givenUp, isGivenUpByUs, isLeftByClient, lastWord } from './exchange.ts';
import type { Exchange, Relay } from './exchange.ts';
import { answerHeaders, ownHeaders } from './headers.ts';
import { ACKNOWLEDGED, acknowledgedLists, type ListName } from '../lists/changes.ts';
import { bindTask } from './tasks.ts';
import { errorCode, statusOf, type UpstreamAnswer } from './upstream.ts';
import type { Id, NotificationMessage, RequestMessage } from '../message/message.ts';
import { takenBack, type PendingKey } from '../pending.ts';
import { frameEvent, isAmbiguous } from '../message/sse-frame.ts';
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
  /** What the upstream has asked outside of a session: only while the stream is open can it be told from the rest. */
  readonly asked: Map<PendingKey, Forward>;
  /** The lists whose changes the client has subscribed to, once the upstream has said so. */
  subscribed: ReadonlySet<ListName>;
  /** The last refusal that we sent to the upstream; the next one waits for it. */
  refusal: Promise<void>;
}

/** Passes a stream on until it ends. Never rejects. */
export async function relayStream(relay: Relay, exchange: Exchange, response: UpstreamAnswer): Promise<void> {
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
    asked: new Map(),
    subscribed: new Set(),
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
  const leave = joinBulletin(stream);
  try {
    await passEvents(stream, response, leave);
  } catch (error) {
    response.destroy();
    endEarly(stream, error);
    return;
  } finally {
    leave();
    for (const [key, ruling] of stream.asked) relay.pending.forget(key, ruling);
  }
  endOf(stream);
  client.end();
}

/** A stream that did not come to its end. */
function endEarly(stream: Stream, error: unknown): void {
  const { relay, exchange, answered } = stream;
  const { client, signal, ruling } = exchange;
  const word = answered ? undefined : lastWord(relay, exchange);
  const finished = answered || exchange.openEnded || word !== undefined;
  if (finished && isGivenUpByUs(signal)) {
    ruling?.settle(givenUp(signal));
    cancelUpstream(relay, exchange);
    if (word !== undefined) client.write(ownEvent(word) ?? '');
    client.end();
  } else if (!isLeftByClient(signal) || !leaveOpen(stream)) {
    breakOff(stream, errorCode(error));
  }
}

/** @returns ends it */
function joinBulletin(stream: Stream): () => void {
  const { relay, exchange, origin, httpStatus } = stream;
  const { client, message, method } = exchange;
  const { name: server } = origin.server;
  if (httpStatus !== 200) return () => {};
  if (method === 'GET') {
    const { sessionId } = origin;
    const session =
      sessionId === undefined ? undefined : JSON.stringify([server, callerKey(origin), sessionId]);
    return relay.bulletin.open({ server, session, subscription: undefined, client });
  }
  if (message?.kind !== 'request' || message.method !== 'subscriptions/listen') return () => {};
  const subscription = { id: message.id, lists: () => stream.subscribed };
  return relay.bulletin.open({ server, session: undefined, subscription, client });
}

/** @param last called before what may be no whole event */
async function passEvents(stream: Stream, response: UpstreamAnswer, last: () => void): Promise<void> {
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
  last();
  await pass(splitter.end());
}

/** @returns the bytes that the client gets for an event; undefined: none */
async function judgeEvent(stream: Stream, event: SseEvent): Promise<Uint8Array | undefined> {
  if (event.id !== undefined && event.id !== '') stream.resumable = true;
  // A comment, a retry time, or the event that only gives the client an id to resume from; servers on 1.x of the
  // TypeScript SDK replay the latter as an empty object, which is no message to any reader.
  if (event.data === undefined || event.data === '' || event.data === '{}') return frameEvent(event);
  const data = Buffer.from(event.data);
  const read = readAnswer(data, { bytesMax: data.length });
  if (read.kind === 'refused') return drop(stream, event, read);
  if (isAmbiguous(event.data)) return dropAmbiguous(stream, event, read);
  if (read.kind === 'message') {
    return (await judgeMessage(stream, read.message)) ? frameEvent(event) : hole(event);
  }
  return await judgeResponse(stream, event, read, data);
}

/** Records an event that is not passed on. */
function drop(
  { relay, origin }: Stream,
  event: SseEvent,
  { code, details, message }: Pick<Rejection, 'code' | 'details' | 'message'>,
): Uint8Array | undefined {
  relay.gate.reject({ reason: 'parse', code, details, origin, id: null, message, direction: 'to_client' });
  const where = `server ${origin.server.name}: an event was not passed on`;
  relay.throttle.say('warn', where, `${where}: ${errorText(code, details)}`);
  return hole(event);
}

function dropAmbiguous(stream: Stream, event: SseEvent, read: Read): Uint8Array | undefined {
  const refusal = { code: 'event_ambiguous', details: {} } as const;
  if (read.kind === 'message') return drop(stream, event, { ...refusal, message: read.message });
  return dropResponse(stream, event, { id: read.id, ruling: takeRuling(stream, read.id) }, refusal);
}

/** Leaves out a response. Whoever waits for it is told, since no other will come. */
function dropResponse(
  stream: Stream,
  event: SseEvent,
  { id, ruling }: Answered,
  { code, details }: Pick<Rejection, 'code' | 'details'>,
): Uint8Array | undefined {
  const left = drop(stream, event, { code, details });
  if (ruling === undefined) return left;
  const { httpStatus, origin } = stream;
  ruling.settle({ status: 'transport_error', errorType: code, httpStatus });
  const told = { server: origin.server.name, detail: errorText(code, details) };
  const data = Buffer.from(errorAnswer(id, 'upstream_broken', told)).toString();
  return frameEvent({ ...event, data });
}

/** A message of our own. */
function ownEvent(message: Uint8Array): Uint8Array | undefined {
  return frameEvent({ data: Buffer.from(message).toString(), event: 'message', filled: true, ended: true });
}

/** What stands for an event that is not passed on: its id, so that a client resumes after it and not before. */
function hole({ id, retry, ended }: SseEvent): Uint8Array | undefined {
  return frameEvent({ data: undefined, id, retry, ended, filled: false });
}

type Read = Exclude<ReadAnswer, { kind: 'refused' }>;

/** A response, and the request that it answers. */
interface Answered {
  readonly id: Id | null;
  /** undefined where nobody knows of one. */
  readonly ruling: Forward | undefined;
}

/** What the gate said of the request with that id: the one that the stream answers, or one whose own stream has ended. */
function takeRuling(stream: Stream, id: Id | null): Forward | undefined {
  const { exchange, relay } = stream;
  if (id === null) return undefined;
  if (exchange.message?.kind !== 'request' || exchange.message.id.json !== id.json) {
    return relay.pending.take(keyOf(stream, 'to_upstream', id));
  }
  stream.answered = true;
  return exchange.ruling;
}

async function judgeResponse(
  stream: Stream,
  event: SseEvent,
  read: ReadAnswer & { kind: 'response' },
  data: Uint8Array,
): Promise<Uint8Array | undefined> {
  const { relay, origin, httpStatus } = stream;
  const { id, outcome } = read;
  const ruling = takeRuling(stream, id);
  const shown = await admitResponse(relay.gate, { ...read, bytes: data, asked: ruling?.asked }, origin);
  if (!shown.ok) return dropResponse(stream, event, { id, ruling }, shown);
  bindTask(relay.tasks, origin, { ...read, asked: ruling?.asked, caller: callerKey(origin) });
  relay.bulletin.learn(origin.server.name, shown.lists);
  const cancelled = id !== null && relay.pending.takeCancelled(keyOf(stream, 'to_upstream', id));
  const became = { ...outcome, size: data.length, httpStatus };
  ruling?.settle(cancelled ? takenBack(became) : became);
  if (shown.bytes === data) return frameEvent(event);
  return frameEvent({ ...event, data: Buffer.from(shown.bytes).toString() });
}

/** Has a server's own request or notification decided. @returns whether the client may see it */
async function judgeMessage(stream: Stream, message: RequestMessage | NotificationMessage): Promise<boolean> {
  const { relay, origin } = stream;
  const ruling = await relay.gate.decide(message, origin, 'to_client');
  if (ruling.forward) {
    if (message.method === ACKNOWLEDGED) stream.subscribed = acknowledgedLists(message.params);
    if (message.kind === 'request') awaitAnswer(stream, message.id, ruling);
    return true;
  }
  const { body } = ruling.answer;
  if (body !== undefined) {
    // One at a time: the stream need not wait for the first, but cannot make us open connections without end.
    await stream.refusal;
    stream.refusal = sendRefusal(stream, body);
  }
  return false;
}

function awaitAnswer(stream: Stream, id: Id, ruling: Forward): void {
  const key = keyOf(stream, 'to_client', id);
  stream.relay.pending.hold(key, ruling, stream.origin);
  if (key.sessionId === undefined) stream.asked.set(key, ruling);
}

/** Gives the upstream our answer to a request that its client never sees. Never rejects. */
async function sendRefusal({ relay, exchange, origin }: Stream, body: Uint8Array): Promise<void> {
  const { upstream } = exchange;
  const headers = ownHeaders(origin, upstream.headers);
  // The upstream waits for it also when the client has gone.
  const signal = AbortSignal.timeout(REFUSAL_TIMEOUT_MS);
  const sent = await relay.upstreams.send({ upstream, method: 'POST', headers, body, origin, signal });
  if (sent.ok) {
    sent.response.on('error', () => {});
    sent.response.resume();
    return;
  }
  const where = `server ${upstream.name}: a refusal could not be sent`;
  relay.throttle.say('warn', where, `${where}: ${sent.code}`);
}

/** A stream that ended in good order, with or without the answer to our request. */
function endOf(stream: Stream): void {
  const { message, ruling } = stream.exchange;
  if (stream.answered || message?.kind !== 'request' || ruling === undefined) return;
  // Servers may close a stream early and let the client poll (MCP 2025-11-25, SEP-1699).
  if (leaveOpen(stream)) return;
  const { relay, resumable, httpStatus } = stream;
  if (relay.pending.takeCancelled(keyOf(stream, 'to_upstream', message.id)))
    ruling.settle({ status: 'cancelled', httpStatus });
  else
    ruling.settle({ status: resumable ? 'unknown' : 'transport_error', errorType: 'no_answer', httpStatus });
}

/**
 * Keeps what the gate said of the stream's request, where the answer may still come on another stream: the connection
 * of a resumable one may close at any time, and that is no cancellation (MCP 2025-11-25, transports).
 * @returns whether it may
 */
function leaveOpen(stream: Stream): boolean {
  const { exchange, relay, answered, resumable } = stream;
  const { message, ruling } = exchange;
  if (answered || !resumable || message?.kind !== 'request' || ruling === undefined) return false;
  const key = keyOf(stream, 'to_upstream', message.id);
  // Clients number their calls from one: without a session the answer on another stream could be anybody's.
  if (key.sessionId === undefined) return false;
  relay.pending.hold(key, ruling, stream.origin);
  return true;
}

function breakOff(stream: Stream, errorType: string): void {
  const { relay, exchange, httpStatus } = stream;
  const { message, ruling } = exchange;
  const taken =
    message?.kind === 'request' && relay.pending.takeCancelled(keyOf(stream, 'to_upstream', message.id));
  if (taken) ruling?.settle({ status: 'cancelled', httpStatus });
  fail(relay, exchange, { code: 'upstream_broken', detail: errorType, errorType, httpStatus });
}

function keyOf({ origin }: Stream, direction: PendingKey['direction'], id: Id): PendingKey {
  const { server, sessionId } = origin;
  return { direction, server: server.name, caller: callerKey(origin), sessionId, id };
}
