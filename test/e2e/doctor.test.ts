/** `doctor` against real things: collectors of several kinds, servers of several kinds, a proxy that runs meanwhile. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { startDemoServer } from '../../src/cli/demo-server.ts';
import type { Finding } from '../../src/service/doctor/finding.ts';
import { skipWithoutCollector } from '../support/build-collector.ts';
import { ROOT, runCli } from '../support/cli.ts';
import { FILE_CONFIGS, startCollector, type Collector } from '../support/collector.ts';
import { freePort } from '../support/free-port.ts';
import { startOtlpReceiver, type Script } from '../support/otlp-receiver.ts';
import { startServeScene } from '../support/serve-scene.ts';

/** A test that hangs fails, and its processes are ended. */
const TIMEOUT_MS = 120_000;
const TESTS_AT_ONCE = 3;

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-doctor-'));
after(() => rmSync(root, { recursive: true, force: true }));

const POLICY = `
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: open, version: "1"}
rules:
  - {id: all, effect: allow, tools: ["up/*"]}
`;

type Variables = Readonly<Record<string, string>>;

interface Ran {
  readonly code: number | null;
  readonly findings: readonly Finding[];
  /** Found and advised, of one check. */
  readonly of: (check: Finding['check']) => readonly string[];
}

async function doctor(directory: string, args: readonly string[], env: Variables = {}): Promise<Ran> {
  const [own, command] = args.includes('--')
    ? [args.slice(0, args.indexOf('--')), args.slice(args.indexOf('--'))]
    : [args, []];
  const state = { XDG_STATE_HOME: join(directory, 'state') };
  const options = { cwd: directory, env: { ...state, ...env } };
  const { code, stdout, stderr } = await runCli(['doctor', ...own, '--json', ...command], options);
  assert.equal(stderr, '');
  const { findings, exit } = JSON.parse(stdout) as { findings: Finding[]; exit: number };
  assert.equal(exit, code);
  const of = (check: Finding['check']): string[] =>
    findings
      .filter((finding) => finding.check === check)
      .map(({ level, subject, found, advice }) => `${level} ${subject ?? '-'}: ${found} / ${advice ?? ''}`);
  return { code, findings, of };
}

function scene(): string {
  const directory = mkdtempSync(join(root, 'scene-'));
  writeFileSync(join(directory, 'policy.yaml'), POLICY);
  return directory;
}

/** Writes a config, and gives the arguments that name it. */
function serve(directory: string, servers: Variables, name = 'verdict.yaml'): readonly string[] {
  const lines = Object.entries(servers).map(([server, url]) => `  ${server}: {url: "${url}"}\n`);
  writeFileSync(
    join(directory, name),
    'listen: 127.0.0.1:0\npolicy: [policy.yaml]\nidentity: {anonymous: allow}\n' +
      `spool: {directory: spool}\nkeys: {directory: keys}\nservers:\n${lines.join('')}`,
  );
  return ['--config', name];
}

/** For what has nothing to do with servers. */
const WRAP = ['--policy', 'policy.yaml'];

const FORWARD = `
exporters:
  otlp_http/next: {endpoint: "\${env:NEXT}", sending_queue: QUEUE}
service:
  pipelines:
    logs/next: {receivers: [otlp], processors: [memory_limiter], exporters: [otlp_http/next]}
`;

const CANNOT_TELL =
  /acknowledges when its queue has the records\. Whether that queue is in memory.*cannot be told/;
const QUEUES: readonly [what: string, queue: string, expected: RegExp, extra?: string][] = [
  ['no queue', '{enabled: false}', /^ok .*otlp_http\/next has no queue/],
  ['a queue in memory', '{enabled: true}', CANNOT_TELL],
  ['a queue on a disk', '{enabled: true, storage: file_storage/queue}', CANNOT_TELL],
  [
    'a queue on a disk that is not synced',
    '{enabled: true, storage: file_storage/queue}',
    CANNOT_TELL,
    'extensions: {file_storage/queue: {fsync: false}}\n',
  ],
];

describe(
  'doctor and a real collector',
  { skip: skipWithoutCollector(), timeout: TIMEOUT_MS, concurrency: TESTS_AT_ONCE },
  () => {
    let collector: Collector;
    let env: Variables;

    before(async () => {
      collector = await startCollector({ dir: join(root, 'collector') });
      env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.httpEndpoint };
    });
    after(() => collector?.kill());

    test('sends one record, which the collector has, and verify counts apart', async () => {
      const directory = scene();
      const metrics = ['--collector-metrics', collector.metricsEndpoint];
      const { code, of, findings } = await doctor(directory, [...WRAP, ...metrics], env);
      assert.equal(code, 0, JSON.stringify(findings));
      const [endpoint] = findings.filter(({ check }) => check === 'endpoint');
      assert.equal(endpoint?.facts?.['status'], 200);
      const uid = endpoint.facts['uid'];
      const { logs } = await collector.waitFor(({ logs }) =>
        logs.some(({ attributes }) => attributes['log.record.uid'] === uid),
      );
      const [record, ...more] = logs.filter(({ attributes }) => attributes['log.record.uid'] === uid);
      assert.deepEqual(more, []);
      assert.equal(record?.eventName, 'verdict.lifecycle');
      assert.equal(record.attributes['verdict.lifecycle.state'], 'doctor');
      assert.deepEqual(
        of('collector').map((text) => /file\/logs has no queue/.test(text)),
        [true],
      );
      assert.match(of('clock')[0] ?? '', /^ok .*agrees with its Date header/);
      // A destination that has a stream of calls and the record of doctor is proven all the same.
      const proxy = await startServeScene({ directory: join(directory, 'serve'), env, durability: 'sync' });
      await proxy.call();
      await proxy.stop();
      await proxy.close();
      const lines = readFileSync(join(root, 'collector', 'records', 'logs.jsonl'), 'utf8');
      const file = join(directory, 'records.jsonl');
      writeFileSync(file, lines);
      const verified = await runCli(['records', 'verify', file]);
      assert.equal(verified.code, 0, verified.stdout);
      assert.match(verified.stdout, /beside them \d+ records? that doctor sent\./);
    });

    for (const [what, queue, expected, extra] of QUEUES) {
      test(`behind it ${what}: what can be told is told, and no more`, async (t) => {
        const directory = scene();
        const configs = ['base.yaml', join(directory, 'next.yaml')];
        writeFileSync(join(directory, 'next.yaml'), FORWARD.replace('QUEUE', queue));
        if (extra !== undefined) {
          writeFileSync(join(directory, 'extra.yaml'), extra);
          configs.push(join(directory, 'extra.yaml'));
        }
        const next = { NEXT: collector.httpEndpoint };
        const first = await startCollector({ dir: join(directory, 'collector'), configs, env: next });
        t.after(first.kill);
        const metrics = ['--collector-metrics', first.metricsEndpoint];
        const { code, of } = await doctor(directory, [...WRAP, ...metrics], {
          OTEL_EXPORTER_OTLP_ENDPOINT: first.httpEndpoint,
        });
        assert.equal(code, 0);
        assert.equal(of('collector').length, 1);
        assert.match(of('collector')[0] ?? '', expected);
      });
    }

    test('without its metrics it says that it cannot tell, and how to find out', async () => {
      const silent = ['--collector-metrics', `http://127.0.0.1:${await freePort()}/metrics`];
      const { of } = await doctor(scene(), [...WRAP, ...silent], env);
      assert.match(
        of('collector')[0] ?? '',
        /^warn .*cannot be told.*sending_queue\.storage with fsync: true/,
      );
    });

    test('a wrong path and a missing token are named, exit 1', async (t) => {
      const wrong = await doctor(scene(), WRAP, {
        OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.httpEndpoint}/otlp`,
      });
      assert.equal(wrong.code, 1);
      assert.match(wrong.of('endpoint')[0] ?? '', /^fail otlp: .*is not an OTLP path \(HTTP 404\)/);
      const dir = mkdtempSync(join(root, 'guarded-'));
      const configs = [...FILE_CONFIGS, 'auth.yaml'];
      const guarded = await startCollector({ dir, configs, env: { COLLECTOR_TOKEN: 'right' } });
      t.after(guarded.kill);
      const variables = {
        OTEL_EXPORTER_OTLP_ENDPOINT: guarded.httpEndpoint,
        OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20wrong-7c1',
      };
      const refused = await doctor(scene(), WRAP, variables);
      assert.equal(refused.code, 1);
      assert.match(refused.of('endpoint')[0] ?? '', /^fail otlp: .*refuses the credentials \(HTTP 401\)/);
      assert.ok(!JSON.stringify(refused.findings).includes('wrong-7c1'));
    });
  },
);

describe('doctor and an endpoint in trouble', { timeout: TIMEOUT_MS, concurrency: TESTS_AT_ONCE }, () => {
  const receiver = async (t: TestContext, script: Script): Promise<Variables> => {
    const started = await startOtlpReceiver();
    started.answerWith(() => script);
    t.after(started.close);
    return { OTEL_EXPORTER_OTLP_ENDPOINT: started.url };
  };

  test('nobody there: exit 4', async () => {
    const port = await freePort();
    const { code, of } = await doctor(scene(), WRAP, {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    });
    assert.equal(code, 4);
    assert.match(
      of('endpoint')[0] ?? '',
      /^fail otlp: nothing listens at http:.*: is the collector running\?/,
    );
  });

  test('busy: exit 4, and for how long it asks', async (t) => {
    const env = await receiver(t, { status: 503, headers: { 'retry-after': '30' } });
    const { code, of, findings } = await doctor(scene(), WRAP, env);
    assert.equal(code, 4);
    assert.match(of('endpoint')[0] ?? '', /overloaded or not ready \(HTTP 503\).*asks for 30 s of patience/);
    assert.equal(findings.find(({ check }) => check === 'endpoint')?.facts?.['retry_after_ms'], 30_000);
  });

  test('a page of its own: exit 1', async (t) => {
    const html = { body: '<html>Sign in</html>', headers: { 'content-type': 'text/html' } };
    const { code, of } = await doctor(scene(), WRAP, await receiver(t, html));
    assert.equal(code, 1);
    assert.match(of('endpoint')[0] ?? '', /something that is not OTLP \(HTTP 200, text\/html\)/);
  });

  test('a partial success: exit 1, with what was said', async (t) => {
    const body = '{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"too old"}}';
    const headers = { 'content-type': 'application/json' };
    const { code, of } = await doctor(scene(), WRAP, await receiver(t, { body, headers }));
    assert.equal(code, 1);
    assert.match(of('endpoint')[0] ?? '', /rejects 1 of the records: too old/);
  });

  test('a clock that is not ours: a warning', async (t) => {
    const date = new Date(Date.now() + 3_600_000).toUTCString();
    const env = await receiver(t, { headers: { date } });
    const { code, of } = await doctor(scene(), WRAP, env);
    assert.equal(code, 0);
    assert.match(of('clock')[0] ?? '', /^warn .*this clock is (1\.0 h|60 min) behind its Date header/);
  });

  test('settings that are wrong: exit 3', async () => {
    const { code, of } = await doctor(scene(), WRAP, {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    });
    assert.equal(code, 3);
    assert.match(of('endpoint')[0] ?? '', /grpc is not supported/);
  });
});

describe('doctor and the servers behind', { timeout: TIMEOUT_MS, concurrency: TESTS_AT_ONCE }, () => {
  const http = async (t: TestContext, status: number, headers: Variables = {}): Promise<string> => {
    const server = createServer((_, response) => response.writeHead(status, headers).end('no'));
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    t.after(() => server.close());
    // A server that listens on TCP has an AddressInfo.
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  };

  test('over HTTP: name, version and tools, or what it answers instead', async (t) => {
    const demo = await startDemoServer();
    t.after(() => demo.close());
    const directory = scene();
    const servers = {
      good: demo.url,
      dead: `http://127.0.0.1:${await freePort()}/mcp`,
      locked: await http(t, 401),
      lost: await http(t, 404),
      moved: await http(t, 307, { location: 'http://127.0.0.1:9/' }),
      page: await http(t, 200, { 'content-type': 'text/html' }),
    };
    const { code, of } = await doctor(directory, serve(directory, servers));
    assert.equal(code, 1);
    const [good = '', dead = '', locked = '', lost = '', moved = '', page = ''] = of('upstream');
    assert.match(good, /^ok good: \S+.* \d+\.\d+\.\d+, \d+ tools, MCP 2025-11-25, in \d+/);
    assert.match(dead, /^fail dead: .*cannot be reached \(ECONNREFUSED\) \/ Is it running\?/);
    assert.match(locked, /^fail locked: .*refuses us \(HTTP 401\) \/ Give its credentials as headers/);
    assert.match(lost, /^fail lost: .*is no MCP endpoint \(HTTP 404\)/);
    assert.match(moved, /^fail moved: .*redirects \(HTTP 307\), which is not followed/);
    assert.match(page, /^fail page: .*does not answer as MCP/);
    const alone = await doctor(directory, serve(directory, { dead: servers.dead }));
    assert.equal(alone.code, 4);
  });

  test('one that speaks only the newer protocol is asked in it', async (t) => {
    const handler = createMcpHandler(
      () => {
        const server = new McpServer({ name: 'modern', version: '3.2.1' });
        server.registerTool('one', {}, () => ({ content: [] }));
        return server;
      },
      { legacy: 'reject' },
    );
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { method = 'GET', url = '/' } = request;
        const headers = new Headers(request.headers as Record<string, string>);
        const body = method === 'POST' ? Buffer.concat(chunks) : null;
        void handler
          .fetch(new Request(`http://${request.headers.host}${url}`, { method, headers, body }))
          .then(async (answer) => {
            response.writeHead(answer.status, Object.fromEntries(answer.headers));
            response.end(Buffer.from(await answer.arrayBuffer()));
          });
      });
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    t.after(() => server.close());
    const directory = scene();
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
    const { of } = await doctor(directory, serve(directory, { modern: url }));
    assert.match(of('upstream')[0] ?? '', /^ok modern: modern 3\.2\.1, 1 tool, MCP 2026-07-28/);
  });

  test('over stdio: started as wrap starts it, and ended; or why it does not answer', async () => {
    const files = join(ROOT, 'node_modules/@modelcontextprotocol/server-filesystem/dist/index.js');
    const directory = scene();
    const good = await doctor(directory, [...WRAP, '--', process.execPath, files, directory]);
    assert.equal(good.code, 0, JSON.stringify(good.findings));
    assert.match(good.of('upstream')[0] ?? '', /^ok local: \S+ \S+, \d+ tools, MCP 2025-11-25/);
    const absent = await doctor(directory, [...WRAP, '--', 'no-such-command-here']);
    assert.equal(absent.code, 4);
    assert.match(
      absent.of('upstream')[0] ?? '',
      /^fail local: the command no-such-command-here cannot be started/,
    );
    const environment = join(directory, 'environment');
    const broken = `require('fs').writeFileSync(${JSON.stringify(environment)}, JSON.stringify(process.env) + process.pid); console.error('no licence'); process.exit(3)`;
    const env = { MCP_VERDICT_HMAC_KEY: 'ab'.repeat(32), MINE: 'passed' };
    const ended = await doctor(directory, [...WRAP, '--', process.execPath, '-e', broken], env);
    assert.equal(ended.code, 1);
    assert.match(ended.of('upstream')[0] ?? '', /ended with 3 before it answered; it said: no licence/);
    const passed = readFileSync(environment, 'utf8');
    assert.deepEqual([passed.includes('"MINE":"passed"'), passed.includes('HMAC_KEY')], [true, false]);
  });
});

describe('doctor and a proxy that runs', { timeout: TIMEOUT_MS }, () => {
  test('the spool is looked at while its owner goes on, and nothing in it is changed', async (t) => {
    const directory = scene();
    const dead = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await freePort()}` };
    const proxy = await startServeScene({ directory, env: dead, durability: 'sync' });
    t.after(proxy.close);
    await proxy.call();
    const spool = join(directory, 'spool');
    const names = (): string[] => readdirSync(spool, { recursive: true }).map(String).toSorted();
    const before = names();
    // The same spool; the scene's server answers nobody but its own caller.
    const config = serve(directory, { dead: `http://127.0.0.1:${await freePort()}/mcp` }, 'beside.yaml');
    const beside = await doctor(directory, config, dead);
    const said = beside.of('spool').join('\n');
    assert.match(said, /^ok .*: otlp has not acknowledged \d+ records, the oldest \d/m);
    assert.match(said, /^ok -: 1 stream, 1 of living processes/m);
    assert.deepEqual(names(), before);
    await proxy.call();
    const { code, stderr } = await proxy.stop();
    assert.equal(code, 0, stderr);
    // Its process has gone, and what it could not deliver waits.
    const orphaned = await doctor(directory, config, dead);
    assert.match(
      orphaned.of('spool').join('\n'),
      /^warn -: 1 stream, 0 of living processes; 1 of ended ones with/m,
    );
    assert.equal((await runCli(['records', 'verify', spool])).code, 0);
  });

  test('a port that somebody has, files that others may write, keys that others may read', async (t) => {
    const directory = scene();
    const squatter = createServer(() => {});
    await new Promise<void>((listening) => squatter.listen(0, '127.0.0.1', listening));
    t.after(() => squatter.close());
    const { port } = squatter.address() as AddressInfo;
    writeFileSync(
      join(directory, 'verdict.yaml'),
      `listen: 127.0.0.1:${port}\npolicy: [policy.yaml]\nidentity: {anonymous: allow}\n` +
        'spool: {directory: spool, durability: os}\nkeys: {directory: keys}\non_audit_failure: allow\n' +
        `servers: {up: {url: "http://127.0.0.1:${await freePort()}/mcp"}}\n`,
    );
    chmodSync(join(directory, 'policy.yaml'), 0o666);
    mkdirSync(join(directory, 'keys'), { mode: 0o700 });
    writeFileSync(join(directory, 'keys', 'hmac.key'), 'ab'.repeat(32), { mode: 0o644 });
    mkdirSync(join(directory, 'spool'));
    chmodSync(join(directory, 'spool'), 0o777);
    const { code, of } = await doctor(directory, ['--config', 'verdict.yaml']);
    assert.equal(code, 3);
    assert.match(
      of('listen')[0] ?? '',
      /^fail 127\.0\.0\.1:\d+: in use \(listen\) \/ See who it is: ss -ltnp/,
    );
    assert.match(of('policy').join('\n'), /^warn policy\.yaml: others than its owner may write it/m);
    assert.match(of('keys').join('\n'), /^fail keys\/hmac\.key: .*chmod 600/m);
    assert.match(
      of('spool').join('\n'),
      /^fail .*it cannot be used: .*must be a directory of this user with mode 0700/m,
    );
    const losses = of('loss').join('\n');
    for (const told of [/durability is os/, /on_audit_failure is allow/, /there is no exporter/]) {
      assert.match(losses, told);
    }
  });

  test('a config or a policy that is wrong: exit 3, each fault a line', async () => {
    const directory = scene();
    writeFileSync(join(directory, 'verdict.yaml'), 'policy: [policy.yaml]\nservers: {}\nlisten: 0.0.0.0:1\n');
    const config = await doctor(directory, ['--config', 'verdict.yaml']);
    assert.equal(config.code, 3);
    assert.ok(
      config.of('config').every((line) => line.startsWith('fail -: ') && line.includes('verdict.yaml:')),
    );
    writeFileSync(join(directory, 'policy.yaml'), POLICY.replace('allow', 'alow'));
    const policy = await doctor(directory, WRAP);
    assert.equal(policy.code, 3);
    assert.match(policy.of('policy')[0] ?? '', /^fail -: policy\.yaml:\d+:\d+ must be one of allow/);
  });
});
