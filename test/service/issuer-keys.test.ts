/** Against servers on loopback that answer as issuers do, and as they should not. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { fetchIssuerKeys, KEYS_BYTES_MAX } from '../../src/service/issuer-keys.ts';

type Pages = Readonly<Record<string, (response: ServerResponse, origin: string) => void>>;

async function issuer(t: TestContext, pages: Pages): Promise<{ origin: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer(({ url = '' }, response) => {
    asked.push(url);
    const page = pages[url];
    if (page === undefined) response.writeHead(404).end();
    else page(response, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const json =
  (value: (origin: string) => unknown) =>
  (response: ServerResponse, origin: string): void => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value(origin)));
  };

const KEYS = { keys: [] };
const keys = json(() => KEYS);
const metadata = (path = '') =>
  json((origin) => ({ issuer: `${origin}${path}`, jwks_uri: `${origin}/jwks` }));

describe('the keys of an issuer are found', () => {
  test('at its jwks_uri, without asking for anything else', async (t) => {
    const { origin, asked } = await issuer(t, { '/k': keys });
    assert.deepEqual(await fetchIssuerKeys({ issuer: origin, jwksUri: `${origin}/k` }), KEYS);
    assert.deepEqual(asked, ['/k']);
  });

  test('by its OAuth metadata', async (t) => {
    const { origin, asked } = await issuer(t, {
      '/.well-known/oauth-authorization-server/tenant': metadata('/tenant'),
      '/jwks': keys,
    });
    assert.deepEqual(await fetchIssuerKeys({ issuer: `${origin}/tenant`, jwksUri: undefined }), KEYS);
    assert.deepEqual(asked, ['/.well-known/oauth-authorization-server/tenant', '/jwks']);
  });

  test('by its OpenID metadata, where it has no other', async (t) => {
    const { origin } = await issuer(t, {
      '/tenant/.well-known/openid-configuration': metadata('/tenant/'),
      '/jwks': keys,
    });
    assert.deepEqual(await fetchIssuerKeys({ issuer: `${origin}/tenant/`, jwksUri: undefined }), KEYS);
  });
});

describe('no keys are taken', () => {
  const page = '/.well-known/oauth-authorization-server';
  const bad: readonly (readonly [string, Pages, RegExp])[] = [
    [
      'where there is no metadata',
      {},
      /^status 404 \(.*oauth-authorization-server\), status 404 \(.*openid-configuration\)$/,
    ],
    [
      'from the metadata of another issuer',
      { [page]: metadata('/other'), '/jwks': keys },
      /^the metadata are another issuer’s \(/,
    ],
    ['from metadata that is no JSON', { [page]: (response) => response.end('<html>') }, /another issuer’s/],
    [
      'from a jwks_uri in the clear',
      { [page]: json((origin) => ({ issuer: origin, jwks_uri: 'http://evil.example/jwks' })) },
      /jwks_uri must be an https URL/,
    ],
    [
      'from a jwks_uri that is a file',
      { [page]: json((origin) => ({ issuer: origin, jwks_uri: 'file:///etc/passwd' })) },
      /jwks_uri must be an https URL/,
    ],
    ['where none is named', { [page]: json((origin) => ({ issuer: origin })) }, /jwks_uri is missing \(/],
    [
      'from where a redirect leads',
      {
        [page]: metadata(),
        '/jwks': (response) => response.writeHead(302, { location: '/k' }).end(),
        '/k': keys,
      },
      /^status 302 \(.*\/jwks\)$/,
    ],
    [
      'that are larger than anybody’s',
      {
        [page]: metadata(),
        '/jwks': (response) => response.end(`{"keys":[],"a":"${'x'.repeat(KEYS_BYTES_MAX)}"}`),
      },
      /^the answer is larger than 262144 bytes \(/,
    ],
    [
      'from a server that fails',
      { [page]: metadata(), '/jwks': (response) => response.writeHead(500).end() },
      /^status 500/,
    ],
    [
      'from a connection that breaks',
      { [page]: (response) => response.destroy() },
      /authorization-server\)$/,
    ],
  ];
  for (const [what, pages, message] of bad) {
    test(what, async (t) => {
      const { origin } = await issuer(t, pages);
      await assert.rejects(fetchIssuerKeys({ issuer: origin, jwksUri: undefined }), { message });
    });
  }

  test('from a server that does not answer, and the wait has an end', async (t) => {
    const { origin, asked } = await issuer(t, { '/k?secret=1': () => {} });
    const fetching = fetchIssuerKeys({ issuer: origin, jwksUri: `${origin}/k?secret=1` }, 50);
    await assert.rejects(fetching, { message: `no answer in time (${origin}/k)` });
    // Whether it was asked in time is up to the machine: it is not asked again.
    assert.ok(asked.length <= 1);
  });

  test('from a server that stops in the middle', async (t) => {
    const { origin } = await issuer(t, { '/k': (response) => void response.write('{"keys":') });
    await assert.rejects(fetchIssuerKeys({ issuer: origin, jwksUri: `${origin}/k` }, 50), {
      message: `no answer in time (${origin}/k)`,
    });
  });

  test('where nobody listens, and the system’s reason is told', async (t) => {
    const { origin } = await issuer(t, {});
    const nowhere = origin.replace(/\d+$/, '1');
    await assert.rejects(fetchIssuerKeys({ issuer: nowhere, jwksUri: `${nowhere}/k` }), {
      message: /ECONNREFUSED|bad port/,
    });
  });
});
