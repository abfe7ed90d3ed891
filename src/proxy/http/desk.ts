/** One HTTP request from its first header to the end of its answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { readAnswer } from '../message/answer-reader.ts';
import type { Answer, Forward, Origin, Rejection } from '../gate.ts';
import { checkHeaders } from '../message/header-check.ts';
import { admit, type Admission, type AdmissionOptions } from './admission.ts';
import { readBody } from './body.ts';
import { sendJson, type GiveUp, type Relay } from './exchange.ts';
import { ANSWER_SAFETY, clientTrace, headerValues, upstreamHeaders } from './headers.ts';
import { relayExchange } from './relay.ts';
import { MESSAGE_BYTES_MAX, parseMessage, type Message, type MessageLimits } from '../message/message.ts';

/** What a door and its requests share. */
export interface HttpDesk {
  readonly relay: Relay;
  readonly admission: AdmissionOptions;
  readonly messageLimits: Partial<MessageLimits>;
  /** Requests being served. */
  readonly open: Set<Visit>;
  /** Once set, nothing new is forwarded. */
  closing: boolean;
}

/** One request being served. */
export interface Visit {
  readonly request: IncomingMessage;
  readonly client: ServerResponse;
  /** Aborted with a GiveUp. */
  readonly controller: AbortController;
  /** Set for a stream that has no end of its own. */
  openEnded: boolean;
  /** Resolves when the answer is sent, or given up. */
  done: Promise<void>;
}

/** Serves one request. Returns at once; the visit is in `desk.open` until it is done. */
export function serve(desk: HttpDesk, request: IncomingMessage, client: ServerResponse): void {
  const controller = new AbortController();
  const visit: Visit = { request, client, controller, openEnded: false, done: Promise.resolve() };
  const gone: GiveUp = 'client_closed';
  client.on('close', () => {
    if (!client.writableFinished) controller.abort(gone);
  });
  // A close follows, which says all there is to say.
  client.on('error', () => {});
  desk.open.add(visit);
  visit.done = handle(desk, visit)
    .catch((error: unknown) => {
      desk.relay.diagnostics.error(`an HTTP request failed inside the proxy: ${String(error)}`);
      client.destroy();
    })
    .then(() => taken(visit))
    .finally(() => desk.open.delete(visit));
}

/** Resolves when the client has been sent all of its answer, or has lost its connection. */
function taken({ client, controller }: Visit): Promise<void> {
  const { signal } = controller;
  return new Promise((resolve) => {
    if (signal.aborted) client.destroy();
    if (client.writableFinished || client.destroyed) {
      resolve();
      return;
    }
    signal.addEventListener('abort', () => client.destroy());
    client.once('finish', resolve);
    client.once('close', resolve);
  });
}

async function handle(desk: HttpDesk, visit: Visit): Promise<void> {
  const { request, client } = visit;
  for (const [name, value] of Object.entries(ANSWER_SAFETY)) client.setHeader(name, value);
  if (desk.closing) client.setHeader('connection', 'close');
  const { exchangesMax } = desk.relay.limits;
  if (desk.open.size > exchangesMax) {
    const origin = { transport: 'tcp', clientAddress: request.socket.remoteAddress } as const;
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
  if (admission.kind === 'preflight') answerPreflight(visit);
  else if (admission.method === 'POST') await servePost(desk, visit, admission);
  else await serveOther(desk, visit, admission);
}

type Admitted = Admission & { readonly kind: 'admitted' };

async function servePost(desk: HttpDesk, visit: Visit, admitted: Admitted): Promise<void> {
  const { upstream, origin } = admitted;
  const { request } = visit;
  const read = await readMessage(desk, request);
  if (read === undefined) {
    // The client went before its message was whole: there is nothing to decide, and nobody to tell.
    visit.client.destroy();
    return;
  }
  if (!read.ok) {
    refuse(desk, visit, { reason: 'parse', ...read.refusal, origin });
    return;
  }
  const { message } = read;
  if (desk.closing) {
    const id = message.kind === 'request' ? message.id : null;
    refuse(desk, visit, { reason: 'shutdown', code: 'shutdown', details: {}, origin, id });
    return;
  }
  if (message.kind === 'response') {
    // We have answered this one ourselves; the upstream must not hear a second opinion.
    if (settleResponse(desk, origin, message) === 'refused')
      sendJson(visit.client, { httpStatus: 202, body: undefined });
    else await forward(desk, visit, { ...admitted, message, ruling: undefined });
    return;
  }
  visit.openEnded = message.method === 'subscriptions/listen';
  const ruling = await desk.relay.gate.decide(message, origin, 'to_upstream');
  // Where the client has gone in the meantime, the aborted signal keeps the request from being sent.
  if (!ruling.forward) sendAnswer(visit, ruling.answer);
  else await forward(desk, visit, { upstream, origin, method: 'POST', message, ruling });
}

/** GET opens a stream of the session, DELETE ends the session. Neither holds a message that could be decided. */
async function serveOther(desk: HttpDesk, visit: Visit, admitted: Admitted): Promise<void> {
  const { origin, method } = admitted;
  if (desk.closing) {
    refuse(desk, visit, { reason: 'shutdown', code: 'shutdown', details: {}, origin, id: null });
    return;
  }
  visit.openEnded = method === 'GET';
  await forward(desk, visit, { ...admitted, message: undefined, ruling: undefined });
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
  | { readonly ok: false; readonly refusal: Pick<Rejection, 'code' | 'details' | 'id'> };

/**
 * Every body is read as a message, whatever its Content-Type says: upstreams differ in what they make of that
 * field. Undefined where the body did not come to its end.
 */
async function readMessage(desk: HttpDesk, request: IncomingMessage): Promise<Read | undefined> {
  const refused = (refusal: Pick<Rejection, 'code' | 'details'>): Read => ({
    ok: false,
    refusal: { ...refusal, id: null },
  });
  const coding = request.headers['content-encoding'] ?? 'identity';
  if (coding.toLowerCase() !== 'identity') {
    return refused({
      code: 'parse_json',
      details: { detail: 'the body is compressed, which is not accepted' },
    });
  }
  const max = Math.min(desk.messageLimits.bytesMax ?? MESSAGE_BYTES_MAX.default, MESSAGE_BYTES_MAX.maximum);
  const body = await readBody(request, max);
  if (!body.ok) return body.why === 'size' ? refused({ code: 'parse_size', details: { max } }) : undefined;
  const parsed = parseMessage(body.bytes, desk.messageLimits);
  if (!parsed.ok) return { ok: false, refusal: parsed };
  const { message } = parsed;
  const check = checkHeaders(request.rawHeaders, message);
  if (check.ok) return { ok: true, message };
  const id = message.kind === 'request' ? message.id : null;
  return { ok: false, refusal: { code: 'header_mismatch', details: { header: check.header }, id } };
}

/** Records what the client answered to a request of the upstream's, which came to it on a stream. */
function settleResponse(
  desk: HttpDesk,
  { server, sessionId }: Origin,
  { id, bytes }: Message & { kind: 'response' },
): 'refused' | 'open' {
  if (id === null) return 'open';
  const held = desk.relay.pending.take({ direction: 'to_client', server: server.name, sessionId, id });
  if (held === 'refused') return 'refused';
  const read = readAnswer(bytes);
  const outcome = read.kind === 'response' ? read.outcome : { status: 'unknown' as const };
  held?.settle({ ...outcome, size: bytes.length });
  // One that we know nothing of passes: we may have been started again since it was asked.
  return 'open';
}

const METHODS = 'POST, GET, DELETE';

function refuse(desk: HttpDesk, visit: Visit, rejection: Rejection): void {
  const answer = desk.relay.gate.reject(rejection);
  const { client } = visit;
  // RFC 6750, section 3: no error code where no credentials were sent.
  if (rejection.code === 'identity_missing') client.setHeader('www-authenticate', 'Bearer');
  if (rejection.code === 'identity_invalid')
    client.setHeader('www-authenticate', 'Bearer error="invalid_token"');
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
