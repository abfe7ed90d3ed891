import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Refusal } from '../../../src/identity/identity.ts';
import {
  challenge,
  metadataServer,
  type ProtectedResources,
} from '../../../src/proxy/http/protected-resource.ts';
import { callTool, scene, send } from '../../support/http-scene.ts';

const resources: ProtectedResources = {
  resource: (server) => `https://mcp.example/${server}/mcp`,
  authorizationServers: ['https://idp.example'],
  scopes: ['mcp'],
};

const METADATA = '/.well-known/oauth-protected-resource/files/mcp';

describe('metadata of a protected resource', () => {
  test('is told to anybody, for each server by itself, and no message is decided or recorded for it', async (t) => {
    const { port, gate, received } = await scene(t, {
      resources,
      authenticate: () => ({ ok: false, reason: 'identity_missing', message: '' }),
    });
    const answer = await send(port, { method: 'GET', path: METADATA });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['content-type'], 'application/json');
    assert.deepEqual(JSON.parse(answer.body.toString()), {
      resource: 'https://mcp.example/files/mcp',
      authorization_servers: ['https://idp.example'],
      scopes_supported: ['mcp'],
      bearer_methods_supported: ['header'],
      resource_name: 'files',
    });
    assert.deepEqual([gate.decided, gate.rejected, received], [[], [], []]);
  });

  const others: readonly (readonly [string, string, string, ProtectedResources | undefined])[] = [
    ['a server that there is not', 'GET', METADATA.replace('files', 'other'), resources],
    ['a path that ends elsewhere', 'GET', `${METADATA}/x`, resources],
    ['no server', 'GET', '/.well-known/oauth-protected-resource', resources],
    ['a POST', 'POST', METADATA, resources],
    ['a proxy that takes no tokens', 'GET', METADATA, undefined],
  ];
  for (const [what, method, path, given] of others) {
    test(`there is none for ${what}`, async (t) => {
      const { port, gate } = await scene(t, { resources: given });
      assert.equal((await send(port, { method, path })).status, 404);
      assert.equal(gate.rejected[0]?.code, 'server_unknown');
    });
  }

  test('is not told to a page of another origin', async (t) => {
    const { port } = await scene(t, { resources });
    const headers = ['Origin', 'https://evil.example'];
    assert.equal((await send(port, { method: 'GET', path: METADATA, headers })).status, 403);
  });

  test('may be asked for by a page that may call', async (t) => {
    const { port } = await scene(t, { resources, allowedOrigins: ['https://app.example'] });
    const headers = ['Origin', 'https://app.example', 'Access-Control-Request-Method', 'GET'];
    const preflight = await send(port, { method: 'OPTIONS', path: METADATA, headers });
    assert.equal(preflight.headers['access-control-allow-origin'], 'https://app.example');
  });
});

describe('the challenge', () => {
  const cases: readonly (readonly [NonNullable<Refusal['code']>, number, string | undefined])[] = [
    ['identity_missing', 401, 'Bearer resource_metadata="URL", scope="mcp"'],
    ['identity_invalid', 401, 'Bearer error="invalid_token", resource_metadata="URL", scope="mcp"'],
    ['identity_form', 400, 'Bearer error="invalid_request", resource_metadata="URL"'],
    ['identity_scope', 403, 'Bearer error="insufficient_scope", resource_metadata="URL", scope="mcp"'],
    // A client that was told its token is bad would throw it away.
    ['identity_unavailable', 503, undefined],
  ];
  for (const [code, status, expected] of cases) {
    test(`of ${code} says what RFC 6750 says, and where the metadata are`, async (t) => {
      const { port, gate, received } = await scene(t, {
        resources,
        authenticate: () => ({ ok: false, reason: 'identity_invalid', code, message: 'why' }),
      });
      const answer = await send(port, { body: callTool(1) });
      const url = `http://127.0.0.1:${port}${METADATA}`;
      assert.deepEqual(
        [answer.status, answer.headers['www-authenticate']],
        [status, expected?.replace('URL', url)],
      );
      assert.equal(answer.headers['retry-after'], code === 'identity_unavailable' ? '5' : undefined);
      assert.deepEqual(
        gate.rejected.map((rejection) => [rejection.reason, rejection.code, rejection.details['detail']]),
        [['identity_invalid', code, 'why']],
      );
      assert.deepEqual(received, []);
    });
  }

  test('points at https wherever the client is not on this machine', () => {
    const at = (host: string, secure = false) =>
      challenge('identity_missing', { resources, server: 'files', host, secure });
    assert.match(at('mcp.example') ?? '', /"https:\/\/mcp\.example\/\.well-known/);
    assert.match(at('localhost:8080') ?? '', /"http:\/\/localhost:8080\//);
    assert.match(at('[::1]:8080') ?? '', /"http:\/\/\[::1\]:8080\//);
    assert.match(at('localhost:8443', true) ?? '', /"https:\/\/localhost:8443\//);
  });
});

test('the authenticator is told of a token in the URL, and for which server it is', async (t) => {
  const seen: unknown[] = [];
  const { port } = await scene(t, {
    authenticate: (credentials) => {
      seen.push(credentials);
      return { ok: false, reason: 'identity_invalid', message: '' };
    },
  });
  for (const query of ['', '?a=1', '?access_token=x', '?a=1&access%5Ftoken=', '??access_token=x'])
    await send(port, { path: `/files/mcp${query}`, body: callTool(1) });
  const credentials = (tokenInUrl: boolean) => ({
    authorization: [],
    tokenInUrl,
    server: 'files',
    certificate: undefined,
  });
  assert.deepEqual(seen, [false, false, true, true, false].map(credentials));
});

test('a path names a server only where it is one', () => {
  assert.equal(metadataServer(METADATA), 'files');
  for (const path of ['/files/mcp', METADATA.slice(1), '/.well-known/oauth-protected-resource//mcp'])
    assert.equal(metadataServer(path), undefined, path);
});
