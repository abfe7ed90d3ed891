import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:http2';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { skipWithoutCollector } from '../support/build-collector.ts';
import { createAuthority, skipWithoutOpenssl } from '../support/certificates.ts';
import { FILE_CONFIGS, startCollector, type Collector } from '../support/collector.ts';

const skip = skipWithoutCollector();
const skipTls = skip === false ? skipWithoutOpenssl() : skip;

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-protection-'));
after(() => rmSync(root, { recursive: true, force: true }));

const TOKEN = 'ingest-7f3a';
const BODY = JSON.stringify({
  resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: 'x' } }] }] }],
});
const HEADERS = { 'content-type': 'application/json' };

async function start(
  t: TestContext,
  configs: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Collector> {
  const dir = mkdtempSync(join(root, 'run-'));
  const collector = await startCollector({ dir, configs: [...FILE_CONFIGS, ...configs], env });
  t.after(collector.stop);
  return collector;
}

test('over HTTP, only the right bearer token gets in', { skip }, async (t) => {
  const collector = await start(t, ['auth.yaml'], { COLLECTOR_TOKEN: TOKEN });
  for (const [authorization, status] of [
    [undefined, 401],
    ['Bearer wrong', 401],
    [`Bearer ${TOKEN}x`, 401],
    [TOKEN, 401],
    [`Bearer ${TOKEN}`, 200],
  ] as const) {
    const headers = authorization === undefined ? HEADERS : { ...HEADERS, authorization };
    const response = await fetch(`${collector.httpEndpoint}/v1/logs`, {
      method: 'POST',
      headers,
      body: BODY,
    });
    assert.equal(response.status, status, `with ${authorization}`);
  }
  assert.equal(collector.logs().length, 1);
});

/** The smallest call there is: an empty request in one gRPC frame. Resolves to the grpc-status. */
function exportOverGrpc(endpoint: string, headers: Readonly<Record<string, string>>): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const session = connect(endpoint).once('error', reject);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  let status: unknown;
  stream.on('response', (answer) => (status = answer['grpc-status'] ?? status));
  stream.on('trailers', (trailers) => (status = trailers['grpc-status'] ?? status));
  stream.once('error', reject).once('close', () => {
    session.close();
    resolve(String(status));
  });
  stream.resume().end(Buffer.alloc(5));
  return promise;
}

test('over gRPC, only the right bearer token gets in', { skip }, async (t) => {
  const collector = await start(t, ['auth.yaml'], { COLLECTOR_TOKEN: TOKEN });
  const unauthenticated = '16';
  assert.equal(await exportOverGrpc(collector.grpcEndpoint, {}), unauthenticated);
  assert.equal(
    await exportOverGrpc(collector.grpcEndpoint, { authorization: 'Bearer wrong' }),
    unauthenticated,
  );
  assert.equal(await exportOverGrpc(collector.grpcEndpoint, { authorization: `Bearer ${TOKEN}` }), '0');
});

interface ClientTls {
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
}

/** Resolves to the HTTP status, rejects where the handshake fails. */
function post(endpoint: string, { ca, certificate, key }: ClientTls): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  const read = (path: string | undefined): Buffer | undefined =>
    path === undefined ? undefined : readFileSync(path);
  const files = { ca: read(ca), cert: read(certificate), key: read(key) };
  const outgoing = request(`${endpoint}/v1/logs`, {
    method: 'POST',
    headers: HEADERS,
    agent: false,
    ...files,
  });
  outgoing.once('error', reject).once('response', (response) => {
    response.resume().once('end', () => resolve(response.statusCode));
  });
  outgoing.end(BODY);
  return promise;
}

/** What COLLECTOR_TLS_DIRECTORY holds, signed by one authority for servers and one for clients. */
function createTlsDirectory(name: string) {
  const directory = join(root, name);
  mkdirSync(directory);
  const servers = createAuthority(join(directory, 'made'), 'servers');
  const clients = createAuthority(join(directory, 'made'), 'clients');
  const server = servers.sign('server');
  copyFileSync(server.certificate, join(directory, 'server.pem'));
  copyFileSync(server.key, join(directory, 'server-key.pem'));
  copyFileSync(clients.certificate, join(directory, 'client-ca.pem'));
  return { directory, servers, clients };
}

test(
  'with tls.yaml, only a sender that trusts the authority gets through, and none in clear',
  { skip: skipTls },
  async (t) => {
    const { directory, servers, clients } = createTlsDirectory('tls');
    const collector = await start(t, ['tls.yaml'], { COLLECTOR_TLS_DIRECTORY: directory });
    assert.match(collector.httpEndpoint, /^https:/);
    assert.equal(await post(collector.httpEndpoint, { ca: servers.certificate }), 200);
    await assert.rejects(post(collector.httpEndpoint, {}), /unable to verify|self-signed/);
    await assert.rejects(
      post(collector.httpEndpoint, { ca: clients.certificate }),
      /unable to verify|self-signed/,
    );
    const clear = collector.httpEndpoint.replace('https', 'http');
    assert.equal(
      (await fetch(`${clear}/v1/logs`, { method: 'POST', headers: HEADERS, body: BODY })).status,
      400,
    );
    assert.equal(collector.logs().length, 1);
  },
);

test('with mtls.yaml, a sender needs a certificate of the right authority', { skip: skipTls }, async (t) => {
  const { directory, servers, clients } = createTlsDirectory('mtls');
  const collector = await start(t, ['tls.yaml', 'mtls.yaml'], { COLLECTOR_TLS_DIRECTORY: directory });
  const ca = servers.certificate;
  await assert.rejects(post(collector.httpEndpoint, { ca }), /certificate required|ECONNRESET|EPIPE/);
  await assert.rejects(
    post(collector.httpEndpoint, { ca, ...servers.sign('stranger') }),
    /unknown ca|ECONNRESET|EPIPE/i,
  );
  assert.equal(await post(collector.httpEndpoint, { ca, ...clients.sign('proxy') }), 200);
  assert.equal(collector.logs().length, 1);
});

for (const [what, configs, error] of [
  ['tls.yaml without its directory', ['tls.yaml'], /failed to load TLS cert and key/],
  ['mtls.yaml without tls.yaml', ['mtls.yaml'], /must include both certificate and key/],
] as const) {
  test(`${what} stops the start, and never serves in clear`, { skip }, async (t) => {
    await assert.rejects(start(t, configs, { COLLECTOR_TLS_DIRECTORY: '' }), error);
  });
}

test(
  'mtls.yaml without client-ca.pem stops the start, and never lets everybody in',
  { skip: skipTls },
  async (t) => {
    const { directory } = createTlsDirectory('no-client-ca');
    rmSync(join(directory, 'client-ca.pem'));
    const env = { COLLECTOR_TLS_DIRECTORY: directory };
    await assert.rejects(start(t, ['tls.yaml', 'mtls.yaml'], env), /failed to load client CA/);
  },
);
