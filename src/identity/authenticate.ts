/** Which credentials an HTTP request carries, and whether they hold. There is no default principal. */
import { authenticateApiKey, isCurrent, type ApiKeys } from './api-keys.ts';
import { readBearer } from './bearer.ts';
import { authenticateCertificate, certificateFault, thumbprintOf } from './mtls.ts';
import type { CertificateName, ClientCertificate } from './mtls.ts';
import { ANONYMOUS, type Authentication, type Refusal } from './identity.ts';
import type { JwtAuthenticator } from './jwt.ts';

export interface HttpIdentityOptions {
  readonly apiKeys?: ApiKeys | undefined;
  /** Checks tokens; undefined where no issuer is trusted. */
  readonly jwt?: JwtAuthenticator | undefined;
  /** Which name in a client certificate is the caller's; undefined where certificates name nobody. */
  readonly certificateName?: CertificateName | undefined;
  /** Whether a request without credentials is served as anonymous. Wrong credentials never are. */
  readonly anonymous: 'allow' | 'deny';
  readonly nowMs: () => number;
}

/** Credentials as they came, and what for. */
export interface HttpCredentials {
  /** Every Authorization header, in order. */
  readonly authorization: readonly string[];
  /** Whether the URL holds an `access_token`. */
  readonly tokenInUrl: boolean;
  /** The server that is asked for. */
  readonly server: string;
  /** What the connection was opened with, where client certificates are asked for. */
  readonly certificate?: ClientCertificate | undefined;
}

export type HttpAuthenticator = (credentials: HttpCredentials) => Authentication | Promise<Authentication>;

export function httpAuthenticator(options: HttpIdentityOptions): HttpAuthenticator {
  const { apiKeys, jwt, certificateName, anonymous, nowMs } = options;
  return function authenticate({ authorization, tokenInUrl, server, certificate }) {
    // A bad certificate is no reason to look for something better.
    const fault = certificate === undefined ? undefined : certificateFault(certificate, nowMs());
    if (fault !== undefined) return fault;
    // A URL is in logs and histories: a token from there is spoilt, and whoever sends it should hear of it.
    if (tokenInUrl) return refused('a token in the URL is not accepted', 'identity_form');
    const [first, ...others] = authorization;
    if (first === undefined && certificate !== undefined && certificateName !== undefined) {
      return authenticateCertificate(certificate, certificateName, nowMs());
    }
    if (first === undefined) {
      return anonymous === 'allow'
        ? { ok: true, identity: ANONYMOUS }
        : { ok: false, reason: 'identity_missing', message: 'no credentials were sent' };
    }
    // Two Authorization headers are read differently by different servers, so neither is believed.
    if (others.length > 0) return refused('more than one Authorization header was sent', 'identity_form');
    const bearer = readBearer(first);
    if (!bearer.ok) return refused(bearer.message);
    if (bearer.form === 'key') return authenticateApiKey(apiKeys, bearer.token, nowMs());
    if (jwt === undefined) return refused('no token issuer is trusted here');
    const thumbprint = certificate === undefined ? undefined : thumbprintOf(certificate);
    return jwt(bearer.token, { server, thumbprint });
  };
}

function refused(message: string, code?: 'identity_form'): Refusal {
  const refusal = { ok: false, reason: 'identity_invalid', message } as const;
  return code === undefined ? refusal : { ...refusal, code };
}

export interface Admitted extends Pick<HttpIdentityOptions, 'apiKeys' | 'anonymous' | 'nowMs'> {
  /** How many issuers of tokens and of certificates are trusted. */
  readonly issuers: number;
}

/** Why nobody can be served with these options; undefined where somebody can. */
export function lockedOut({ apiKeys, issuers, anonymous, nowMs }: Admitted): string | undefined {
  if (anonymous === 'allow' || issuers > 0) return undefined;
  const now = nowMs();
  const entries = [...(apiKeys?.byId.values() ?? [])];
  if (entries.some((entry) => isCurrent(entry, now))) return undefined;
  const where = apiKeys === undefined ? 'there is no keys file' : `no key in ${apiKeys.file} is good`;
  return `nobody can be served: ${where}, and anonymous callers are denied`;
}
