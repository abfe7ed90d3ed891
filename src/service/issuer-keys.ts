/** Where the keys of a token issuer come from: its `jwks_uri`, or the one that its own metadata names. */
import { endpointFault } from '../config/identity.ts';
import type { JwtIssuer } from '../identity/jwt.ts';
import { isLoopbackHost } from '../proxy/http/guard.ts';
import { fetchJson, shownUrl, type FetchedJson } from './fetch-json.ts';

/** For all that a look-up of keys needs to fetch; so long a call may wait for it. */
export const KEYS_TIMEOUT_MS = 5_000;
/** Bytes of a JWK Set or of an issuer's metadata. */
export const KEYS_BYTES_MAX = 262_144;

/** Fetches the JWK Set of an issuer. Rejects with an Error whose message says where it failed. */
export async function fetchIssuerKeys(
  { issuer, jwksUri }: Pick<JwtIssuer, 'issuer' | 'jwksUri'>,
  timeoutMs: number = KEYS_TIMEOUT_MS,
): Promise<unknown> {
  const signal = AbortSignal.timeout(timeoutMs);
  const get = (url: string): Promise<FetchedJson> => fetchJson(url, { bytesMax: KEYS_BYTES_MAX, signal });
  const uri = jwksUri ?? (await discover(issuer, get));
  const { status, value } = await get(uri);
  if (status !== 200) throw new Error(`status ${status} (${shownUrl(uri)})`);
  return value;
}

/** RFC 8414, section 3: before the issuer's path; OpenID Connect Discovery, section 4: after it. */
function metadataUrls(issuer: string): readonly string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  return [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ];
}

async function discover(issuer: string, get: (url: string) => Promise<FetchedJson>): Promise<string> {
  const tried: string[] = [];
  for (const url of metadataUrls(issuer)) {
    const { status, value } = await get(url);
    tried.push(`status ${status} (${url})`);
    if (status === 200) return jwksUriOf(issuer, value, url);
  }
  throw new Error(tried.join(', '));
}

function jwksUriOf(issuer: string, metadata: unknown, url: string): string {
  const members = (typeof metadata === 'object' && metadata !== null ? metadata : {}) as {
    readonly issuer?: unknown;
    readonly jwks_uri?: unknown;
  };
  // RFC 8414, section 3.3: whoever else serves this document must not pass for the issuer.
  if (members.issuer !== issuer) throw new Error(`the metadata are another issuer’s (${url})`);
  const { jwks_uri: uri } = members;
  const fault = typeof uri === 'string' ? endpointFault(uri) : 'is missing';
  if (typeof uri !== 'string' || fault !== undefined)
    throw new Error(`the metadata’s jwks_uri ${fault} (${url})`);
  // An issuer elsewhere has no keys on this machine; what listens here may answer as it likes.
  if (isLoopback(uri) && !isLoopback(issuer))
    throw new Error(`the metadata’s jwks_uri is on loopback (${url})`);
  return uri;
}

function isLoopback(url: string): boolean {
  return isLoopbackHost(new URL(url).hostname.replace(/^\[(.*)\]$/, '$1'));
}
