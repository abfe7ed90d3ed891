/** One HTTP request from its first header to the end of its answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { readAnswer } from '../message/answer-reader.ts';
import { shown } from '../message/strict-json.ts';
import { TRANSPORT_MESSAGES } from '../message/transport.ts';
import { killDetails } from '../../policy/kills.ts';
import { callerKey } from '../caller.ts';
import { namesOwnTasks } from './tasks.ts';
import type { Forward, Origin } from '../gate.ts';
import { admit, type Admission } from './admission.ts';
import { isDistrusted } from './client-certificate.ts';
import { sendJson } from './exchange.ts';
import { ANSWER_SAFETY, clientTrace, upstreamHeaders } from './headers.ts';
import { metadataOf } from './protected-resource.ts';
import { readMessage } from './read-message.ts';
import { relayExchange } from './relay.ts';
import { allowPage, answerPreflight, METHODS, refuse, sendAnswer } from './reply.ts';
import { giveUpVisit, type HttpDesk, type Visit } from './visit.ts';
import type { Message } from '../message/message.ts';

/** Serves one request. Returns at once; the visit is in `desk.open` until it is done. */
export function serve(desk: HttpDesk, request: IncomingMessage, client: ServerResponse): void {
  const controller = new AbortController();
  const visit: Visit = {
    request,
    client,
    controller,
    terms: desk.terms(),
    origin: { transport: 'tcp', clientAddress: request.socket.remoteAddress },
    upstream: undefined,
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
  // What was said at last is still on its way.
  if (controller.signal.aborted && !client.writableEnded) client.destroy();
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
  if (isDistrusted(visit.request.socket)) visit.request.socket.end();
  if (visit.caller === undefined) return;
  const count = (callers.get(visit.caller) ?? 0) - 1;
  if (count > 0) callers.set(visit.caller, count);
  else callers.delete(visit.caller);
}

async function handle(desk: HttpDesk, visit: Visit): Promise<void> {
  const { client, request } = visit;
  for (const [name, value] of Object.entries(ANSWER_SAFETY)) client.setHeader(name, value);
  if (desk.closing || isDistrusted(request.socket)) client.setHeader('connection', 'close');
  const { exchangesMax, callerExchangesMax } = desk.relay.limits;
  if (desk.open.size > exchangesMax) {
    const { origin } = visit;
    refuse(desk, visit, { reason: 'limit', code: 'busy', details: { max: exchangesMax }, origin, id: null });
    return;
  }
  const admission = await admitNow(desk, visit);
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
  visit.upstream = admission.upstream;
  const caller = callerKey(origin);
  if (!enter(desk, visit, caller)) {
    const details = { max: callerExchangesMax };
    refuse(desk, visit, { reason: 'limit', code: 'caller_busy', details, origin, id: null });
  } else if (!isOwnSession(desk, origin)) {
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

/** Admits by what is in force when that is done: credentials may take a while to check. */
export async function admitNow(desk: HttpDesk, visit: Visit): Promise<Admission> {
  let admission: Admission;
  do {
    visit.terms = desk.terms();
    admission = await admit(visit.request, visit.terms.admission);
  } while (visit.terms !== desk.terms());
  return admission;
}

/**
 * The same once more, for a request whose body came while something else came into force. Decided by the identity of
 * one version and the policy of the next, its record would be true of neither.
 * @returns undefined where it has been refused
 */
async function admitAgain(desk: HttpDesk, visit: Visit): Promise<Admitted | undefined> {
  const admission = await admitNow(desk, visit);
  if (admission.kind === 'admitted' && isOwnSession(desk, admission.origin)) {
    visit.origin = admission.origin;
    visit.upstream = admission.upstream;
    return admission;
  }
  const { origin } = visit;
  refuse(
    desk,
    visit,
    admission.kind === 'refused'
      ? admission.rejection
      : { reason: 'identity_invalid', code: 'session_foreign', details: {}, origin, id: null },
  );
  return undefined;
}

function isOwnSession({ relay }: HttpDesk, origin: Origin): boolean {
  const { server, sessionId } = origin;
  return sessionId === undefined || relay.sessions.admits(server.name, sessionId, callerKey(origin));
}

type Admitted = Admission & { readonly kind: 'admitted' };

async function servePost(desk: HttpDesk, visit: Visit, first: Admitted): Promise<void> {
  const read = await readMessage(visit.request, visit.terms.messageLimits);
  if (read === undefined) {
    // The client went before its message was whole: there is nothing to decide, and nobody to tell.
    recordHalf(desk, visit);
    visit.client.destroy();
    return;
  }
  let admitted = first;
  // From here to the decision nothing is waited for, so that nothing can come in between.
  while (visit.terms !== desk.terms()) {
    const again = await admitAgain(desk, visit);
    if (again === undefined) return;
    admitted = again;
  }
  const { upstream, origin } = admitted;
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
    const kill = desk.relay.gate.killSwitch?.killOf(origin);
    if (kill !== undefined) {
      const details = killDetails(kill);
      refuse(desk, visit, {
        reason: 'killed',
        code: 'killed',
        details,
        origin,
        id: message.id,
        direction: 'to_upstream',
      });
      return;
    }
    // As a server would that has no use for it: the client must not take it for an error of its own.
    if (!settleResponse(desk, origin, message)) sendJson(visit.client, { httpStatus: 202, body: undefined });
    else await forward(desk, visit, { ...admitted, message, ruling: undefined });
    return;
  }
  if (!namesOwnTasks(desk.relay.tasks, message, origin)) {
    const id = message.kind === 'request' ? message.id : null;
    const foreign = {
      reason: 'identity_invalid',
      code: 'task_foreign',
      details: {},
      origin,
      id,
      message,
    } as const;
    refuse(desk, visit, { ...foreign, direction: 'to_upstream' });
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
