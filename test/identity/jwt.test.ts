import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { createLocalJWKSet } from 'jose';
import { newApiKey } from '../../src/identity/api-keys.ts';
import { httpAuthenticator } from '../../src/identity/authenticate.ts';
import { TOKEN_CHARS_MAX } from '../../src/identity/bearer.ts';
import { CLAIM_CHARS_MAX, DELEGATION_MAX } from '../../src/identity/claims.ts';
import type { Authentication, Refusal } from '../../src/identity/identity.ts';
import { jwtAuthenticator, type JwtIssuer } from '../../src/identity/jwt.ts';
import { KeysUnavailable } from '../../src/identity/key-set.ts';
import {
  AUDIENCE,
  delegation,
  encode,
  GOOD_CLAIMS,
  ISSUER,
  newPair,
  NOW_MS,
  NOW_S,
  token,
  TRUSTED,
  type SigningPair,
} from '../support/tokens.ts';

let key: SigningPair;
let rsa: SigningPair;
let stranger: SigningPair;
let otherIssuers: SigningPair;

before(async () => {
  [key, rsa, stranger, otherIssuers] = await Promise.all([
    newPair('k1'),
    newPair('r1', 'RS256'),
    newPair('k1'),
    newPair('o1'),
  ]);
});

const OTHER = 'https://other.example';

function authenticate(header: string | readonly string[], changes: Partial<JwtIssuer> = {}) {
  const jwt = jwtAuthenticator({
    issuers: [
      { ...TRUSTED, ...changes },
      { ...TRUSTED, issuer: OTHER },
    ],
    keys: ({ issuer }) =>
      createLocalJWKSet({ keys: issuer === ISSUER ? [key.jwk, rsa.jwk] : [otherIssuers.jwk] }),
    nowMs: () => NOW_MS,
  });
  // Where anonymous callers are served, a refusal that fell through would show at once.
  const all = httpAuthenticator({ jwt, anonymous: 'allow', nowMs: () => NOW_MS });
  const authorization = typeof header === 'string' ? [header] : header;
  return Promise.resolve(all({ authorization, tokenInUrl: false, server: 'files' }));
}

const bearing = async (made: string | Promise<string>, changes?: Partial<JwtIssuer>) =>
  authenticate(`Bearer ${await made}`, changes);

function assertRefused(result: Authentication, message: RegExp): Refusal {
  assert.ok(!result.ok, `an identity: ${JSON.stringify(result)}`);
  assert.equal(result.reason, 'identity_invalid');
  assert.match(result.message, message);
  return result;
}

describe('a good token', () => {
  test('proves user, roles and agent, and nothing that it does not say', async () => {
    const result = await bearing(token(key, { roles: ['finance', 'ops'] }));
    assert.deepEqual(result, {
      ok: true,
      identity: {
        source: 'jwt',
        issuer: ISSUER,
        user: 'alice',
        roles: ['finance', 'ops'],
        agent: { id: 'claude' },
        delegation: undefined,
      },
    });
  });

  const good: readonly (readonly [string, () => Promise<string>, Partial<JwtIssuer>?])[] = [
    ['signed with RS256', () => token(rsa)],
    ['of the type application/at+jwt', () => token(key, {}, { typ: 'application/at+jwt' })],
    ['of the type JWT', () => token(key, {}, { typ: 'JWT' })],
    ['without a type', () => token(key, {}, { typ: undefined })],
    ['without a kid, where one key only can have signed', () => token(key, {}, { kid: undefined })],
    ['with our audience among others', () => token(key, { aud: ['https://x.example', AUDIENCE] })],
    ['that has expired within the skew', () => token(key, { exp: NOW_S - 29 })],
    ['that becomes valid within the skew', () => token(key, { nbf: NOW_S + 30, iat: NOW_S + 30 })],
    ['without iat', () => token(key, { iat: undefined })],
    ['of another issuer that is trusted', () => token(otherIssuers, { iss: OTHER })],
    ['for this server', () => token(key, { aud: 'urn:files' }), { audience: 'urn:{server}' }],
    ['with the scopes that are needed', () => token(key, { scope: 'a mcp b' }), { scopes: ['mcp', 'a'] }],
    ['with scopes as a list', () => token(key, { scp: ['mcp'] }), { scopes: ['mcp'] }],
  ];
  for (const [what, made, changes] of good) {
    test(`${what} is accepted`, async () => {
      const result = await bearing(made(), changes);
      assert.ok(result.ok, JSON.stringify(result));
      assert.equal(result.identity.user, 'alice');
    });
  }
});

/** Each fault alone fails a token; the property below puts them together. */
const CLAIM_FAULTS: readonly (readonly [string, Readonly<Record<string, unknown>>, RegExp])[] = [
  ['another issuer', { iss: 'https://evil.example' }, /issuer is not one/],
  ['an issuer that differs in a slash', { iss: `${ISSUER}/` }, /issuer is not one/],
  ['no issuer', { iss: undefined }, /no signed JWT/],
  ['the issuer in a list', { iss: [ISSUER] }, /no signed JWT/],
  ['another trusted issuer, whose key it is not', { iss: OTHER }, /no such key/],
  ['another audience', { aud: 'https://mcp.example.evil' }, /another audience/],
  ['an audience below ours', { aud: `${AUDIENCE}/files` }, /another audience/],
  ['an audience that ours begins', { aud: 'https://mcp' }, /another audience/],
  ['an empty list of audiences', { aud: [] }, /another audience/],
  ['no audience', { aud: undefined }, /another audience/],
  ['no expiry', { exp: undefined }, /exp is missing/],
  ['an expiry beyond the skew', { exp: NOW_S - 30 }, /expired/],
  ['an expiry as text', { exp: String(NOW_S + 300) }, /exp is missing or wrong/],
  ['a beginning beyond the skew', { nbf: NOW_S + 31 }, /not valid yet/],
  ['a time of issue beyond the skew', { iat: NOW_S + 31 }, /in the future/],
  ['a time of issue as text', { iat: 'now' }, /iat is missing or wrong/],
  ['no subject', { sub: undefined }, /no claim sub/],
  ['an empty subject', { sub: '' }, /sub is no text/],
  ['a subject that is a number', { sub: 7 }, /sub is no text/],
  ['a subject of endless length', { sub: 'a'.repeat(CLAIM_CHARS_MAX + 1) }, /more than 256/],
  ['roles that are a number', { roles: 7 }, /roles is no list/],
  ['roles that are an object', { roles: { admin: true } }, /roles is no list/],
  ['a role that is no text', { roles: ['a', 7] }, /roles is no text/],
  ['roles that are null', { roles: null }, /roles is no list/],
  ['a bound key (DPoP)', { cnf: { jkt: 'x' } }, /bound to a key/],
  ['a bound key (certificate)', { cnf: { 'x5t#S256': 'x' } }, /bound to a key/],
  ['an actor that is text', { act: 'bot' }, /act is no object/],
  ['an actor that is nobody', { act: {} }, /act names nobody/],
  ['an actor in a list', { act: [{ sub: 'bot' }] }, /act is no object/],
  ['an actor before that is null', { act: { sub: 'bot', act: null } }, /act is no object/],
  ['a circle of actors', { act: { sub: 'a', act: { sub: 'b', act: { sub: 'a' } } } }, /a party twice/],
  ['the user as its own actor', { act: { sub: 'alice' } }, /a party twice/],
  ['an agent that is no text', { client_id: {} }, /client_id is no text/],
];

describe('a token is refused', () => {
  for (const [what, claims, message] of CLAIM_FAULTS) {
    test(`with ${what}`, async () => {
      assertRefused(await bearing(token(key, claims)), message);
    });
  }

  const forged: readonly (readonly [string, () => string | Promise<string>, RegExp])[] = [
    ['signed by a stranger under a kid of the issuer', () => token(stranger), /signature is wrong/],
    ['signed by another trusted issuer’s key', () => token(otherIssuers), /no such key/],
    ['with a kid that the issuer does not have', () => token({ ...key, kid: 'k9' }), /no such key/],
    [
      'with alg none and no signature',
      () => `${encode({ alg: 'none', typ: 'at+jwt' })}.${encode(GOOD_CLAIMS)}.`,
      /not accepted/,
    ],
    ['with alg NonE', () => `${encode({ alg: 'NonE' })}.${encode(GOOD_CLAIMS)}.`, /not accepted/],
    [
      'with its signature cut off',
      async () => (await token(key)).replace(/[^.]*$/, ''),
      /signature is wrong|read/,
    ],
    ['without its last part', async () => (await token(key)).replace(/\.[^.]*$/, ''), /no signed JWT/],
    [
      'with HS256 over the public key',
      () => hmacToken(JSON.stringify(rsa.jwk), { alg: 'HS256', kid: 'r1' }),
      /not accepted/,
    ],
    [
      'with an alg that this issuer does not use',
      () => token(key, {}, { alg: 'ES384' }).catch(() => 'x.y.z'),
      /./,
    ],
    [
      'with a key of its own in the header',
      () => token(stranger, {}, { jwk: stranger.jwk, kid: 'z' }),
      /no such key/,
    ],
    [
      'with a key URL of its own',
      () => token(stranger, {}, { jku: 'https://evil.example', kid: 'z' }),
      /no such key/,
    ],
    ['of the type of a DPoP proof', () => token(key, {}, { typ: 'dpop+jwt' }), /no access token/],
    ['of the type of a logout token', () => token(key, {}, { typ: 'logout+jwt' }), /no access token/],
    ['encrypted, in five parts', () => `${encode({ alg: 'dir', enc: 'A256GCM' })}.a.b.c.d`, /no signed JWT/],
    ['that is dots', () => '..', /no signed JWT/],
    [
      'with claims that are no object',
      () => `${encode({ alg: 'ES256' })}.${encode([1])}.AAAA`,
      /no signed JWT/,
    ],
    ['with an unknown critical header', () => critical(), /cannot be read/],
    [
      'that is too large to be looked into',
      () => token(key, { pad: 'x'.repeat(TOKEN_CHARS_MAX) }),
      /more than 16384 characters/,
    ],
    [
      'whose chain of actors is too long',
      () => token(key, { act: delegation(DELEGATION_MAX + 1) }),
      /longer than 8/,
    ],
  ];
  for (const [what, made, message] of forged) {
    test(what, async () => {
      assertRefused(await bearing(made()), message);
    });
  }

  test('for another server, where audiences name servers', async () => {
    const changes = { audience: 'https://mcp.example/{server}/mcp' };
    const forOther = token(key, { aud: 'https://mcp.example/stripe/mcp' });
    assertRefused(await bearing(forOther, changes), /another audience/);
  });

  test('with an algorithm that is not on the issuer’s list', async () => {
    assertRefused(await bearing(token(rsa), { algorithms: ['ES256'] }), /not accepted/);
  });

  test('without a needed scope, which is another answer than a bad token', async () => {
    for (const scope of [undefined, '', 'mcpx', 'mc p']) {
      const result = await bearing(token(key, { scope }), { scopes: ['mcp'] });
      assert.equal(assertRefused(result, /needs the scope mcp/).code, 'identity_scope');
    }
  });

  test('in two headers, though each is good', async () => {
    const good = `Bearer ${await token(key)}`;
    const result = await authenticate([good, good]);
    assert.equal(assertRefused(result, /more than one/).code, 'identity_form');
  });

  test('when the keys cannot be had, which is said to be our trouble', async () => {
    const jwt = jwtAuthenticator({
      issuers: [TRUSTED],
      keys: () => () => Promise.reject(new KeysUnavailable('ECONNREFUSED')),
      nowMs: () => NOW_MS,
    });
    const result = assertRefused(
      await jwt(await token(key), { server: 'files' }),
      /^the keys of https:\/\/idp/,
    );
    assert.equal(result.code, 'identity_unavailable');
  });

  test('where no issuer is trusted, and an API key where there are no keys', async () => {
    const { key: apiKey } = newApiKey({ user: 'alice' });
    const none = httpAuthenticator({ anonymous: 'allow', nowMs: () => NOW_MS });
    for (const [presented, message] of [
      [await token(key), /no token issuer/],
      [apiKey, /not known here/],
    ] as const) {
      const result = await none({
        authorization: [`Bearer ${presented}`],
        tokenInUrl: false,
        server: 'files',
      });
      assertRefused(result, message);
    }
  });

  test('in the URL, also beside a good one in the header', async () => {
    const jwt = jwtAuthenticator({
      issuers: [TRUSTED],
      keys: () => createLocalJWKSet({ keys: [key.jwk] }),
      nowMs: () => NOW_MS,
    });
    const authorization = [`Bearer ${await token(key)}`];
    const all = httpAuthenticator({ jwt, anonymous: 'allow', nowMs: () => NOW_MS });
    assert.ok((await all({ authorization, tokenInUrl: false, server: 'files' })).ok);
    for (const headers of [authorization, []]) {
      const result = await all({ authorization: headers, tokenInUrl: true, server: 'files' });
      assert.equal(assertRefused(result, /in the URL/).code, 'identity_form');
    }
  });
});

function hmacToken(secret: string, header: object): string {
  const text = `${encode(header)}.${encode(GOOD_CLAIMS)}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

/** Signed over all of its header, as jose will not do for a name that it does not know. */
async function critical(): Promise<string> {
  const header = { alg: 'ES256', kid: 'k1', crit: ['x-limit'], 'x-limit': 1 };
  const text = `${encode(header)}.${encode(GOOD_CLAIMS)}`;
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
  const signature = await crypto.subtle.sign(algorithm, key.privateKey, Buffer.from(text));
  return `${text}.${Buffer.from(signature).toString('base64url')}`;
}

/**
 * Whether a token is another one letter by letter, at most: the last character of a signature stands for four bits that
 * are in no byte, and a reader may pass over them (RFC 4648, section 3.5).
 */
function isSameToken(one: string, other: string): boolean {
  const [a, b] = [one, other].map((text) => [
    text.slice(0, text.lastIndexOf('.')),
    text.split('.').at(-1) ?? '',
  ]);
  const bytes = (text = ''): string => Buffer.from(text, 'base64url').toString('hex');
  return a?.[0] === b?.[0] && a?.[1]?.length === b?.[1]?.length && bytes(a?.[1]) === bytes(b?.[1]);
}

describe('no failing token yields an identity', () => {
  test('whatever faults its claims have, together or alone', async () => {
    const faults = fc.subarray([...CLAIM_FAULTS], { minLength: 1 });
    const extra = fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 4 });
    await fc.assert(
      fc.asyncProperty(faults, extra, async (chosen, more) => {
        const claims = Object.assign({}, more, GOOD_CLAIMS, ...chosen.map(([, claims]) => claims));
        assert.ok(!(await bearing(token(key, claims as Record<string, unknown>))).ok);
      }),
      { numRuns: 60 },
    );
  });

  test('whichever characters of a good one are changed, taken out or put in', async () => {
    const good = await token(key, { roles: ['finance'] });
    const edit = fc.record({
      at: fc.nat(good.length - 1),
      take: fc.nat(3),
      put: fc.string({ maxLength: 3, unit: fc.constantFrom(...'Aa0-_.=+/ {"\u00e9\n'.split('')) }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async (edits) => {
        let changed = good;
        for (const { at, take, put } of edits)
          changed = changed.slice(0, at) + put + changed.slice(at + take);
        // Blanks around a token are no part of it.
        fc.pre(!isSameToken(changed.trim(), good));
        assert.ok(!(await authenticate(`Bearer ${changed}`)).ok, changed);
      }),
      { numRuns: 300 },
    );
  });

  test('whatever is sent as a token, and nothing of it is repeated to whoever sent it', async () => {
    const sent = fc.oneof(fc.string(), fc.base64String());
    const part = fc.oneof(fc.base64String(), fc.jsonValue().map(encode), fc.string());
    const three = fc.tuple(part, part, part).map((parts) => parts.join('.'));
    await fc.assert(
      fc.asyncProperty(fc.oneof(sent, three), async (text) => {
        const result = await authenticate(`Bearer ${text}`);
        assert.ok(!result.ok);
        assert.ok(text.length < 12 || !result.message.includes(text));
      }),
      { numRuns: 150 },
    );
  });
});
