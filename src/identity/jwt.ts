/**
 * Bearer tokens that are JWTs, checked as an OAuth 2 resource server does (RFC 9068, section 4): the issuer is one of
 * ours, its keys have signed, the audience is us (RFC 8707), the time is right. Whatever else happens is a refusal.
 */
import { decodeJwt, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import { identityOf, scopesOf, type ClaimNames } from './claims.ts';
import { KeysUnavailable } from './key-set.ts';
import type { Authentication, Refusal } from './identity.ts';

/** Asymmetric ones only: with a shared secret, whoever can check a token can make one. */
export const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const;

export type Algorithm = (typeof ALGORITHMS)[number];

export const CLOCK_SKEW_MS = 30_000;
export const CLOCK_SKEW_MS_MAX = 300_000;

/** Stands in an audience for the name of the server, so that a token for one server is good for no other. */
export const SERVER_PLACE = '{server}';

/** One issuer whose tokens are accepted. */
export interface JwtIssuer {
  /** The exact value of `iss`. */
  readonly issuer: string;
  /** The exact value of `aud`, or a member of it; may hold SERVER_PLACE. */
  readonly audience: string;
  /** Where the keys are; undefined: where the issuer's metadata says (RFC 8414). */
  readonly jwksUri: string | undefined;
  readonly algorithms: readonly Algorithm[];
  /** How far its clock may be from ours. */
  readonly clockSkewMs: number;
  /** All of which a token must have. */
  readonly scopes: readonly string[];
  readonly claims: ClaimNames;
}

export interface JwtOptions {
  readonly issuers: readonly JwtIssuer[];
  readonly keys: (issuer: JwtIssuer) => JWTVerifyGetKey;
  readonly nowMs: () => number;
}

/** What a token is used for, and by whom. */
export interface TokenUse {
  /** The server that is asked for. */
  readonly server: string;
  /** Of the client's certificate (mtls.ts), where it has one. */
  readonly thumbprint?: string | undefined;
}

export type JwtAuthenticator = (token: string, use: TokenUse) => Promise<Authentication>;

/** The audience that stands in tokens for a server. */
export function audienceOf({ audience }: JwtIssuer, server: string): string {
  return audience.replaceAll(SERVER_PLACE, () => server);
}

/** Never rejects. */
export function jwtAuthenticator({ issuers, keys, nowMs }: JwtOptions): JwtAuthenticator {
  const known = new Map(issuers.map((issuer) => [issuer.issuer, { issuer, find: keys(issuer) }] as const));
  return async (token, { server, thumbprint }) => {
    const named = issuerNamed(token);
    if (named === undefined) return invalid('the token is no signed JWT');
    const trusted = known.get(named);
    if (trusted === undefined) return invalid('its issuer is not one that is trusted here');
    const { issuer, find } = trusted;
    try {
      const { payload, protectedHeader } = await jwtVerify(token, find, {
        issuer: issuer.issuer,
        audience: audienceOf(issuer, server),
        algorithms: [...issuer.algorithms],
        clockTolerance: issuer.clockSkewMs / 1000,
        currentDate: new Date(nowMs()),
        requiredClaims: ['exp'],
      });
      const fault =
        headerFault(protectedHeader.typ) ??
        bindingFault(payload, thumbprint) ??
        timeFault(payload, issuer, nowMs());
      return fault === undefined ? bearerOf(payload, issuer) : invalid(fault);
    } catch (error) {
      return refusalOf(error, issuer);
    }
  };
}

/** Who says that it has issued a token: to be looked up, and nothing else, before the signature is checked. */
function issuerNamed(token: string): string | undefined {
  try {
    const { iss } = decodeJwt(token);
    return typeof iss === 'string' ? iss : undefined;
  } catch {
    return undefined;
  }
}

/** Of a token that is good, as far as its signature and times go. */
function bearerOf(payload: JWTPayload, issuer: JwtIssuer): Authentication {
  const given = scopesOf(payload);
  const missing = issuer.scopes.filter((scope) => !given.includes(scope));
  if (missing.length > 0) {
    const message = `it needs the scope ${missing.join(' ')}`;
    return { ok: false, reason: 'identity_invalid', code: 'identity_scope', message };
  }
  const read = identityOf(payload, issuer.claims, issuer.issuer);
  return read.ok ? read : invalid(read.message);
}

/** Tokens of these types are access tokens, or say nothing of what they are; a logout or DPoP token is none. */
function headerFault(typ: unknown): string | undefined {
  if (typ === undefined) return undefined;
  const type = typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : '';
  return type === 'at+jwt' || type === 'jwt' ? undefined : 'the token is of a type that is no access token';
}

function timeFault({ iat }: JWTPayload, { clockSkewMs }: JwtIssuer, nowMs: number): string | undefined {
  const early = iat !== undefined && iat * 1000 > nowMs + clockSkewMs;
  return early ? 'the token was issued in the future' : undefined;
}

/**
 * RFC 7800: whoever takes a token that is bound to a key for one that anybody may bear lets a thief use it. Of the
 * ways to bind one, certificates (RFC 8705) can be checked here.
 */
function bindingFault({ cnf }: JWTPayload, thumbprint: string | undefined): string | undefined {
  if (cnf === undefined) return undefined;
  const members = Object.entries((cnf as unknown) ?? {});
  const bound = members.length === 1 && members[0]?.[0] === 'x5t#S256' && members[0][1] === thumbprint;
  return bound ? undefined : 'the token is bound to a key, and nothing here proves that the caller has it';
}

function refusalOf(error: unknown, { issuer }: JwtIssuer): Refusal {
  if (error instanceof KeysUnavailable) {
    const message = `the keys of ${issuer} cannot be had: ${error.message}`;
    return { ok: false, reason: 'identity_invalid', code: 'identity_unavailable', message };
  }
  if (error instanceof errors.JWTClaimValidationFailed) return invalid(claimWords(error.claim));
  return invalid((error instanceof errors.JOSEError && WORDS[error.code]) || 'the token cannot be read');
}

function claimWords(claim: string): string {
  if (claim === 'aud') return 'the token is meant for another audience';
  if (claim === 'nbf') return 'the token is not valid yet';
  return `its claim ${claim} is missing or wrong`;
}

const WORDS: Readonly<Record<string, string>> = {
  ERR_JWT_EXPIRED: 'the token has expired',
  ERR_JOSE_ALG_NOT_ALLOWED: 'the token is signed in a way that is not accepted',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'its signature is wrong',
  ERR_JWKS_NO_MATCHING_KEY: 'its issuer has no such key',
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: 'it does not say which key has signed it, and its issuer has several',
};

function invalid(message: string): Refusal {
  return { ok: false, reason: 'identity_invalid', message };
}
