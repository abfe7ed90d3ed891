/** The way of a request that may go on: to the upstream, and the answer back in the form that it has. */
import { callerKey } from '../caller.ts';
import { relayBody } from './answer.ts';
import { fail, type Exchange, type Relay } from './exchange.ts';
import type { Origin } from '../gate.ts';
import { cancelledId, type NotificationMessage } from '../message/message.ts';
import { relayStream } from './stream.ts';
import { errorCode, isSuccess, statusOf, type UpstreamAnswer } from './upstream.ts';
import { isEventStream, unusable } from './usable.ts';

/** Sends a request on and its answer back. Never rejects; the client has an answer or a closed connection after. */
export async function relayExchange(relay: Relay, exchange: Exchange): Promise<void> {
  const { upstream, method, headers, message, origin, signal } = exchange;
  const body = message?.bytes;
  // Before it is sent: the stream of the request that it names can end before its own answer is here.
  if (message?.kind === 'notification') followCancellation(relay, origin, message);
  const sent = await relay.upstreams.send({ upstream, method, headers, body, message, origin, signal });
  if (!sent.ok) {
    const code = sent.connected ? 'upstream_broken' : 'upstream_unreachable';
    fail(relay, exchange, { code, detail: sent.code, errorType: sent.code });
    return;
  }
  const { response } = sent;
  const refusal = unusable(response);
  if (refusal !== undefined) {
    // Nothing of it may be read as an answer, so the connection goes with it.
    response.on('error', () => {});
    response.destroy();
    fail(relay, exchange, { ...refusal, httpStatus: response.statusCode });
    return;
  }
  followSession(relay, exchange, response);
  try {
    if (isEventStream(response)) await relayStream(relay, exchange, response);
    else await relayBody(relay, exchange, response);
  } catch (error) {
    // Such as a header that node:http has read but will not write.
    response.destroy();
    const code = errorCode(error);
    fail(relay, exchange, { code: 'upstream_broken', detail: code, errorType: code });
  }
}

function followCancellation(relay: Relay, origin: Origin, message: NotificationMessage): void {
  const id = cancelledId(message);
  const { server, sessionId } = origin;
  const key = {
    direction: 'to_upstream',
    server: server.name,
    caller: callerKey(origin),
    sessionId,
  } as const;
  if (id !== undefined) relay.pending.cancel({ ...key, id });
}

/** Takes note of a session that begins or ends with this answer. */
function followSession(relay: Relay, exchange: Exchange, response: UpstreamAnswer): void {
  const { origin, upstream, method, message } = exchange;
  const { name: server } = upstream;
  const { sessionId } = origin;
  if (!isSuccess(response)) {
    if (sessionId === undefined || !isLost(exchange, response)) return;
    // Of this caller only: whoever names a session that we do not know as another's must not end that one's calls.
    relay.pending.endSession({ server, sessionId, caller: callerKey(origin) }, 'unknown');
    return;
  }
  const given = response.headers['mcp-session-id'];
  if (message?.kind === 'request' && message.method === 'initialize' && typeof given === 'string') {
    relay.sessions.bind(server, given, callerKey(origin));
  }
  if (method !== 'DELETE' || sessionId === undefined) return;
  relay.pending.endSession({ server, sessionId }, 'cancelled');
  relay.sessions.end(server, sessionId);
}

/**
 * Whether a server says that it does not know the session any more (MCP up to 2025-11-25, session management). Of a GET
 * it says nothing: servers without a stream of their own answer 404 to it as to any path.
 */
function isLost({ method, message }: Exchange, response: UpstreamAnswer): boolean {
  if (statusOf(response) !== 404 || method === 'GET') return false;
  return message === undefined || message.kind === 'response' || !message.call.modern;
}
