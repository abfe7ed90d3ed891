/** Which credentials an HTTP request carries, and whether they hold. There is no default principal. */
import { authenticateApiKey, isCurrent, type ApiKeys } from './api-keys.ts';
import { ANONYMOUS, type Authentication } from './identity.ts';

export interface HttpIdentityOptions {
  readonly apiKeys?: ApiKeys | undefined;
  /** Whether a request without credentials is served as anonymous. Wrong credentials never are. */
  readonly anonymous: 'allow' | 'deny';
  readonly nowMs: () => number;
}

/** Credentials as they came: every Authorization header, in order. */
export interface HttpCredentials {
  readonly authorization: readonly string[];
}

export function httpAuthenticator(
  options: HttpIdentityOptions,
): (credentials: HttpCredentials) => Authentication {
  return function authenticate({ authorization }) {
    const [first, ...others] = authorization;
    if (first === undefined) {
      return options.anonymous === 'allow'
        ? { ok: true, identity: ANONYMOUS }
        : { ok: false, reason: 'identity_missing', message: 'no credentials were sent' };
    }
    // Two Authorization headers are read differently by different servers, so neither is believed.
    if (others.length > 0) {
      return {
        ok: false,
        reason: 'identity_invalid',
        message: 'more than one Authorization header was sent',
      };
    }
    return authenticateApiKey(options.apiKeys, first, options.nowMs());
  };
}

/** Why nobody can be served with these options; undefined where somebody can. */
export function lockedOut({ apiKeys, anonymous, nowMs }: HttpIdentityOptions): string | undefined {
  if (anonymous === 'allow') return undefined;
  const now = nowMs();
  const entries = [...(apiKeys?.byId.values() ?? [])];
  if (entries.some((entry) => isCurrent(entry, now))) return undefined;
  const where = apiKeys === undefined ? 'there is no keys file' : `no key in ${apiKeys.file} is good`;
  return `nobody can be served: ${where}, and anonymous callers are denied`;
}
