/** `doctor` against endpoints in trouble, servers of several kinds, and a proxy that runs meanwhile. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { startDemoServer } from '../../src/cli/demo-server.ts';
import { ROOT, runCli, startCli } from '../support/cli.ts';
import { eventually } from '../support/collector.ts';
import { doctor, POLICY, scene, serve, WRAP, type Variables } from '../support/doctor-scene.ts';
import { startOtlpReceiver, type Script } from '../support/otlp-receiver.ts';
import { startServeScene } from '../support/serve-scene.ts';

/** A test that hangs fails, and its processes are ended. */
const TIMEOUT_MS = 120_000;
const TESTS_AT_ONCE = 3;

/** Below the range that the system hands out, so that no test beside this one is given it. */
const DEAD_PORT = 1011;

describe('doctor and an endpoint in trouble', { timeout: TIMEOUT_MS, concurrency: TESTS_AT_ONCE }, () => {
  const receiver = async (t: TestContext, script: Script): Promise<Variables> => {
    const started = await startOtlpReceiver();
    started.answerWith(() => script);
    t.after(started.close);
    return { OTEL_EXPORTER_OTLP_ENDPOINT: started.url };
  };

  test('nobody there: exit 4', async () => {
    const { code, of } = await doctor(scene(), WRAP, {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${DEAD_PORT}`,
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
      dead: `http://127.0.0.1:${DEAD_PORT}/mcp`,
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

test(
  'a command of serve is started as serve starts it: in its directory, with its variables and none of ours',
  { timeout: TIMEOUT_MS },
  async () => {
    const directory = scene();
    mkdirSync(join(directory, 'work'));
    const told = `console.error('error:', process.cwd(), process.env.GIVEN, process.env.MINE); process.exit(3)`;
    const odd = {
      command: process.execPath,
      args: ['-e', told],
      env: { GIVEN: '${env:MINE} too' },
      cwd: 'work',
    };
    const files = join(ROOT, 'node_modules/@modelcontextprotocol/server-filesystem/dist/index.js');
    const good = { command: process.execPath, args: [files, directory] };
    const { code, of } = await doctor(directory, serve(directory, { good, odd }), { MINE: 'passed on' });
    assert.equal(code, 1);
    const [first = '', second = ''] = of('upstream');
    assert.match(first, /^ok good: \S+ \S+, \d+ tools, MCP 2025-11-25/);
    assert.match(
      second,
      /^fail odd: .* ended with 3 before it answered; it said: error: \S+\/work passed on too undefined/,
    );
  },
);

test('interrupted, it leaves no server behind', { timeout: TIMEOUT_MS }, async () => {
  const directory = scene();
  const silent = `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);
    require('fs').writeFileSync('pid.tmp', String(process.pid)); require('fs').renameSync('pid.tmp', 'pid')`;
  const env = { XDG_STATE_HOME: join(directory, 'state') };
  const args = ['doctor', ...WRAP, '--', process.execPath, '-e', silent];
  const running = startCli(args, { cwd: directory, env });
  const pid = await eventually(() => {
    const file = join(directory, 'pid');
    return existsSync(file) ? Number(readFileSync(file, 'utf8')) : undefined;
  });
  const { code } = await running.stop('SIGINT');
  assert.equal(code, 1);
  assert.match(running.stderr(), /doctor was interrupted\n$/);
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
});

describe('doctor and a proxy that runs', { timeout: TIMEOUT_MS }, () => {
  test('the spool is looked at while its owner goes on, and nothing in it is changed', async (t) => {
    const directory = scene();
    const dead = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${DEAD_PORT}` };
    const proxy = await startServeScene({ directory, env: dead, durability: 'sync' });
    t.after(proxy.close);
    await proxy.call();
    const spool = join(directory, 'spool');
    const names = (): string[] => readdirSync(spool, { recursive: true }).map(String).toSorted();
    const before = names();
    // The same spool; the scene's server answers nobody but its own caller.
    const config = serve(directory, { dead: `http://127.0.0.1:${DEAD_PORT}/mcp` }, 'beside.yaml');
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
        `servers: {up: {url: "http://127.0.0.1:${DEAD_PORT}/mcp"}}\n`,
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
