/** The door behind TLS, with certificates of an authority that the test makes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { connect, type ConnectionOptions } from 'node:tls';
import { httpAuthenticator } from '../../src/identity/authenticate.ts';
import type { DoorTls } from '../../src/proxy/http/tls.ts';
import { createAuthority, skipWithoutOpenssl, type Certificate } from '../support/certificates.ts';
import { runCli, startCli } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { startOtlpReceiver } from '../support/otlp-receiver.ts';
import { callTool, raw, scene, type Scene } from '../support/http-scene.ts';
import { within } from '../support/within.ts';

const SPIFFE = 'spiffe://corp.example/agents/refunds';

interface Pair {
  readonly cert: string;
  readonly key: string;
}

function read({ certificate, key }: Certificate): Pair {
  return { cert: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') };
}

describe('the door behind TLS', { skip: skipWithoutOpenssl() }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-tls-'));
  let ca: string;
  let tls: DoorTls;
  let client: Pair;
  let stranger: Pair;
  let serverOnly: Pair;

  before(() => {
    const servers = createAuthority(join(directory, 'servers'), 'servers');
    const clients = createAuthority(join(directory, 'clients'), 'clients');
    const strangers = createAuthority(join(directory, 'strangers'), 'clients');
    ca = readFileSync(servers.certificate, 'utf8');
    const own = read(servers.sign('server'));
    const clientCa = readFileSync(clients.certificate, 'utf8');
    tls = { certificate: own.cert, key: own.key, clientCa };
    const names = [`subjectAltName=URI:${SPIFFE}`];
    client = read(clients.sign('client', [...names, 'extendedKeyUsage=clientAuth']));
    serverOnly = read(clients.sign('server-only', [...names, 'extendedKeyUsage=serverAuth']));
    stranger = read(strangers.sign('client', names));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  const open = (t: TestContext, anonymous: 'allow' | 'deny' = 'deny'): Promise<Scene> =>
    scene(t, {
      tls,
      authenticate: httpAuthenticator({ certificateName: 'spiffe', anonymous, nowMs: Date.now }),
      resources: { resource: (name) => name, authorizationServers: ['https://idp.example'], scopes: [] },
    });

  const ask = async (
    port: number,
    options: RequestOptions & { readonly session?: Buffer } = {},
  ): Promise<{ status: number | undefined; challenge: string | undefined }> => {
    const outgoing = httpsRequest({
      host: '127.0.0.1',
      port,
      path: '/files/mcp',
      method: 'POST',
      ca,
      agent: false,
      ...options,
    });
    outgoing.end(callTool(1));
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    response.resume();
    return { status: response.statusCode, challenge: response.headers['www-authenticate'] };
  };

  test('knows a caller by the SPIFFE id of its certificate', async (t) => {
    const { port, gate, received } = await open(t);
    assert.equal((await ask(port, client)).status, 200);
    const { identity } = gate.decided[0]?.origin ?? {};
    assert.deepEqual([identity?.source, identity?.user, identity?.issuer], ['mtls', SPIFFE, 'CN=clients']);
    assert.equal(received.length, 1);
  });

  test('knows one that has none as nobody, and tells it where to go over https', async (t) => {
    const { port, gate, received } = await open(t);
    const { status, challenge } = await ask(port);
    assert.equal(status, 401);
    assert.match(challenge ?? '', new RegExp(`^Bearer resource_metadata="https://127.0.0.1:${port}/`));
    assert.equal(gate.rejected[0]?.reason, 'identity_missing');
    assert.deepEqual(received, []);
  });

  const refused: readonly (readonly [string, () => RequestOptions])[] = [
    ['that another authority of the same name has signed', () => stranger],
    ['that is for servers only', () => serverOnly],
    [
      'that is good, with a token that is not',
      () => ({ ...client, headers: { authorization: 'Bearer a.b.c' } }),
    ],
  ];
  for (const [what, options] of refused) {
    test(`refuses a certificate ${what}, also where anonymous callers are served, and records it`, async (t) => {
      const { port, gate, received } = await open(t, 'allow');
      assert.equal((await ask(port)).status, 200, 'an anonymous caller');
      assert.equal((await ask(port, options())).status, 401);
      assert.deepEqual(
        gate.rejected.map(({ reason }) => reason),
        ['identity_invalid'],
      );
      assert.equal(received.length, 1);
    });
  }

  test('knows a resumed session’s caller again, and one without a certificate stays nobody', async (t) => {
    const { port, gate } = await open(t);
    for (const pair of [client, {}]) {
      const session = await sessionOf(port, { ca, ...pair });
      const { status } = await ask(port, { ...pair, session });
      assert.equal(status, 'cert' in pair ? 200 : 401);
    }
    assert.equal(gate.rejected.at(-1)?.reason, 'identity_missing');
  });

  test('is what serve opens where its file says so, and the caller’s id is on record', async () => {
    const receiver = await startOtlpReceiver();
    const port = await freePort();
    const file = (name: string, text: string): void => writeFileSync(join(directory, name), text);
    file(
      'policy.yaml',
      'apiVersion: mcp-verdict/v1\nkind: Policy\nmetadata: {name: a, version: "1"}\nrules: []\n',
    );
    file(
      'verdict.yaml',
      `listen: 127.0.0.1:${port}
policy: [policy.yaml]
servers: {files: {url: "http://127.0.0.1:1/mcp"}}
tls: {certificate: servers/server.pem, key: servers/server-key.pem, client_ca: clients/clients.pem}
keys: {directory: keys}
spool: {directory: spool}
`,
    );
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url };
    const proxy = startCli(['serve', '--config', 'verdict.yaml'], { env, cwd: directory });
    try {
      await proxy.waitFor(/serving files at https:/);
      assert.equal((await ask(port, client)).status, 200);
      assert.equal((await ask(port, stranger)).status, 401);
      const decisions = () => receiver.logs().filter(({ eventName }) => eventName === 'verdict.decision');
      await eventually('both decisions', () => decisions().length === 2);
      const seen = decisions().map(({ attributes }) => [
        attributes['verdict.identity.source'],
        attributes['gen_ai.agent.id'],
        attributes['verdict.decision.reason'],
      ]);
      assert.deepEqual(seen, [
        ['mtls', SPIFFE, 'default'],
        [undefined, undefined, 'identity_invalid'],
      ]);
      for (const [from, to, message] of [
        ['server-key.pem', 'server.pem', /^tls: error:.*server\.pem/],
        ['clients/clients.pem', 'clients/client.pem', /client_ca is no certificate of an authority/],
      ] as const) {
        file('broken.yaml', readFileSync(join(directory, 'verdict.yaml'), 'utf8').replace(from, to));
        const { code, stderr } = await runCli(['serve', '--check', '--config', 'broken.yaml'], {
          cwd: directory,
        });
        assert.equal(code, 3);
        assert.match(stderr, message);
      }
    } finally {
      await proxy.stop();
      await receiver.close();
    }
  });

  test('speaks no TLS before 1.2', async (t) => {
    const { port } = await open(t);
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    await assert.rejects(ask(port, { ...client, ...old }), { code: /ALERT|VERSION|EPROTO|ECONNRESET/ });
    assert.equal((await ask(port, { ...client, maxVersion: 'TLSv1.2' })).status, 200);
  });

  test('gives no answer to whoever comes in the clear', async (t) => {
    const { port, gate } = await open(t);
    const { rest } = await raw(t, port, `POST /files/mcp HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
    assert.doesNotMatch(await within('the end of the connection', rest), /HTTP/);
    assert.deepEqual(gate.decided, []);
  });
});

async function sessionOf(port: number, options: ConnectionOptions): Promise<Buffer> {
  const socket = connect({ host: '127.0.0.1', port, maxVersion: 'TLSv1.3', ...options });
  const [session] = (await once(socket, 'session')) as [Buffer];
  socket.destroy();
  return session;
}
