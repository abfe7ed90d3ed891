/** Against a token endpoint on loopback that answers as it should, and as it should not. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { describe, test, type TestContext } from 'node:test';
import type { OAuthClient } from '../../src/config/oauth-client.ts';
import { fetchToken, TOKEN_BYTES_MAX } from '../../src/service/client-credentials.ts';

const SECRET = 'sécret: %&+';

interface Asked {
  readonly authorization: string;
  readonly form: Record<string, string>;
}

async function endpoint(t: TestContext, answer: (response: ServerResponse) => void) {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    void buffer(request).then((body) => {
      const form = Object.fromEntries(new URLSearchParams(body.toString()));
      asked.push({ authorization: request.headers.authorization ?? '', form });
      answer(response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const client: OAuthClient = {
    tokenUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    clientId: 'the client',
    clientSecret: SECRET,
    scope: 'a b',
    resource: 'https://up.example/mcp',
  };
  return { client, asked };
}

const json =
  (value: unknown, status = 200) =>
  (response: ServerResponse): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  };

describe('a token by client credentials', () => {
  test('is asked for as RFC 6749 and RFC 8707 say', async (t) => {
    const good = { access_token: 'a.b-c', token_type: 'bearer', expires_in: 60 };
    const { client, asked } = await endpoint(t, json(good));
    assert.deepEqual(await fetchToken(client), { token: 'a.b-c', lifetimeMs: 60_000 });
    const [one] = asked;
    const pair = Buffer.from((one?.authorization ?? '').replace('Basic ', ''), 'base64').toString();
    assert.deepEqual(pair, 'the+client:s%C3%A9cret%3A+%25%26%2B');
    assert.deepEqual(one?.form, {
      grant_type: 'client_credentials',
      scope: 'a b',
      resource: 'https://up.example/mcp',
    });
  });

  const bad: readonly (readonly [string, (response: ServerResponse) => void, RegExp])[] = [
    ['a refusal', json({ error: 'invalid_client' }, 401), /^status 401, invalid_client \(http/],
    ['a refusal in words of any kind', json({ error: `${SECRET}\n` }, 400), /^status 400 \(http/],
    ['a failure with a token', json({ access_token: 'a', token_type: 'Bearer' }, 500), /^status 500/],
    ['no token', json({ token_type: 'Bearer' }), /holds no bearer token/],
    [
      'a token that would end its header',
      json({ access_token: 'a\r\nX: y', token_type: 'Bearer' }),
      /holds no/,
    ],
    ['an empty token', json({ access_token: '', token_type: 'Bearer' }), /holds no/],
    ['a token of another type', json({ access_token: 'a', token_type: 'DPoP' }), /holds no/],
    ['a token without a type', json({ access_token: 'a' }), /holds no/],
    ['no JSON', (response) => response.end('<html>'), /holds no/],
    ['a redirect', (response) => response.writeHead(307, { location: '/x' }).end(), /^status 307/],
    ['more than a token', json({ access_token: 'a'.repeat(TOKEN_BYTES_MAX) }), /larger than/],
    ['a connection that breaks', (response) => response.destroy(), /\/token\)$/],
  ];
  for (const [what, answer, message] of bad) {
    test(`is not taken from ${what}, and the secret is in no message`, async (t) => {
      const { client, asked } = await endpoint(t, answer);
      await assert.rejects(fetchToken(client), (error: Error) => {
        assert.match(error.message, message);
        assert.ok(!error.message.includes('cret'), error.message);
        return true;
      });
      assert.equal(asked.length, 1);
    });
  }

  test('is waited for no longer than a limit', async (t) => {
    const { client } = await endpoint(t, () => {});
    await assert.rejects(fetchToken(client, 50), { message: `no answer in time (${client.tokenUrl})` });
  });
});
