/** Who may call over HTTP, put together from the configuration: API keys, token issuers, anonymous callers. */
import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { ServeConfig } from '../config.ts';
import { readTextFile, type ReadText } from '../config/text-file.ts';
import type { JWTVerifyGetKey } from 'jose';
import { VerdictError } from '../errors.ts';
import { loadApiKeys, type ApiKeys } from '../identity/api-keys.ts';
import { httpAuthenticator, lockedOut, type HttpAuthenticator } from '../identity/authenticate.ts';
import { audienceOf, jwtAuthenticator, type JwtIssuer } from '../identity/jwt.ts';
import { createKeySet } from '../identity/key-set.ts';
import type { DoorTls } from '../proxy/http/tls.ts';
import type { ProtectedResources } from '../proxy/http/protected-resource.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import { listFaults, shownPath } from './files.ts';
import { fetchIssuerKeys } from './issuer-keys.ts';

export interface Callers {
  readonly authenticate: HttpAuthenticator;
  readonly resources: ProtectedResources | undefined;
  readonly keySets: KeySets;
}

/** Keys of issuers as they have been fetched, by where they come from. */
export type KeySets = ReadonlyMap<string, JWTVerifyGetKey>;

/** @param before those of them that are still named serve on, with the keys that they hold */
export function callersOf(
  config: Pick<ServeConfig, 'jwtIssuers' | 'anonymous' | 'certificateName'>,
  apiKeys: ApiKeys | undefined,
  diagnostics: Diagnostics,
  before: KeySets = new Map(),
): Callers {
  const { jwtIssuers, anonymous, certificateName } = config;
  const nowMs = Date.now;
  const keySets = new Map<string, JWTVerifyGetKey>();
  const keys = (issuer: JwtIssuer): JWTVerifyGetKey => {
    const place = JSON.stringify([issuer.issuer, issuer.jwksUri]);
    const failed = (message: string): void =>
      diagnostics.warn(`the keys of ${issuer.issuer} cannot be had: ${message}`);
    const keySet = before.get(place) ?? createKeySet({ load: () => fetchIssuerKeys(issuer), nowMs, failed });
    keySets.set(place, keySet);
    return keySet;
  };
  const jwt = jwtIssuers.length === 0 ? undefined : jwtAuthenticator({ issuers: jwtIssuers, keys, nowMs });
  return {
    authenticate: httpAuthenticator({ apiKeys, jwt, certificateName, anonymous, nowMs }),
    resources: resourcesOf(jwtIssuers),
    keySets,
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

/** Reads the keys file, and warns where nobody could get in. */
export function readCallers(
  config: ServeConfig,
  cwd: string,
  diagnostics: Diagnostics,
  read: ReadText = readTextFile,
): ApiKeys | undefined {
  const { anonymous, apiKeysFile, jwtIssuers, certificateName } = config;
  const apiKeys = readKeys(apiKeysFile, cwd, read);
  const warning = lockedOut({
    apiKeys,
    issuers: jwtIssuers.length + (certificateName === undefined ? 0 : 1),
    anonymous,
    nowMs: Date.now,
  });
  if (warning !== undefined) diagnostics.warn(warning);
  return apiKeys;
}

function readKeys(file: string | undefined, cwd: string, read: ReadText): ApiKeys | undefined {
  if (file === undefined) return undefined;
  const loaded = loadApiKeys(shownPath(file, cwd), read(file));
  if (!loaded.ok) throw new VerdictError('config_invalid', { detail: listFaults(loaded.faults) });
  return loaded.keys;
}

/** Reads the files of `tls`. Throws `file_unreadable`, or `config_invalid` for what TLS would not work with. */
export function readTls(tls: ServeConfig['tls'], read: ReadText = readTextFile): DoorTls | undefined {
  if (tls === undefined) return undefined;
  const files = {
    certificate: read(tls.certificate),
    key: read(tls.key),
    clientCa: tls.clientCa === undefined ? undefined : read(tls.clientCa),
  };
  try {
    const { certificate: cert, key, clientCa } = files;
    createSecureContext({ cert, key });
    // OpenSSL takes an empty list of authorities for one, which then vouches for nobody.
    if (clientCa !== undefined && !new X509Certificate(clientCa).ca) {
      throw new Error('client_ca is no certificate of an authority');
    }
    return files;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const named = [tls.certificate, tls.key, tls.clientCa].filter((file) => file !== undefined).join(', ');
    throw new VerdictError('config_invalid', { detail: `tls: ${why} (${named})` }, { cause: error });
  }
}
