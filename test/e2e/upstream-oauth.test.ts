/**
 * The built `serve` before an upstream that takes tokens of a certified provider only, and takes them back: it gets its
 * own, gets another when one is refused, and what the client came with stays with it.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { newApiKey } from '../../src/identity/api-keys.ts';
import { CLIENT, startAuthorizationServer } from '../support/authorization-server.ts';
import { startCli } from '../support/cli.ts';
import { callTool } from '../support/http-scene.ts';

const RESOURCE = 'https://stripe.example/mcp';

test('an upstream gets tokens of ours, another when one is taken back, and never the client’s key', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-upstream-oauth-'));
  const op = await startAuthorizationServer({ alg: 'RS256' });
  const keys = createRemoteJWKSet(new URL(`${op.issuer}/jwks`));
  const takenBack = new Set<string>();
  const seen: string[] = [];
  const accepts = async ({ headers }: IncomingMessage): Promise<boolean> => {
    const token = headers.authorization?.replace('Bearer ', '') ?? '';
    seen.push(token);
    if (takenBack.has(token)) return false;
    return jwtVerify(token, keys, { issuer: op.issuer, audience: RESOURCE }).then(
      () => true,
      () => false,
    );
  };
  const upstream = createServer((request, response) => {
    request.resume();
    void accepts(request).then((good) => {
      response.writeHead(good ? 200 : 401, { 'content-type': 'application/json' });
      response.end('{"jsonrpc":"2.0","id":1,"result":{"content":[]}}');
    });
  });
  await new Promise<void>((listening) => upstream.listen(0, '127.0.0.1', listening));
  const made = newApiKey({ user: 'alice' });
  const file = (name: string, text: string): void => writeFileSync(join(directory, name), text);
  file('keys.yaml', JSON.stringify({ apiVersion: 'mcp-verdict/v1', kind: 'ApiKeys', keys: [made.entry] }));
  file(
    'policy.yaml',
    'apiVersion: mcp-verdict/v1\nkind: Policy\nmetadata: {name: a, version: "1"}\n' +
      'rules: [{id: all, effect: allow, tools: ["stripe/*"]}]\n',
  );
  file(
    'verdict.yaml',
    `listen: 127.0.0.1:0
policy: [policy.yaml]
servers:
  stripe:
    url: "http://127.0.0.1:${(upstream.address() as AddressInfo).port}/mcp"
    oauth:
      {token_url: "${op.issuer}/token", client_id: ${CLIENT.id}, client_secret: "\${env:SECRET}", scope: mcp, resource: "${RESOURCE}"}
identity: {api_keys: keys.yaml}
keys: {directory: keys}
spool: {directory: spool}
`,
  );
  const proxy = startCli(['serve', '--config', 'verdict.yaml'], {
    env: { SECRET: CLIENT.secret },
    cwd: directory,
  });
  try {
    const [, url = ''] = await proxy.waitFor(/serving stripe at (\S+)/);
    const call = async (): Promise<number> => {
      const headers = { authorization: `Bearer ${made.key}`, 'content-type': 'application/json' };
      const response = await fetch(url, { method: 'POST', headers, body: callTool(1, 'refund') });
      await response.text();
      return response.status;
    };
    assert.deepEqual(await Promise.all([call(), call(), call()]), [200, 200, 200]);
    const asked = () => op.asked.filter((path) => path === '/token').length;
    assert.equal(asked(), 1, 'one token for all');
    const [first = ''] = seen;
    takenBack.add(first);
    // Within the first seconds of its life a token is not asked for again.
    await new Promise((resolve) => setTimeout(resolve, 5_100));
    assert.equal(await call(), 200);
    assert.equal(asked(), 2);
    assert.equal(new Set(seen).size, 2);
    assert.ok(!seen.includes(made.key));
    assert.ok(!proxy.stderr().includes(CLIENT.secret));
  } finally {
    await proxy.stop();
    upstream.closeAllConnections();
    await new Promise((closed) => upstream.close(closed));
    await op.close();
    rmSync(directory, { recursive: true, force: true });
  }
});
