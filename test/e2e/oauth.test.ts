/**
 * The built `serve` as an OAuth resource server: a certified provider issues the tokens, SDK clients find it by
 * themselves, and an OTLP receiver has what was decided.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ClientCredentialsProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { decodeJwt } from 'jose';
import { newApiKey } from '../../src/identity/api-keys.ts';
import {
  CLIENT,
  startAuthorizationServer,
  type AuthorizationServer,
} from '../support/authorization-server.ts';
import { ROOT, startCli, startCommand, type Running } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { callTool } from '../support/http-scene.ts';
import { startOtlpReceiver, type LogItem, type OtlpReceiver } from '../support/otlp-receiver.ts';

const SERVER = join(ROOT, 'test/support/traced-server.ts');

const POLICY = `
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: oauth, version: "1"}
identities:
  finance: {any: [{role: finance}]}
  refunds: {any: [{agent: refund-bot}]}
rules:
  - {id: finance-reads, effect: allow, identities: [finance], tools: ["files/read"]}
  - {id: bot-refunds, effect: allow, identities: [refunds], tools: ["files/refund"]}
`;

/** As an exchange of tokens would leave them (RFC 8693). */
const CLAIMS = { roles: ['finance'], act: { sub: 'refund-bot', act: { sub: 'planner' } } };

interface Scene {
  readonly proxy: Running;
  readonly port: number;
  readonly key: string;
  stop(): Promise<void>;
}

describe('tokens of a real provider', () => {
  const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-oauth-'));
  let op: AuthorizationServer;
  let receiver: OtlpReceiver;
  let upstream: Running;
  let upstreamPort: string;
  let scene: Scene;
  /** Signed with the provider's first key. */
  let early: string;

  const resource = (server = 'files') => `http://127.0.0.1:${scene.port}/${server}/mcp`;

  /** Starts a proxy of its own: its keys are what it has fetched, and nothing else. */
  const start = async (name: string, port: number): Promise<Scene> => {
    const made = newApiKey({ user: 'carol', roles: ['finance'] });
    const keys = { apiVersion: 'mcp-verdict/v1', kind: 'ApiKeys', keys: [made.entry] };
    writeFileSync(join(directory, 'keys.yaml'), JSON.stringify(keys));
    writeFileSync(join(directory, 'policy.yaml'), POLICY);
    writeFileSync(
      join(directory, `${name}.yaml`),
      `listen: 127.0.0.1:${port}
policy: [policy.yaml]
keys: {directory: keys}
spool: {directory: spool-${name}}
servers:
  files: {url: "http://127.0.0.1:${upstreamPort}/mcp"}
  other: {url: "http://127.0.0.1:${upstreamPort}/mcp"}
identity:
  api_keys: keys.yaml
  jwt:
    - issuer: "${op.issuer}"
      audience: "http://127.0.0.1:${port}/{server}/mcp"
      scopes: [mcp]
`,
    );
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BLRP_SCHEDULE_DELAY: '50' };
    const proxy = startCli(['serve', '--config', `${name}.yaml`], { env, cwd: directory });
    await proxy.waitFor(/serving files at/);
    return { proxy, port, key: made.key, stop: async () => void (await proxy.stop()) };
  };

  before(async () => {
    [op, receiver] = await Promise.all([
      startAuthorizationServer({ alg: 'ES256', claims: CLAIMS }),
      startOtlpReceiver(),
    ]);
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url };
    upstream = startCommand(process.execPath, [SERVER, 'http'], { env });
    [, upstreamPort = ''] = await upstream.waitFor(/listening on (\d+)/);
    scene = await start('main', await freePort());
    early = await op.token(resource(), 'mcp');
  });

  after(async () => {
    await scene?.stop();
    await upstream?.stop();
    await receiver?.close();
    await op?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  interface Target {
    readonly server?: string;
    readonly query?: string;
    readonly port?: number;
    /** Of the trace that the call belongs to. */
    readonly traceId?: string;
  }

  const newTraceId = (): string => randomBytes(16).toString('hex');

  const call = (authorization: string | undefined, target: Target = {}) => {
    const { server = 'files', query = '', port = scene.port, traceId = newTraceId() } = target;
    return fetch(`http://127.0.0.1:${port}/${server}/mcp${query}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
        ...(authorization === undefined ? {} : { authorization }),
      },
      body: callTool(1, 'read'),
    });
  };

  const decisions = () => receiver.logs().filter(({ eventName }) => eventName === 'verdict.decision');

  /** The decision on the call of a trace: a refused one is answered before its record has arrived, after others'. */
  const decisionOf = async (traceId: string): Promise<LogItem | undefined> => {
    const find = () => decisions().find((decision) => decision.traceId === traceId);
    await eventually('the decision on the call', () => find() !== undefined);
    return find();
  };

  test('an SDK client finds the provider by the challenge, gets a token for this server, and is known', async () => {
    const authProvider = new ClientCredentialsProvider({
      clientId: CLIENT.id,
      clientSecret: CLIENT.secret,
      // This SDK asks for what its provider says, and not for what the challenge does.
      scope: 'mcp',
      expectedIssuer: op.issuer,
    });
    const client = new Client({ name: 'agent', version: '1' });
    const transport = new StreamableHTTPClientTransport(new URL(resource()), { authProvider });
    await client.connect(transport as Parameters<Client['connect']>[0]);
    try {
      const granted = decodeJwt(authProvider.tokens()?.access_token ?? '');
      assert.deepEqual([granted.aud, granted['scope']], [resource(), 'mcp']);
      const answer = await client.callTool({ name: 'read', arguments: {} });
      assert.deepEqual(answer.content, [{ type: 'text', text: 'read' }]);
      await client.callTool({ name: 'refund', arguments: {} });
    } finally {
      await client.close();
    }
    const calls = () => decisions().filter(({ attributes }) => attributes['gen_ai.tool.name'] !== undefined);
    await eventually('decisions on both calls', () => calls().length === 2);
    const seen = calls().map(({ attributes }) => ({
      rule: attributes['verdict.rule.id'],
      source: attributes['verdict.identity.source'],
      issuer: attributes['verdict.identity.issuer'],
      user: attributes['user.id'],
      roles: attributes['user.roles'],
      agent: attributes['gen_ai.agent.id'],
      delegation: attributes['verdict.identity.delegation'],
    }));
    const expected = {
      source: 'jwt',
      issuer: op.issuer,
      user: CLIENT.id,
      roles: ['finance'],
      agent: 'refund-bot',
      delegation: ['refund-bot', 'planner'],
    };
    assert.deepEqual(seen, [
      { rule: 'finance-reads', ...expected },
      { rule: 'bot-refunds', ...expected },
    ]);
  });

  test('an API key is known beside them, and neither is tried as the other', async () => {
    const answer = await call(`Bearer ${scene.key}`);
    assert.notEqual(answer.status, 401);
    const notKnown = await call(`Bearer ${scene.key.slice(0, -1)}.`);
    assert.equal(notKnown.status, 401);
  });

  const refused: readonly (readonly [
    string,
    () => Promise<{ authorization?: string; server?: string; query?: string }>,
    number,
    RegExp,
    RegExp,
  ])[] = [
    ['no token', async () => ({}), 401, /^Bearer resource_metadata="http:/, /^No credentials/],
    [
      'a token for another server behind us',
      async () => ({ authorization: `Bearer ${await op.token(resource('files'), 'mcp')}`, server: 'other' }),
      401,
      /^Bearer error="invalid_token", resource_metadata=".*\/other\/mcp"/,
      /another audience/,
    ],
    [
      'a token for somebody else',
      async () => ({ authorization: `Bearer ${await op.token('https://else.example', 'mcp')}` }),
      401,
      /error="invalid_token"/,
      /another audience/,
    ],
    [
      'a token without the scope',
      async () => ({ authorization: `Bearer ${await op.token(resource())}` }),
      403,
      /error="insufficient_scope".*scope="mcp"/,
      /needs the scope mcp/,
    ],
    [
      'a token whose signature was cut off',
      async () => ({ authorization: `Bearer ${(await op.token(resource(), 'mcp')).replace(/[^.]+$/, '')}` }),
      401,
      /error="invalid_token"/,
      /signature is wrong|cannot be read/,
    ],
    [
      'a token in the URL',
      async () => ({ query: `?access_token=${await op.token(resource(), 'mcp')}` }),
      400,
      /error="invalid_request"/,
      /in the URL/,
    ],
  ];
  for (const [what, credentials, status, challenge, message] of refused) {
    test(`${what} is refused, recorded, and nothing reaches the server`, async () => {
      const traceId = newTraceId();
      const { authorization, ...target } = await credentials();
      const answer = await call(authorization, { ...target, traceId });
      assert.equal(answer.status, status);
      assert.match(answer.headers.get('www-authenticate') ?? '', challenge);
      const record = await decisionOf(traceId);
      assert.equal(
        record?.attributes['verdict.decision.reason'],
        authorization === undefined && target.query === undefined ? 'identity_missing' : 'identity_invalid',
      );
      assert.match(String(record?.attributes['verdict.decision.message']), message);
      assert.equal(record?.attributes['user.id'], undefined);
      const secret = authorization?.split('.')[1] ?? 'access_token=';
      assert.ok(!JSON.stringify(receiver.logs()).includes(secret), 'a token stands in a record');
    });
  }

  test('a key that the provider has taken back signs for nobody any more', async () => {
    const port = await freePort();
    const old = await op.token(`http://127.0.0.1:${port}/files/mcp`, 'mcp');
    await op.rotate();
    const fresh = await op.token(`http://127.0.0.1:${port}/files/mcp`, 'mcp');
    const rotated = await start('rotated', port);
    try {
      const traceId = newTraceId();
      assert.notEqual((await call(`Bearer ${fresh}`, { port })).status, 401);
      assert.equal((await call(`Bearer ${old}`, { port, traceId })).status, 401);
      const record = await decisionOf(traceId);
      assert.match(String(record?.attributes['verdict.decision.message']), /no such key/);
    } finally {
      await rotated.stop();
    }
  });

  test('a proxy that has never had the keys denies while the provider is away, says so, and serves after', async () => {
    const late = await start('late', await freePort());
    try {
      const good = await op.token(`http://127.0.0.1:${late.port}/files/mcp`, 'mcp');
      await op.close();
      const traceId = newTraceId();
      const answer = await call(`Bearer ${good}`, { port: late.port, traceId });
      assert.deepEqual([answer.status, answer.headers.get('retry-after')], [503, '5']);
      assert.equal(answer.headers.get('www-authenticate'), null);
      const record = await decisionOf(traceId);
      assert.equal(record?.attributes['verdict.decision.reason'], 'identity_invalid');
      assert.match(
        String(record?.attributes['verdict.decision.message']),
        /cannot be had: ECONNREFUSED \(http:/,
      );
      assert.match(late.proxy.stderr(), new RegExp(`keys of ${op.issuer} cannot be had`));
      // The one that has the keys asks nobody: how a provider fares is no matter of each call.
      assert.notEqual((await call(`Bearer ${early}`)).status, 401);
      assert.notEqual((await call(`Bearer ${early}`)).status, 503);
    } finally {
      await late.stop();
    }
  });
});
