/** A token issuer in memory: keys of its own, and tokens that are good unless the test says otherwise. */
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK, type JWTPayload } from 'jose';
import type { JwtIssuer } from '../../src/identity/jwt.ts';

export const ISSUER = 'https://idp.example';
export const AUDIENCE = 'https://mcp.example';
export const NOW_MS = Date.parse('2026-11-26T12:00:00Z');
export const NOW_S = NOW_MS / 1000;

export interface SigningPair {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  /** As an issuer publishes it. */
  readonly jwk: JWK;
}

export async function newPair(kid: string, alg = 'ES256'): Promise<SigningPair> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

export const GOOD_CLAIMS: JWTPayload = {
  iss: ISSUER,
  aud: AUDIENCE,
  sub: 'alice',
  client_id: 'claude',
  exp: NOW_S + 300,
  iat: NOW_S - 10,
};

/** A claim that is undefined is left out. */
export function token(
  pair: Pick<SigningPair, 'kid' | 'alg' | 'privateKey'>,
  claims: Readonly<Record<string, unknown>> = {},
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const payload = Object.fromEntries(
    Object.entries({ ...GOOD_CLAIMS, ...claims }).filter(([, value]) => value !== undefined),
  );
  return new SignJWT(payload)
    .setProtectedHeader({ alg: pair.alg, kid: pair.kid, typ: 'at+jwt', ...header })
    .sign(pair.privateKey);
}

/** As the configuration makes one that says no more than it must. */
export const TRUSTED: JwtIssuer = {
  issuer: ISSUER,
  audience: AUDIENCE,
  jwksUri: undefined,
  algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
  clockSkewMs: 30_000,
  scopes: [],
  claims: { user: 'sub', roles: 'roles', agent: undefined },
};

export function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** A claim `act` with so many parties. */
export function delegation(length: number): object | undefined {
  let act: object | undefined;
  for (let index = length; index > 0; index -= 1) {
    act = act === undefined ? { sub: `a${index}` } : { sub: `a${index}`, act };
  }
  return act;
}
