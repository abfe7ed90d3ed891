import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { credentialsOf, findIssuers } from '../../../src/service/doctor/credentials.ts';
import { TRUSTED } from '../../support/tokens.ts';

async function listening(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('issuers whose keys can be had, whose keys are none, and who do not answer as issuers', async (t) => {
  const origin = await listening(t, ({ url }, response) => {
    if (url === '/good') response.end('{"keys":[{},{}]}');
    else if (url === '/empty') response.end('{"keys":[]}');
    else response.writeHead(500).end();
  });
  const found = await findIssuers(
    ['good', 'empty', 'bad'].map((path) => ({ ...TRUSTED, issuer: path, jwksUri: `${origin}/${path}` })),
  );
  assert.deepEqual(
    found.map(({ subject, level, found, exit }) => [subject, level, found, exit]),
    [
      ['good', 'ok', '2 keys', undefined],
      ['empty', 'fail', 'what it serves as its keys is no JWK Set, or an empty one', undefined],
      ['bad', 'fail', `its keys cannot be had: status 500 (${origin}/bad)`, 4],
    ],
  );
});

test('an upstream is asked with the token that it is to have; without one it is said why, and no secret', async (t) => {
  const origin = await listening(t, ({ url }, response) => {
    if (url === '/good') response.end('{"access_token":"a.b","token_type":"Bearer"}');
    else response.writeHead(401).end('{"error":"invalid_client"}');
  });
  const upstream = (path: string) => ({
    kind: 'http' as const,
    name: 'stripe',
    url: new URL(origin),
    headers: { 'x-tenant': '1' },
    oauth: {
      tokenUrl: `${origin}/${path}`,
      clientId: 'c',
      clientSecret: 'hidden',
      scope: undefined,
      resource: undefined,
    },
  });
  assert.deepEqual(await credentialsOf({ ...upstream('good'), oauth: undefined }), {
    ok: true,
    headers: { 'x-tenant': '1' },
  });
  assert.deepEqual(await credentialsOf(upstream('good')), {
    ok: true,
    headers: { 'x-tenant': '1', authorization: 'Bearer a.b' },
  });
  const refused = await credentialsOf(upstream('bad'));
  assert.ok(!refused.ok);
  assert.equal(refused.finding.found, `no token for it: status 401, invalid_client (${origin}/bad)`);
  assert.ok(!JSON.stringify(refused).includes('hidden'));
});
