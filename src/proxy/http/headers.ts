/** Which headers cross the proxy, by allow-list in both directions. Pure. */
import type { IncomingHttpHeaders } from 'node:http';

/** Header fields by lower-case name. */
export type Headers = Readonly<Record<string, string>>;

/** W3C trace context for the upstream. */
export interface TraceHeaders {
  readonly traceparent: string;
  readonly tracestate?: string | undefined;
}

/** From the client to the upstream, besides `mcp-*`. Never Authorization or Cookie: they were meant for us. */
const TO_UPSTREAM = new Set(['accept', 'last-event-id']);

/**
 * The fields of MCP. An underscore only where a parameter's name may hold one: servers that hand fields on as
 * variables (CGI, WSGI) read `mcp-session_id` as `mcp-session-id`.
 */
const MCP = /^mcp-(?:[a-z0-9-]+|param-[a-z0-9_.-]+)$/;

/**
 * From the upstream to the client, besides `mcp-*`. The content type is made anew (mediaType). `www-authenticate` stays behind because it challenges the
 * credentials that we hold, not the client's: a client that followed it would fetch, and then send to us, a token
 * for another resource. `set-cookie` stays behind because cookies belong to whoever holds that connection: us.
 */
const TO_CLIENT = ['cache-control', 'retry-after', 'allow'];

/** Framing and coding are ours, whatever the configuration adds: the body must arrive as it was judged. */
const OURS = new Set([
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Fields that have one value. Two would be read differently by us and by the upstream. */
const SINGLE = new Set(['authorization', 'content-encoding', 'content-type', 'last-event-id', 'traceparent']);

/** Sent with everything, so that nothing an upstream makes us say can run as a page of our origin. */
export const ANSWER_SAFETY: Headers = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; sandbox",
};

/** All values of one field, in order. @param name in lower case */
export function headerValues(rawHeaders: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const key = rawHeaders[index] ?? '';
    // Asked a dozen times of each request, so a name is only read as lower case where it can be the one.
    if (key.length === name.length && key.toLowerCase() === name) values.push(rawHeaders[index + 1] ?? '');
  }
  return values;
}

/** The first field that stands twice and must not: the ones of SINGLE and every `mcp-*`. */
export function duplicatedHeader(rawHeaders: readonly string[]): string | undefined {
  const seen = new Set<string>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    const isMcp = name.startsWith('mcp-');
    if (!isMcp && !SINGLE.has(name)) continue;
    // As a server reads it that makes a variable of it.
    const read = isMcp ? name.replaceAll('_', '-') : name;
    if (seen.has(read)) return name;
    seen.add(read);
  }
  return undefined;
}

/** What the upstream gets: the client's by allow-list, the trace, and what the configuration adds, which wins. */
export function upstreamHeaders(
  rawHeaders: readonly string[],
  added: Headers,
  trace: TraceHeaders | undefined,
): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    if (!TO_UPSTREAM.has(name) && !MCP.test(name)) continue;
    const value = rawHeaders[index + 1] ?? '';
    const before = headers[name];
    headers[name] = before === undefined ? value : `${before}, ${value}`;
  }
  return withOurs(headers, added, trace);
}

/** What the upstream gets with a message that we make ourselves, within the client's session. */
export function ownHeaders(
  session: { readonly sessionId?: string | undefined; readonly protocolVersion?: string | undefined },
  added: Headers,
): Record<string, string> {
  const headers: Record<string, string> = { accept: 'application/json, text/event-stream' };
  if (session.sessionId !== undefined) headers['mcp-session-id'] = session.sessionId;
  if (session.protocolVersion !== undefined) headers['mcp-protocol-version'] = session.protocolVersion;
  return withOurs(headers, added, undefined);
}

/** What the client gets of an upstream's answer. */
export function answerHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === 'string' && (TO_CLIENT.includes(name) || MCP.test(name))) kept[name] = value;
  }
  return kept;
}

/**
 * The type of a body without its parameters: with a charset, a client would read another text than we did.
 * Undefined where there is none.
 */
export function mediaType(contentType: string | undefined): string | undefined {
  const type = contentType?.split(/[;,]/, 1)[0]?.trim().toLowerCase() ?? '';
  if (!/^[a-z0-9.+-]+\/[a-z0-9.+-]+$/.test(type)) return undefined;
  return type.startsWith('text/') ? `${type}; charset=utf-8` : type;
}

/** Whether a content type names a charset but UTF-8, or names it in a way that only some would understand. */
export function namesOtherCharset(contentType: string): boolean {
  return /charset/i.test(contentType.replace(/;\s*charset\s*=\s*(?:utf-?8|"utf-?8")\s*(?=;|$)/i, ''));
}

/**
 * The client's trace context, for what no span of ours stands behind (GET, DELETE, responses).
 * Undefined unless traceparent is valid (W3C Trace Context, section 3.2.2).
 */
export function clientTrace(rawHeaders: readonly string[]): TraceHeaders | undefined {
  const [traceparent] = headerValues(rawHeaders, 'traceparent');
  const valid =
    traceparent !== undefined &&
    /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/.test(traceparent);
  if (!valid) return undefined;
  const tracestate = headerValues(rawHeaders, 'tracestate').join(',');
  return tracestate === '' || tracestate.length > TRACESTATE_CHARS_MAX
    ? { traceparent }
    : { traceparent, tracestate };
}

/** W3C Trace Context, section 3.3.1.5: what every vendor must be able to pass on. */
const TRACESTATE_CHARS_MAX = 512;

/** Headers of our own making, for an upstream: with the trace, and what the configuration adds, which wins. */
export function withOurs(
  headers: Record<string, string>,
  added: Headers,
  trace: TraceHeaders | undefined,
): Record<string, string> {
  if (trace !== undefined) {
    headers['traceparent'] = trace.traceparent;
    if (trace.tracestate !== undefined && trace.tracestate !== '') headers['tracestate'] = trace.tracestate;
  }
  for (const [key, value] of Object.entries(added)) {
    const name = key.toLowerCase();
    if (!OURS.has(name)) headers[name] = value;
  }
  // What is compressed cannot be looked into.
  headers['accept-encoding'] = 'identity';
  return headers;
}
