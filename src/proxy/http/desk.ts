/** One HTTP request from its first header to the end of its answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { readAnswer } from '../message/answer-reader.ts';
import { shown } from '../message/strict-json.ts';
import { TRANSPORT_MESSAGES } from '../message/transport.ts';
import { callerKey } from '../caller.ts';
import type { Answer, Forward, Origin, Rejection } from '../gate.ts';
import { checkHeaders } from '../message/header-check.ts';
import { admit, type Admission, type AdmissionOptions } from './admission.ts';
import { readBody } from './body.ts';
import { sendJson, type GiveUp, type Relay } from './exchange.ts';
import { ANSWER_SAFETY, clientTrace, headerValues, namesOtherCharset, upstreamHeaders } from './headers.ts';
import { challenge, metadataOf } from './protected-resource.ts';
import { relayExchange } from './relay.ts';
import { MESSAGE_BYTES_MAX, parseMessage, type Message, type MessageLimits } from '../message/message.ts';

/** What a door and its requests share. */
export interface HttpDesk {
  readonly relay: Relay;
  readonly admission: AdmissionOptions;
  readonly messageLimits: Partial<MessageLimits>;
  /** Requests being served. */
  readonly open: Set<Visit>;
  /** How many of them each caller has, by callerKey. */
  readonly callers: Map<string, number>;
  /** Once set, nothing new is forwarded. */
  closing: boolean;
}

/** One request being served. */
export interface Visit {
  readonly request: IncomingMessage;
  readonly client: ServerResponse;
  /** Aborted with a GiveUp. */
  readonly controller: AbortController;
  /** What is known so far of where it comes from. */
  origin: Partial<Origin>;
  /** Set once the visit counts for its caller. */
  caller: string | undefined;
  /** Whether it has been recorded that the request cannot be read. */
  faulty: boolean;
  /** Set for a stream that has no end of its own. */
  openEnded: boolean;
  /** Set once all of the answer has been handed over to be sent. */
  answered: boolean;
  /** Resolves when the answer is sent, or given up. */
  done: Promise<void>;
}

/** Serves one request. Returns at once; the visit is in `desk.open` until it is done. */
export function serve(desk: HttpDesk, request: IncomingMessage, client: ServerResponse): void {
  const controller = new AbortController();
  const visit: Visit = {
    request,
    client,
    controller,
    origin: { transport: 'tcp', clientAddress: request.socket.remoteAddress },
    caller: undefined,
    faulty: false,
    openEnded: false,
    answered: false,
    done: Promise.resolve(),
  };
  const closed = new Promise<void>((resolve) => {
    client.on('close', () => {
      if (!client.writableFinished) giveUpVisit(visit, 'client_closed');
      resolve();
    });
  });
  // A close follows, which says all there is to say.
  client.on('error', () => {});
  desk.open.add(visit);
  visit.done = attend(desk, visit, closed);
}

/** Ends a visit before its end. */
export function giveUpVisit({ controller, client, answered }: Visit, reason: GiveUp): void {
  controller.abort(reason);
  // Before, whoever is at work on the answer hears the signal.
  if (answered) client.destroy();
}

/** @param closed when the client has been sent all of its answer, or has lost its connection */
async function attend(desk: HttpDesk, visit: Visit, closed: Promise<void>): Promise<void> {
  const { client, controller } = visit;
  try {
    await handle(desk, visit);
  } catch (error) {
    desk.relay.throttle.say('error', 'inside', `an HTTP request failed inside the proxy: ${String(error)}`);
    client.destroy();
  }
  visit.answered = true;
  if (controller.signal.aborted) client.destroy();
  // One that never got its turn on a connection says nothing when it is destroyed.
  if (!client.destroyed) await closed;
  leave(desk, visit);
}

/** @returns false where the caller has its share of requests open already */
function enter({ callers, relay }: HttpDesk, visit: Visit, caller: string): boolean {
  const count = callers.get(caller) ?? 0;
  if (count >= relay.limits.callerExchangesMax) return false;
  callers.set(caller, count + 1);
  visit.caller = caller;
  return true;
}

function leave({ open, callers }: HttpDesk, visit: Visit): void {
  open.delete(visit);
  if (visit.caller === undefined) return;
  const count = (callers.get(visit.caller) ?? 0) - 1;
  if (count > 0) callers.set(visit.caller, count);
  else callers.delete(visit.caller);
}

async function handle(desk: HttpDesk, visit: Visit): Promise<void> {
  const { request, client } = visit;
  for (const [name, value] of Object.entries(ANSWER_SAFETY)) client.setHeader(name, value);
  if (desk.closing) client.setHeader('connection', 'close');
  const { exchangesMax, callerExchangesMax } = desk.relay.limits;
  if (desk.open.size > exchangesMax) {
    const { origin } = visit;
    refuse(desk, visit, { reason: 'limit', code: 'busy', details: { max: exchangesMax }, origin, id: null });
    return;
  }
  const admission = await admit(request, desk.admission);
  if (admission.kind === 'refused') {
    if (admission.rejection.reason !== 'origin_refused') allowPage(visit);
    refuse(desk, visit, admission.rejection);
    return;
  }
  allowPage(visit);
  if (admission.kind === 'preflight') {
    answerPreflight(visit);
    return;
  }
  if (admission.kind === 'metadata') {
    client.setHeader('cache-control', `max-age=${METADATA_SECONDS}`);
    sendJson(client, { httpStatus: 200, body: metadataOf(admission.resources, admission.server) });
    return;
  }
  const { method, origin } = admission;
  visit.origin = origin;
  const caller = callerKey(origin);
  if (!enter(desk, visit, caller)) {
    const details = { max: callerExchangesMax };
    refuse(desk, visit, { reason: 'limit', code: 'caller_busy', details, origin, id: null });
  } else if (!isOwnSession(desk, origin, caller)) {
    refuse(desk, visit, {
      reason: 'identity_invalid',
      code: 'session_foreign',
      details: {},
      origin,
      id: null,
    });
  } else if (method === 'POST') {
    await servePost(desk, visit, admission);
  } else {
    await serveOther(desk, visit, { ...admission, method });
  }
}

function isOwnSession({ relay }: HttpDesk, { server, sessionId }: Origin, caller: string): boolean {
  return sessionId === undefined || relay.sessions.admits(server.name, sessionId, caller);
}

type Admitted = Admission & { readonly kind: 'admitted' };

async function servePost(desk: HttpDesk, visit: Visit, admitted: Admitted): Promise<void> {
  const { upstream, origin } = admitted;
  const { request } = visit;
  const read = await readMessage(desk, request);
  if (read === undefined) {
    // The client went before its message was whole: there is nothing to decide, and nobody to tell.
    recordHalf(desk, visit);
    visit.client.destroy();
    return;
  }
  if (!read.ok) {
    refuse(desk, visit, { reason: 'parse', ...read.refusal, origin, direction: 'to_upstream' });
    return;
  }
  const { message } = read;
  if (desk.closing) {
    const id = message.kind === 'request' ? message.id : null;
    refuse(desk, visit, { reason: 'shutdown', code: 'shutdown', details: {}, origin, id });
    return;
  }
  if (message.kind === 'response') {
    // As a server would that has no use for it: the client must not take it for an error of its own.
    if (!settleResponse(desk, origin, message)) sendJson(visit.client, { httpStatus: 202, body: undefined });
    else await forward(desk, visit, { ...admitted, message, ruling: undefined });
    return;
  }
  visit.openEnded = message.method === 'subscriptions/listen';
  const ruling = await desk.relay.gate.decide(message, origin, 'to_upstream');
  // Where the client has gone in the meantime, the aborted signal keeps the request from being sent.
  if (!ruling.forward) sendAnswer(visit, ruling.answer);
  else await forward(desk, visit, { upstream, origin, method: 'POST', message, ruling });
}

function recordHalf({ relay, closing }: HttpDesk, visit: Visit): void {
  if (visit.faulty) return;
  visit.faulty = true;
  const { origin } = visit;
  const details = { detail: 'its body ended too early' };
  relay.gate.reject(
    closing
      ? { reason: 'shutdown', code: 'shutdown', details: {}, origin, id: null }
      : { reason: 'parse', code: 'http_malformed', details, origin, id: null },
  );
}

type Bodiless = Admitted & { readonly method: 'GET' | 'DELETE' };

/** GET opens a stream of the session, DELETE ends the session. */
async function serveOther(desk: HttpDesk, visit: Visit, admitted: Bodiless): Promise<void> {
  const { origin, method } = admitted;
  if (desk.closing) {
    refuse(desk, visit, { reason: 'shutdown', code: 'shutdown', details: {}, origin, id: null });
    return;
  }
  visit.openEnded = method === 'GET';
  const ruling = await desk.relay.gate.decide(TRANSPORT_MESSAGES[method], origin, 'to_upstream');
  if (ruling.forward) {
    await forward(desk, visit, { ...admitted, message: undefined, ruling });
    return;
  }
  if (ruling.answer.httpStatus === 405) {
    const others = METHODS.split(', ').filter((other) => other !== method);
    visit.client.setHeader('allow', others.join(', '));
  }
  sendAnswer(visit, ruling.answer);
}

interface Passed extends Pick<Admitted, 'upstream' | 'origin' | 'method'> {
  readonly message: Message | undefined;
  readonly ruling: Forward | undefined;
}

async function forward(desk: HttpDesk, visit: Visit, passed: Passed): Promise<void> {
  const { rawHeaders } = visit.request;
  const { upstream, origin, method, message, ruling } = passed;
  const trace = ruling?.trace ?? clientTrace(rawHeaders);
  await relayExchange(desk.relay, {
    upstream,
    origin,
    method,
    message,
    ruling,
    headers: upstreamHeaders(rawHeaders, upstream.headers, trace),
    client: visit.client,
    openEnded: visit.openEnded,
    signal: visit.controller.signal,
  });
}

type Read =
  | { readonly ok: true; readonly message: Message }
  | { readonly ok: false; readonly refusal: Pick<Rejection, 'code' | 'details' | 'id' | 'message'> };

/**
 * Every body is read as a message, whatever its Content-Type says: upstreams differ in what they make of that
 * field. Undefined where the body did not come to its end.
 */
async function readMessage(desk: HttpDesk, request: IncomingMessage): Promise<Read | undefined> {
  const refused = (refusal: Pick<Rejection, 'code' | 'details'>): Read => ({
    ok: false,
    refusal: { ...refusal, id: null },
  });
  const [coding = 'identity'] = headerValues(request.rawHeaders, 'content-encoding');
  if (coding.toLowerCase() !== 'identity') {
    return refused({
      code: 'parse_json',
      details: { detail: 'the body is compressed, which is not accepted' },
    });
  }
  const [type = ''] = headerValues(request.rawHeaders, 'content-type');
  if (namesOtherCharset(type)) return refused({ code: 'content_type', details: { value: shown(type) } });
  const max = Math.min(desk.messageLimits.bytesMax ?? MESSAGE_BYTES_MAX.default, MESSAGE_BYTES_MAX.maximum);
  const body = await readBody(request, max);
  if (!body.ok) return body.why === 'size' ? refused({ code: 'parse_size', details: { max } }) : undefined;
  const parsed = parseMessage(body.bytes, desk.messageLimits);
  if (!parsed.ok) return { ok: false, refusal: parsed };
  const { message } = parsed;
  const check = checkHeaders(request.rawHeaders, message);
  if (check.ok) return { ok: true, message };
  const id = message.kind === 'request' ? message.id : null;
  const glimpse = message.kind === 'response' ? undefined : message;
  if (check.why === 'mismatch') {
    const details = { header: check.header };
    return { ok: false, refusal: { code: 'header_mismatch', details, id, message: glimpse } };
  }
  // MCP 2026-07-28, basic: a request without its envelope has invalid params.
  const detail = `_meta must hold the version that the header ${check.header} names`;
  const details = { method: shown(glimpse?.method ?? ''), detail };
  return { ok: false, refusal: { code: 'parse_params', details, id, message: glimpse } };
}

/**
 * Records what the client answered to a request of the upstream's, which came to it on a stream. One that answers
 * nothing we know of is dropped and recorded: it could stand for an answer to what policy has refused. That goes
 * for a second answer too, and for one to a request from before we were started.
 * @returns whether it may go on
 */
function settleResponse(
  { relay }: HttpDesk,
  origin: Origin,
  { id, bytes }: Message & { kind: 'response' },
): boolean {
  const { server, sessionId } = origin;
  const key = { direction: 'to_client', server: server.name, caller: callerKey(origin), sessionId } as const;
  const held = id === null ? undefined : relay.pending.take({ ...key, id });
  if (held === undefined) {
    const details = { id: id === null ? 'null' : shown(id.json) };
    const direction = 'to_upstream';
    relay.gate.reject({ reason: 'parse', code: 'response_unasked', details, origin, id, direction });
    return false;
  }
  const read = readAnswer(bytes);
  const outcome = read.kind === 'response' ? read.outcome : { status: 'unknown' as const };
  held.settle({ ...outcome, size: bytes.length });
  return true;
}

/** How long clients may keep what RFC 9728 tells them. */
const METADATA_SECONDS = 300;

/** When it is worth asking again for what could not be checked. */
const RETRY_SECONDS = 5;

/** Value of an Allow header. */
export const METHODS = 'POST, GET, DELETE';

function refuse(desk: HttpDesk, visit: Visit, rejection: Rejection): void {
  const answer = desk.relay.gate.reject(rejection);
  const { client, request } = visit;
  const [host] = headerValues(request.rawHeaders, 'host');
  const server = rejection.origin.server?.name;
  const challenged = challenge(rejection.code, {
    resources: desk.admission.resources,
    server,
    host,
    secure: desk.admission.guard.secure ?? false,
  });
  if (challenged !== undefined) client.setHeader('www-authenticate', challenged);
  if (rejection.code === 'identity_unavailable') client.setHeader('retry-after', RETRY_SECONDS);
  if (rejection.code === 'http_method') client.setHeader('allow', METHODS);
  if (rejection.code === 'parse_size') sendEarly(visit, answer);
  else sendAnswer(visit, answer);
}

/**
 * Answers while the body is still coming in. Ended at once, the answer could get lost: a connection that is closed
 * with unread data is reset, and a reset discards what the client has not read yet.
 */
function sendEarly({ request, client }: Visit, { httpStatus, body = new Uint8Array() }: Answer): void {
  client.writeHead(httpStatus, { 'content-type': 'application/json', 'content-length': body.length });
  client.write(body);
  if (request.complete) client.end();
  else request.once('close', () => client.end());
}

/** A JSON-RPC error in a 200 reaches whoever waits for a response; only who POSTs does. */
function sendAnswer({ request, client }: Visit, { httpStatus, body }: Answer): void {
  const reads = request.method === 'POST' || httpStatus >= 400;
  sendJson(client, { httpStatus: reads ? httpStatus : 503, body });
}

/** Lets the page whose origin has passed the guard read the answer (Fetch, CORS protocol). */
function allowPage({ request, client }: Visit): void {
  const [origin] = headerValues(request.rawHeaders, 'origin');
  if (origin === undefined) return;
  client.setHeader('access-control-allow-origin', origin);
  client.setHeader('access-control-expose-headers', 'mcp-session-id, mcp-protocol-version, www-authenticate');
  client.setHeader('vary', 'Origin');
}

const PREFLIGHT_SECONDS = 600;

const PAGE_HEADER =
  /^(mcp-[a-z0-9-]+|accept|authorization|content-type|last-event-id|traceparent|tracestate)$/;

function answerPreflight({ request, client }: Visit): void {
  const wanted = headerValues(request.rawHeaders, 'access-control-request-headers').join(',').split(',');
  const names = wanted.map((name) => name.trim().toLowerCase()).filter((name) => PAGE_HEADER.test(name));
  client.writeHead(204, {
    'access-control-allow-methods': METHODS,
    'access-control-allow-headers': names.join(', '),
    'access-control-max-age': String(PREFLIGHT_SECONDS),
  });
  client.end();
}
