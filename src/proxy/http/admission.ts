/** What a request must pass before its body is read: guard, route, method, identity. */
import type { IncomingMessage } from 'node:http';
import type { HttpAuthenticator } from '../../identity/authenticate.ts';
import type { Origin, Rejection } from '../gate.ts';
import { clientCertificate } from './client-certificate.ts';
import { checkGuard, type GuardOptions } from './guard.ts';
import { duplicatedHeader, headerValues } from './headers.ts';
import { metadataServer, type ProtectedResources } from './protected-resource.ts';
import { serverFacts, type Upstream } from './upstream.ts';

export interface AdmissionOptions {
  readonly servers: ReadonlyMap<string, Upstream>;
  readonly guard: GuardOptions;
  readonly authenticate: HttpAuthenticator;
  /** Where clients get tokens; undefined where none are accepted. */
  readonly resources: ProtectedResources | undefined;
}

export type Method = 'POST' | 'GET' | 'DELETE';

export type Admission =
  | {
      readonly kind: 'admitted';
      readonly method: Method;
      readonly upstream: Upstream;
      readonly origin: Origin;
    }
  /** A browser asks whether it may call. */
  | { readonly kind: 'preflight' }
  /** A client asks where to get a token for a server; anybody may. */
  | { readonly kind: 'metadata'; readonly server: string; readonly resources: ProtectedResources }
  | { readonly kind: 'refused'; readonly rejection: Rejection };

/**
 * Checks one request by its headers alone, in an order that gives nothing away: a foreign page learns neither which
 * servers there are nor whether credentials hold.
 */
export async function admit(request: IncomingMessage, options: AdmissionOptions): Promise<Admission> {
  const { rawHeaders } = request;
  const known = { transport: 'tcp', clientAddress: request.socket.remoteAddress } as const;
  const guard = checkGuard(rawHeaders, request.socket.localPort ?? 0, options.guard);
  if (!guard.ok) {
    const details = { header: guard.header, value: guard.value };
    return refused({ reason: 'origin_refused', code: 'origin_refused', details, origin: known });
  }
  const { url = '' } = request;
  const path = url.replace(/[?].*$/s, '');
  const metadata = metadataFor(path, methodOf(request), options);
  if (metadata !== undefined) return metadata;
  const name = serverName(path);
  const upstream = options.servers.get(name);
  if (upstream === undefined) {
    return refused({
      reason: 'server_unknown',
      code: 'server_unknown',
      details: { server: name },
      origin: known,
    });
  }
  const routed = { ...known, server: serverFacts(upstream), ...headerFacts(rawHeaders) };
  const method = methodOf(request);
  if (method === 'OPTIONS' && guard.origin !== undefined) return { kind: 'preflight' };
  if (method === undefined || method === 'OPTIONS') {
    return refused({ reason: 'parse', code: 'http_method', details: {}, origin: routed });
  }
  const authentication = await options.authenticate({
    authorization: headerValues(rawHeaders, 'authorization'),
    tokenInUrl: tokenInUrl(url),
    server: name,
    certificate: clientCertificate(request.socket),
  });
  if (!authentication.ok) {
    const { reason, code = reason, message } = authentication;
    return refused({ reason, code, details: { detail: message }, origin: routed });
  }
  const origin: Origin = { ...routed, identity: authentication.identity };
  const double = duplicatedHeader(rawHeaders);
  if (double !== undefined) {
    return refused({ reason: 'parse', code: 'header_mismatch', details: { header: double }, origin });
  }
  return { kind: 'admitted', method, upstream, origin };
}

function refused(rejection: Omit<Rejection, 'id'>): Admission {
  return { kind: 'refused', rejection: { ...rejection, id: null } };
}

/** Whether a token stands in the URL (RFC 6750, section 2.3), whatever it is. */
function tokenInUrl(url: string): boolean {
  const at = url.indexOf('?');
  return at >= 0 && new URLSearchParams(url.slice(at)).has('access_token');
}

function metadataFor(
  path: string,
  method: Method | 'OPTIONS' | undefined,
  { servers, resources }: AdmissionOptions,
): Admission | undefined {
  const server = metadataServer(path);
  if (server === undefined || resources === undefined || !servers.has(server)) return undefined;
  if (method === 'OPTIONS') return { kind: 'preflight' };
  return method === 'GET' ? { kind: 'metadata', server, resources } : undefined;
}

/** Characters of an unknown path that go into records and answers. */
const SHOWN_MAX = 256;

/** The SERVER of `/SERVER/mcp`, else the whole path, which is then no server's name: names hold no slash. */
function serverName(path: string): string {
  return /^\/([^/]+)\/mcp$/.exec(path)?.[1] ?? path.slice(0, SHOWN_MAX);
}

function headerFacts(rawHeaders: readonly string[]) {
  const first = (name: string): string | undefined => headerValues(rawHeaders, name)[0];
  const tracestate = headerValues(rawHeaders, 'tracestate').join(',');
  return {
    claimed: { userAgent: first('user-agent') },
    sessionId: first('mcp-session-id'),
    protocolVersion: first('mcp-protocol-version'),
    traceparent: first('traceparent'),
    tracestate: tracestate === '' ? undefined : tracestate,
  };
}

function methodOf({ method }: IncomingMessage): Method | 'OPTIONS' | undefined {
  return method === 'POST' || method === 'GET' || method === 'DELETE' || method === 'OPTIONS'
    ? method
    : undefined;
}
