/** What the door itself answers: refusals, and what browsers ask before they call. */
import type { Answer, Rejection } from '../gate.ts';
import { sendJson } from './exchange.ts';
import { headerValues } from './headers.ts';
import { challenge } from './protected-resource.ts';
import type { HttpDesk, Visit } from './visit.ts';

/** When it is worth asking again for what could not be checked. */
const RETRY_SECONDS = 5;

/** Value of an Allow header. */
export const METHODS = 'POST, GET, DELETE';

/** Records a refusal and answers with it. */
export function refuse(desk: HttpDesk, visit: Visit, rejection: Rejection): void {
  const answer = desk.relay.gate.reject(rejection);
  const { client, request } = visit;
  const [host] = headerValues(request.rawHeaders, 'host');
  const server = rejection.origin.server?.name;
  const challenged = challenge(rejection.code, {
    resources: visit.terms.admission.resources,
    server,
    host,
    secure: visit.terms.admission.guard.secure ?? false,
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
export function sendAnswer({ request, client }: Visit, { httpStatus, body }: Answer): void {
  const reads = request.method === 'POST' || httpStatus >= 400;
  sendJson(client, { httpStatus: reads ? httpStatus : 503, body });
}

/** Lets the page whose origin has passed the guard read the answer (Fetch, CORS protocol). */
export function allowPage({ request, client }: Visit): void {
  const [origin] = headerValues(request.rawHeaders, 'origin');
  if (origin === undefined) return;
  client.setHeader('access-control-allow-origin', origin);
  client.setHeader('access-control-expose-headers', 'mcp-session-id, mcp-protocol-version, www-authenticate');
  client.setHeader('vary', 'Origin');
}

const PREFLIGHT_SECONDS = 600;

const PAGE_HEADER =
  /^(mcp-[a-z0-9-]+|accept|authorization|content-type|last-event-id|traceparent|tracestate)$/;

/** What a page may send. */
export function answerPreflight({ request, client }: Visit): void {
  const wanted = headerValues(request.rawHeaders, 'access-control-request-headers').join(',').split(',');
  const names = wanted.map((name) => name.trim().toLowerCase()).filter((name) => PAGE_HEADER.test(name));
  client.writeHead(204, {
    'access-control-allow-methods': METHODS,
    'access-control-allow-headers': names.join(', '),
    'access-control-max-age': String(PREFLIGHT_SECONDS),
  });
  client.end();
}
