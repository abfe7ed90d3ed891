/** One request of a client on its way to an upstream and back, and all the ways in which that can end early. */
import type { ServerResponse } from 'node:http';
import { errorRow, type ErrorCode, type ErrorDetails } from '../../errors.ts';
import type { Throttle } from '../../telemetry/throttle.ts';
import { cancellation, errorAnswer } from '../message/answer.ts';
import { killDetails, type Kill } from '../../policy/kills.ts';
import type { Forward, Gate, Origin, Outcome } from '../gate.ts';
import type { Bulletin } from './bulletin.ts';
import { ownHeaders } from './headers.ts';
import type { HttpLimits } from './limits.ts';
import type { Upstream, UpstreamClient } from './upstream.ts';
import type { Id, Message } from '../message/message.ts';
import type { Pending } from '../pending.ts';
import type { Sessions } from './sessions.ts';

/** What all exchanges of a door share. */
export interface Relay {
  readonly gate: Gate;
  readonly upstreams: UpstreamClient;
  readonly pending: Pending;
  readonly sessions: Sessions;
  /** Whose tasks are, by their ids; see tasks.ts. */
  readonly tasks: Sessions;
  readonly bulletin: Bulletin;
  readonly limits: HttpLimits;
  /** Says what a peer can make us say without end. */
  readonly throttle: Throttle;
}

/** Why an exchange is given up before its end; the reason of `Exchange.signal`. */
export type GiveUp = 'client_closed' | 'shutdown' | 'revoked' | 'killed';

/** A request that may go on. Its `settle` is called whatever happens, with the outcome as far as it is known. */
export interface Exchange {
  readonly upstream: Upstream;
  readonly origin: Origin;
  readonly method: 'POST' | 'GET' | 'DELETE';
  /** For the upstream, complete. */
  readonly headers: Readonly<Record<string, string>>;
  /** What is POSTed: its bytes go out as they came in. */
  readonly message: Message | undefined;
  /** What the gate said of the message or the method; none for responses, which it has let through before. */
  readonly ruling: Forward | undefined;
  readonly client: ServerResponse;
  /** A stream without an end of its own, which the door ends when it closes. */
  readonly openEnded: boolean;
  readonly signal: AbortSignal;
}

/** Why an exchange failed. `detail` is for people, `errorType` for the outcome. */
export interface Failure {
  readonly code: Extract<ErrorCode, `upstream_${string}`>;
  readonly detail: string;
  readonly errorType: string;
  readonly httpStatus?: number | undefined;
}

/** Records a failed exchange and tells the client, as far as that is still possible. */
export function fail(relay: Relay, exchange: Exchange, failure: Failure): void {
  const { client, message, ruling, signal, upstream } = exchange;
  if (signal.aborted) {
    giveUp(relay, exchange);
    return;
  }
  ruling?.settle({
    status: 'transport_error',
    errorType: failure.errorType,
    httpStatus: failure.httpStatus,
  });
  const where = `server ${upstream.name}: ${failure.code}`;
  relay.throttle.say('warn', where, `${where}: ${failure.detail}`);
  if (client.headersSent) {
    // Half an answer must not look like a whole one.
    client.destroy();
    return;
  }
  const details: ErrorDetails = { server: upstream.name, detail: failure.detail };
  const isRequest = message?.kind === 'request';
  sendJson(client, {
    // A client that waits for a response finds it in a 200; nothing else here has a response to wait for.
    httpStatus: isRequest ? (errorRow(failure.code).http ?? 200) : 502,
    body: errorAnswer(isRequest ? message.id : null, failure.code, details),
  });
}

/** Ends an exchange that the client or the door has given up. */
function giveUp(relay: Relay, exchange: Exchange): void {
  const { client, ruling, signal } = exchange;
  ruling?.settle(givenUp(signal));
  cancelUpstream(relay, exchange);
  const word = lastWord(relay, exchange);
  if (word === undefined || client.headersSent) client.destroy();
  else sendJson(client, { httpStatus: 200, body: word });
}

/** What a client that waits for an answer is told when its call is stopped by hand. */
export function lastWord({ gate }: Relay, { message, origin, signal }: Exchange): Uint8Array | undefined {
  if (signal.reason !== ('killed' satisfies GiveUp) || message?.kind !== 'request') return undefined;
  const kill = gate.killSwitch?.killOf(origin) ?? LIFTED;
  return errorAnswer(message.id, 'killed', killDetails(kill));
}

/** Of one that is over by the time that it is told of. */
const LIFTED: Kill = { scope: 'all' };

/** So long an upstream may take to accept that a call is cancelled. */
const CANCEL_TIMEOUT_MS = 10_000;

/**
 * Tells an upstream of the legacy era that a call has been stopped by hand: there, the end of a connection says nothing
 * of the call (MCP 2025-11-25, transports), which would run on. Best effort, in the background.
 */
export function cancelUpstream(relay: Relay, { message, origin, upstream, signal }: Exchange): void {
  if (signal.reason !== ('killed' satisfies GiveUp) || message?.kind !== 'request') return;
  if (!message.call.modern) sendCancellation(relay, upstream, { id: message.id, origin });
}

/** Never rejects. @param request of the legacy era; outside of a session nothing can be said of it */
export function sendCancellation(
  relay: Relay,
  upstream: Upstream,
  { id, origin }: { readonly id: Id; readonly origin: Origin },
): void {
  if (origin.sessionId === undefined) return;
  const headers = ownHeaders(origin, upstream.headers);
  const body = cancellation(id);
  const timeout = AbortSignal.timeout(CANCEL_TIMEOUT_MS);
  const request = { upstream, method: 'POST', headers, body, origin, signal: timeout } as const;
  void relay.upstreams.send(request).then((sent) => {
    if (!sent.ok) return;
    sent.response.on('error', () => {});
    sent.response.resume();
  });
}

/** Whether it was us who gave an exchange up. */
export function isGivenUpByUs({ aborted, reason }: AbortSignal): boolean {
  return aborted && reason !== ('client_closed' satisfies GiveUp);
}

export function isLeftByClient(signal: AbortSignal): boolean {
  return signal.aborted && !isGivenUpByUs(signal);
}

/** What becomes of a request that is given up. */
export function givenUp(signal: AbortSignal): Outcome {
  // The door aborts with a GiveUp and with nothing else.
  return { status: 'cancelled', errorType: isGivenUpByUs(signal) ? (signal.reason as GiveUp) : undefined };
}

/** Answers with one JSON body, or with none. */
export function sendJson(
  client: ServerResponse,
  answer: { readonly httpStatus: number; readonly body: Uint8Array | undefined },
): void {
  const { httpStatus, body } = answer;
  if (body === undefined) {
    client.writeHead(httpStatus, { 'content-length': 0 }).end();
    return;
  }
  client.writeHead(httpStatus, { 'content-type': 'application/json', 'content-length': body.length });
  client.end(body);
}
