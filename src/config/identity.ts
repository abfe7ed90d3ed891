/** The part of verdict.yaml that says whose tokens are accepted. */
import { ALGORITHMS, CLOCK_SKEW_MS, CLOCK_SKEW_MS_MAX, type JwtIssuer } from '../identity/jwt.ts';
import { isLoopbackHost } from '../proxy/http/guard.ts';
import type { IdentityEntry, JwtEntry } from './identity-schema.ts';
import { parseDurationMs } from './quantity.ts';

type AddFault = (pointer: string, message: string) => void;

export function issuersOf({ jwt = [] }: IdentityEntry, fault: AddFault): readonly JwtIssuer[] {
  const seen = new Set<string>();
  return jwt.map((entry, index) => {
    const pointer = `/identity/jwt/${index}`;
    // A token would have two meanings.
    if (seen.has(entry.issuer)) fault(`${pointer}/issuer`, 'this issuer stands twice');
    seen.add(entry.issuer);
    return issuerOf(pointer, entry, fault);
  });
}

function issuerOf(pointer: string, entry: JwtEntry, fault: AddFault): JwtIssuer {
  const wrong = endpointFault(entry.issuer);
  if (wrong !== undefined) fault(`${pointer}/issuer`, wrong);
  // RFC 8414, section 2. The value is compared as it stands, so nothing of it is made even.
  else if (/[?#]/.test(entry.issuer)) fault(`${pointer}/issuer`, 'must have no query and no fragment');
  const wrongKeys = entry.jwks_uri === undefined ? undefined : endpointFault(entry.jwks_uri);
  if (wrongKeys !== undefined) fault(`${pointer}/jwks_uri`, wrongKeys);
  return {
    issuer: entry.issuer,
    audience: entry.audience,
    jwksUri: entry.jwks_uri,
    algorithms: entry.algorithms ?? ALGORITHMS,
    clockSkewMs: clockSkewOf(`${pointer}/clock_skew`, entry, fault),
    scopes: entry.scopes ?? [],
    claims: {
      user: entry.claims?.user ?? 'sub',
      roles: entry.claims?.roles ?? 'roles',
      agent: entry.claims?.agent,
      grants: entry.claims?.grants,
    },
  };
}

/**
 * What keys, tokens and secrets go through: whoever could change what comes from there could let in anybody.
 * @returns what is wrong with it; undefined where it is good
 */
export function endpointFault(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isLoopback = isLoopbackHost(url?.hostname.replace(/^\[(.*)\]$/, '$1') ?? '');
  if (url?.protocol !== 'https:' && !(url?.protocol === 'http:' && isLoopback)) {
    return 'must be an https URL; http is accepted on loopback only';
  }
  return url.username === '' && url.password === '' ? undefined : 'must not hold credentials';
}

function clockSkewOf(pointer: string, { clock_skew: text }: JwtEntry, fault: AddFault): number {
  if (text === undefined) return CLOCK_SKEW_MS;
  const ms = parseDurationMs(text);
  if (ms === undefined || ms > CLOCK_SKEW_MS_MAX)
    fault(pointer, 'must be a time up to 300s, for example 30s');
  return ms ?? CLOCK_SKEW_MS;
}
