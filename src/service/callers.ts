/** Who may call over HTTP, put together from the configuration: API keys, token issuers, anonymous callers. */
import type { ServeConfig } from '../config.ts';
import type { ApiKeys } from '../identity/api-keys.ts';
import { httpAuthenticator, type HttpAuthenticator } from '../identity/authenticate.ts';
import { audienceOf, jwtAuthenticator, type JwtIssuer } from '../identity/jwt.ts';
import { createKeySet } from '../identity/key-set.ts';
import type { ProtectedResources } from '../proxy/http/protected-resource.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import { fetchIssuerKeys } from './issuer-keys.ts';

export interface Callers {
  readonly authenticate: HttpAuthenticator;
  readonly resources: ProtectedResources | undefined;
}

export function callersOf(
  { jwtIssuers, anonymous }: Pick<ServeConfig, 'jwtIssuers' | 'anonymous'>,
  apiKeys: ApiKeys | undefined,
  diagnostics: Diagnostics,
): Callers {
  const nowMs = Date.now;
  const keys = (issuer: JwtIssuer) =>
    createKeySet({
      load: () => fetchIssuerKeys(issuer),
      nowMs,
      failed: (message) => diagnostics.warn(`the keys of ${issuer.issuer} cannot be had: ${message}`),
    });
  const jwt = jwtIssuers.length === 0 ? undefined : jwtAuthenticator({ issuers: jwtIssuers, keys, nowMs });
  return {
    authenticate: httpAuthenticator({ apiKeys, jwt, anonymous, nowMs }),
    resources: resourcesOf(jwtIssuers),
  };
}

/** A resource has one name: where issuers name us differently, clients are told the first one's, and who shares it. */
function resourcesOf(issuers: readonly JwtIssuer[]): ProtectedResources | undefined {
  const [first] = issuers;
  if (first === undefined) return undefined;
  const named = issuers.filter(({ audience }) => audience === first.audience);
  return {
    resource: (server) => audienceOf(first, server),
    authorizationServers: named.map(({ issuer }) => issuer),
    scopes: first.scopes,
  };
}
