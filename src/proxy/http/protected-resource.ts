/**
 * What tells a client where to get a token: metadata of each server as a protected resource (RFC 9728), and the
 * challenge that points at it (RFC 6750; MCP authorization). Pure.
 */
import type { ErrorCode } from '../../errors.ts';
import { isLoopbackHost } from './guard.ts';

/** How tokens for the servers behind us are got. */
export interface ProtectedResources {
  /** The resource identifier (RFC 8707) of a server: the audience of its tokens. */
  readonly resource: (server: string) => string;
  /** Issuers, at least one. */
  readonly authorizationServers: readonly string[];
  /** What a token must cover; may be none. */
  readonly scopes: readonly string[];
}

const PLACE = '/.well-known/oauth-protected-resource';

/** The SERVER of `/.well-known/oauth-protected-resource/SERVER/mcp`. @param path without query */
export function metadataServer(path: string): string | undefined {
  if (!path.startsWith(`${PLACE}/`)) return undefined;
  return /^\/([^/]+)\/mcp$/.exec(path.slice(PLACE.length))?.[1];
}

/** The document of RFC 9728, section 2. */
export function metadataOf(resources: ProtectedResources, server: string): Uint8Array {
  const { resource, authorizationServers, scopes } = resources;
  const document = {
    resource: resource(server),
    authorization_servers: authorizationServers,
    ...(scopes.length === 0 ? {} : { scopes_supported: scopes }),
    bearer_methods_supported: ['header'],
    resource_name: server,
  };
  return Buffer.from(JSON.stringify(document));
}

export interface ChallengeContext {
  readonly resources: ProtectedResources | undefined;
  readonly server: string | undefined;
  /** Value of the Host header, which the guard has passed. */
  readonly host: string | undefined;
  readonly secure: boolean;
}

/** The value of WWW-Authenticate; undefined for a refusal that no other credentials would change. */
export function challenge(code: ErrorCode, context: ChallengeContext): string | undefined {
  const error = ERRORS[code];
  if (error === undefined) return undefined;
  const { resources } = context;
  const url = metadataUrl(context);
  const parameters = [
    ...(error === '' ? [] : [`error="${error}"`]),
    ...(url === undefined ? [] : [`resource_metadata="${url}"`]),
    // No scope holds a quote or a backslash (RFC 6749, section 3.3).
    ...(resources === undefined || resources.scopes.length === 0 || error === 'invalid_request'
      ? []
      : [`scope="${resources.scopes.join(' ')}"`]),
  ];
  return parameters.length === 0 ? 'Bearer' : `Bearer ${parameters.join(', ')}`;
}

/** RFC 6750, section 3.1; no code where no credentials were sent. */
const ERRORS: { readonly [Code in ErrorCode]?: string } = {
  identity_missing: '',
  identity_invalid: 'invalid_token',
  identity_form: 'invalid_request',
  identity_scope: 'insufficient_scope',
};

/**
 * Where the client finds the metadata: at the name by which it has reached us. Off loopback that is behind TLS, here
 * or in front of us (`insecure: true`), for no client sends a token in the clear.
 */
function metadataUrl({ resources, server, host, secure }: ChallengeContext): string | undefined {
  if (resources === undefined || server === undefined || host === undefined) return undefined;
  const name = host
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  const scheme = !secure && isLoopbackHost(name) ? 'http' : 'https';
  return `${scheme}://${host}${PLACE}/${server}/mcp`;
}
