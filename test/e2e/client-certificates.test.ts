import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createLocalJWKSet } from 'jose';
import { httpAuthenticator } from '../../src/identity/authenticate.ts';
import { jwtAuthenticator } from '../../src/identity/jwt.ts';
import {
  authenticateCertificate,
  thumbprintOf,
  type CertificateName,
  type ClientCertificate,
} from '../../src/identity/mtls.ts';
import { createAuthority, skipWithoutOpenssl, type Authority } from '../support/certificates.ts';
import { newPair, NOW_MS, token, TRUSTED } from '../support/tokens.ts';

const DAY_MS = 86_400_000;

describe('a client certificate', { skip: skipWithoutOpenssl() }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-mtls-'));
  let authority: Authority;
  let number = 0;

  before(() => {
    authority = createAuthority(directory, 'clients');
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  const naming = (names: string): ClientCertificate => {
    const lines = names === '' ? ['basicConstraints=CA:FALSE'] : [`subjectAltName=${names}`];
    const { certificate } = authority.sign(`alice-${(number += 1)}`, lines);
    return { authorized: true, x509: new X509Certificate(readFileSync(certificate)) };
  };
  const prove = (certificate: ClientCertificate, name: CertificateName = 'spiffe', nowMs = Date.now()) =>
    authenticateCertificate(certificate, name, nowMs);

  test('proves the SPIFFE id that it holds, and who vouches', () => {
    const result = prove(naming('URI:spiffe://corp.example/ns/agents/sa/refunds'));
    assert.deepEqual(result, {
      ok: true,
      identity: {
        source: 'mtls',
        user: 'spiffe://corp.example/ns/agents/sa/refunds',
        agent: { id: 'spiffe://corp.example/ns/agents/sa/refunds' },
        issuer: 'CN=clients',
      },
    });
  });

  test('proves another name, where the configuration says so', () => {
    const certificate = naming('DNS:bot.corp.example,email:bot@corp.example,URI:https://x.example');
    const names = (['dns', 'email', 'common_name'] as const).map((name) => {
      const result = prove(certificate, name);
      return result.ok && result.identity.user;
    });
    assert.deepEqual(names, ['bot.corp.example', 'bot@corp.example', `alice-${number}`]);
  });

  const bad: readonly (readonly [string, string, CertificateName])[] = [
    ['no URI', 'DNS:a.example', 'spiffe'],
    ['no names at all', '', 'spiffe'],
    ['two SPIFFE ids', 'URI:spiffe://a/b,URI:spiffe://a/c', 'spiffe'],
    ['a second URI', 'URI:spiffe://a/b,URI:https://a', 'spiffe'],
    ['a URI of another kind', 'URI:https://corp.example/a', 'spiffe'],
    ['the id of a whole trust domain', 'URI:spiffe://corp.example', 'spiffe'],
    ['an id that climbs', 'URI:spiffe://corp.example/a/../b', 'spiffe'],
    ['an id with an empty segment', 'URI:spiffe://corp.example/a//b', 'spiffe'],
    ['an id in capitals', 'URI:SPIFFE://corp.example/a', 'spiffe'],
    ['an id with a query', 'URI:spiffe://corp.example/a?b', 'spiffe'],
    ['two DNS names', 'DNS:a.example,DNS:b.example', 'dns'],
    ['a name that would write another', '@names\n[names]\nURI.1=spiffe://a/b, DNS:root.example', 'dns'],
  ];
  for (const [what, names, kind] of bad) {
    test(`with ${what} proves nothing`, () => {
      const result = prove(naming(names), kind);
      assert.equal(result.ok ? 'ok' : result.reason, 'identity_invalid');
    });
  }

  test('proves nothing before and after its time, on a connection that goes on', () => {
    const certificate = naming('URI:spiffe://a/b');
    assert.ok(prove(certificate).ok);
    const late = prove(certificate, 'spiffe', Date.now() + 3 * DAY_MS);
    assert.match(late.ok ? '' : late.message, /expired/);
    const early = prove(certificate, 'spiffe', Date.now() - DAY_MS);
    assert.match(early.ok ? '' : early.message, /not valid yet/);
  });

  test('that no authority of ours has signed fails a request whatever else it carries', async () => {
    const key = await newPair('k1');
    const nowMs = () => Date.now();
    const jwt = jwtAuthenticator({
      issuers: [TRUSTED],
      keys: () => createLocalJWKSet({ keys: [key.jwk] }),
      nowMs: () => NOW_MS,
    });
    const authenticate = httpAuthenticator({ jwt, certificateName: 'spiffe', anonymous: 'allow', nowMs });
    const good = naming('URI:spiffe://a/b');
    const authorization = [`Bearer ${await token(key)}`];
    const request = { tokenInUrl: false, server: 'files' };
    assert.ok((await authenticate({ ...request, authorization, certificate: good })).ok);
    for (const headers of [authorization, []]) {
      const certificate = { ...good, authorized: false };
      const result = await authenticate({ ...request, authorization: headers, certificate });
      assert.match(result.ok ? 'ok' : result.message, /no authority/);
    }
    const wrong = await authenticate({ ...request, authorization: ['Bearer a.b.c'], certificate: good });
    assert.ok(!wrong.ok, 'a bad token fell through to a good certificate');
  });

  test('makes a token good that is bound to it, and to no other', async () => {
    const key = await newPair('k1');
    const jwt = jwtAuthenticator({
      issuers: [TRUSTED],
      keys: () => createLocalJWKSet({ keys: [key.jwk] }),
      nowMs: () => NOW_MS,
    });
    const thumbprint = thumbprintOf(naming('DNS:a'));
    const bound = await token(key, { cnf: { 'x5t#S256': thumbprint } });
    assert.ok((await jwt(bound, { server: 'files', thumbprint })).ok);
    assert.ok(!(await jwt(bound, { server: 'files', thumbprint: thumbprintOf(naming('DNS:a')) })).ok);
    assert.ok(!(await jwt(bound, { server: 'files' })).ok);
    for (const cnf of [{ jkt: thumbprint }, { 'x5t#S256': thumbprint, jkt: 'x' }, {}, null, 'x']) {
      assert.ok(
        !(await jwt(await token(key, { cnf }), { server: 'files', thumbprint })).ok,
        JSON.stringify(cnf),
      );
    }
  });
});
