/** Whether the keys of token issuers and our own tokens for upstreams can be had. */
import type { JwtIssuer } from '../../identity/jwt.ts';
import { fetchToken } from '../client-credentials.ts';
import { fetchIssuerKeys } from '../issuer-keys.ts';
import type { Finding } from './finding.ts';
import { countText } from './quantities.ts';
import type { Upstream } from './setup.ts';

/** Asks each issuer for its keys, as the first token of a caller would have us do. */
export function findIssuers(issuers: readonly JwtIssuer[]): Promise<Finding[]> {
  return Promise.all(issuers.map(findIssuer));
}

async function findIssuer(issuer: JwtIssuer): Promise<Finding> {
  const base = { check: 'keys', subject: issuer.issuer } as const;
  try {
    const document = await fetchIssuerKeys(issuer);
    const keys: unknown =
      typeof document === 'object' && document !== null && 'keys' in document ? document.keys : undefined;
    const count = Array.isArray(keys) ? keys.length : 0;
    if (count > 0) return { ...base, level: 'ok', found: countText(count, 'key'), facts: { keys: count } };
    return { ...base, level: 'fail', found: 'what it serves as its keys is no JWK Set, or an empty one' };
  } catch (error) {
    const advice = 'Until they can be had, every token of this issuer is refused';
    return { ...base, level: 'fail', found: `its keys cannot be had: ${reasonOf(error)}`, advice, exit: 4 };
  }
}

type HttpUpstream = Upstream & { readonly kind: 'http' };

type Credentials =
  | { readonly ok: true; readonly headers: HttpUpstream['headers'] }
  | { readonly ok: false; readonly finding: Finding };

/** The headers that an upstream is sent, with a token where it is to have one; else why there is none. */
export async function credentialsOf({ name, headers, oauth }: HttpUpstream): Promise<Credentials> {
  if (oauth === undefined) return { ok: true, headers };
  try {
    const { token } = await fetchToken(oauth);
    return { ok: true, headers: { ...headers, authorization: `Bearer ${token}` } };
  } catch (error) {
    const found = `no token for it: ${reasonOf(error)}`;
    const advice = 'See client_id, client_secret, scope and resource of its oauth';
    return { ok: false, finding: { check: 'upstream', subject: name, level: 'fail', found, advice } };
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
