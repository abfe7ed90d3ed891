/** Asks for a stream by GET: the server's own, or one that broke, from where it broke (MCP up to 2025-11-25). */
import { TRANSPORT_MESSAGES } from '../../message/transport.ts';
import { isSuccess, statusOf, type UpstreamAnswer } from '../../http/upstream.ts';
import { isEventStream } from '../../http/usable.ts';
import { faultText } from './fault.ts';
import { sessionHeaders } from './message-headers.ts';
import { drop, type Remote, send } from './remote.ts';

export type Reopened =
  | { readonly kind: 'stream'; readonly response: UpstreamAnswer }
  /** It is of no use to ask again. `httpStatus`: of the answer, where there was one. */
  | { readonly kind: 'none'; readonly detail: string; readonly httpStatus?: number }
  /** It may be there later. */
  | { readonly kind: 'later'; readonly detail: string };

/** Statuses below 500 that pass: the last stream may still count as open, or the server is busy. */
const PASSING: ReadonlySet<number> = new Set([408, 409, 425, 429]);

/** Has the request decided, as a client's own would be, and sends it. Never rejects. */
export async function reopen(
  remote: Remote,
  lastEventId: string | undefined,
  signal: AbortSignal,
): Promise<Reopened> {
  const ruling = await remote.gate.decide(TRANSPORT_MESSAGES.GET, remote.origin(), 'to_upstream');
  if (!ruling.forward) return { kind: 'none', detail: 'policy does not allow it' };
  const headers = {
    accept: 'text/event-stream',
    ...sessionHeaders(remote.session),
    ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
  };
  const reply = await send(remote, { method: 'GET', headers, trace: ruling.trace, signal });
  if (!reply.ok) {
    const passes = reply.fault.httpStatus === undefined;
    return { kind: passes ? 'later' : 'none', detail: faultText(reply.fault) };
  }
  const { response } = reply;
  if (isSuccess(response) && isEventStream(response)) return { kind: 'stream', response };
  const httpStatus = statusOf(response);
  drop(response);
  const detail = `it answered ${httpStatus}`;
  if (httpStatus >= 500 || PASSING.has(httpStatus)) return { kind: 'later', detail };
  return { kind: 'none', detail, httpStatus };
}
