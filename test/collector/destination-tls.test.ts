/** Destinations that sign their own certificates: the collector trusts the authority that it is told of, and no other. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { skipWithoutCollector } from '../support/build-collector.ts';
import { createAuthority, skipWithoutOpenssl, type Authority } from '../support/certificates.ts';
import { eventually, startCollector } from '../support/collector.ts';

const skip = skipWithoutCollector() || skipWithoutOpenssl();

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-destination-tls-'));
after(() => rmSync(root, { recursive: true, force: true }));

interface Case {
  readonly config: string;
  readonly authorization: string;
  readonly env: (url: string, authority: string) => Readonly<Record<string, string>>;
}

const CASES: readonly Case[] = [
  {
    config: 'destinations/splunk.yaml',
    authorization: 'Splunk secret',
    env: (url, authority) => ({
      SPLUNK_HEC_URL: `${url}/services/collector/event`,
      SPLUNK_HEC_TOKEN: 'secret',
      SPLUNK_CA_FILE: authority,
    }),
  },
  {
    config: 'destinations/loki.yaml',
    authorization: 'Basic secret',
    env: (url, authority) => ({
      LOKI_ENDPOINT: `${url}/otlp`,
      LOKI_AUTHORIZATION: 'Basic secret',
      LOKI_CA_FILE: authority,
    }),
  },
];

/** Takes everything. @returns its address, and the authorization of each request that came */
async function startServer(t: TestContext, authority: Authority): Promise<{ url: string; seen: string[] }> {
  const { certificate, key } = authority.sign('server');
  const seen: string[] = [];
  const server = createServer(
    { cert: readFileSync(certificate), key: readFileSync(key) },
    (request, response) => {
      seen.push(request.headers.authorization ?? '');
      request.resume().once('end', () => response.end());
    },
  );
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  t.after(() => server.close());
  // A server that listens on TCP has an AddressInfo.
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

for (const { config, authorization, env } of CASES) {
  test(
    `${config}: with the authority of the destination records arrive, with another they wait`,
    { skip },
    async (t) => {
      const dir = mkdtempSync(join(root, 'run-'));
      const authority = createAuthority(join(dir, 'right'), 'right');
      const stranger = createAuthority(join(dir, 'wrong'), 'wrong');
      const { url, seen } = await startServer(t, authority);
      const start = async (trusted: Authority) => {
        const variables = env(url, trusted.certificate);
        const collector = await startCollector({ dir, configs: ['base.yaml', config], env: variables });
        t.after(collector.kill);
        return collector;
      };
      const wrong = await start(stranger);
      const response = await fetch(`${wrong.httpEndpoint}/v1/logs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: 'kept' } }] }] }],
        }),
      });
      assert.equal(response.status, 200);
      await eventually(() => /certificate signed by unknown authority/.test(wrong.output()) || undefined, {
        what: 'the handshake to fail',
      });
      assert.deepEqual(seen, []);
      await wrong.stop();
      // What waited in the queue goes out when the authority has been put right.
      await start(authority);
      await eventually(() => seen.length > 0 || undefined, { what: 'the record' });
      assert.deepEqual(seen, [authorization]);
    },
  );
}
