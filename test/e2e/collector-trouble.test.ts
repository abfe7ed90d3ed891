/**
 * A collector that is not there, not the right one, or not willing: what the user reads on stderr says what is wrong
 * and what to do, calls go on meanwhile, and at the end the loss is counted and said. This is `durability: none`, where
 * records can be lost; a spool says the same while it keeps them.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { skipWithoutCollector } from '../support/build-collector.ts';
import { checkChains } from '../support/chain.ts';
import { runCli } from '../support/cli.ts';
import { eventually, FILE_CONFIGS, startCollector, type Collector } from '../support/collector.ts';
import { freePort } from '../support/free-port.ts';
import { toolCall } from '../support/hostile-arguments.ts';
import { startOtlpReceiver, type OtlpReceiver, type Script } from '../support/otlp-receiver.ts';
import { startServeScene, type ServeScene } from '../support/serve-scene.ts';

type Variables = Readonly<Record<string, string>>;

/** A test that hangs fails, and its processes are ended. */
const TIMEOUT_MS = 120_000;
/** They mostly wait for processes to start, and for senders to give up. */
const TESTS_AT_ONCE = 3;

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-collector-trouble-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** Short, so that a sender gives up within the test. */
const IMPATIENT: Variables = { OTEL_EXPORTER_OTLP_TIMEOUT: '500' };
/** So that batches go out at once. */
const PROMPT: Variables = { OTEL_BLRP_SCHEDULE_DELAY: '20' };

async function scene(t: TestContext, endpoint: string, env: Variables = {}): Promise<ServeScene> {
  const variables = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, ...PROMPT, ...env };
  const directory = mkdtempSync(join(root, 'scene-'));
  const started = await startServeScene({ directory, env: variables, durability: 'none' });
  t.after(started.close);
  return started;
}

/** The numbers of the last line. */
function summary(stderr: string): { emitted: number; delivered: number; lost: number; why: string } {
  const [, emitted, delivered, lost = '0', why = ''] =
    /mcp-verdict (?:info|error) (\d+) records, (\d+) delivered(?:, (\d+) LOST \((.*)\))?\n$/.exec(stderr) ??
    [];
  assert.ok(emitted !== undefined, stderr);
  return { emitted: Number(emitted), delivered: Number(delivered), lost: Number(lost), why };
}

async function collectorOf(
  t: TestContext,
  configs: readonly string[],
  env: Variables = {},
): Promise<Collector> {
  const dir = mkdtempSync(join(root, 'collector-'));
  const collector = await startCollector({ dir, configs: [...FILE_CONFIGS, ...configs], env });
  t.after(collector.kill);
  return collector;
}

async function receiverOf(t: TestContext, script: Script): Promise<OtlpReceiver> {
  const receiver = await startOtlpReceiver();
  receiver.answerWith(() => script);
  t.after(receiver.close);
  return receiver;
}

interface Trouble {
  readonly what: string;
  readonly endpoint: (t: TestContext) => Promise<string>;
  readonly env?: Variables;
  /** What the user reads; ENDPOINT stands for the address that records are sent to. */
  readonly says: string;
}

const TROUBLES: readonly Trouble[] = [
  {
    what: 'absent',
    endpoint: async () => `http://127.0.0.1:${await freePort()}`,
    says: 'nothing listens at ENDPOINT: is the collector running? OTLP over HTTP is port 4318',
  },
  {
    what: 'asked at a wrong path',
    endpoint: async (t) => `${(await collectorOf(t, [])).httpEndpoint}/otlp`,
    says: 'ENDPOINT is not an OTLP path (HTTP 404): OTEL_EXPORTER_OTLP_ENDPOINT gets /v1/logs (or traces, metrics) appended',
  },
  {
    what: 'asked at its gRPC port',
    endpoint: async (t) => (await collectorOf(t, [])).grpcEndpoint,
    says: 'ENDPOINT does not speak HTTP: port 4317 is the gRPC port, use 4318',
  },
  {
    what: 'asked for TLS that it does not speak',
    endpoint: async (t) => (await collectorOf(t, [])).httpEndpoint.replace('http:', 'https:'),
    says: 'ENDPOINT does not speak TLS: the endpoint must begin with http://',
  },
  {
    what: 'refusing the token',
    endpoint: async (t) => (await collectorOf(t, ['auth.yaml'], { COLLECTOR_TOKEN: 'right' })).httpEndpoint,
    env: { OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20wrong-7c1' },
    says: 'ENDPOINT refuses the credentials (HTTP 401): set OTEL_EXPORTER_OTLP_HEADERS, for example authorization=Bearer%20TOKEN',
  },
  {
    what: 'overloaded',
    endpoint: async (t) => (await receiverOf(t, { status: 503 })).url,
    says: "ENDPOINT is overloaded or not ready (HTTP 503): look at the collector's own log and memory limit",
  },
  {
    what: 'slow',
    endpoint: async (t) => (await receiverOf(t, { hang: true })).url,
    says: 'ENDPOINT does not answer in time: it is slow or out of reach; OTEL_EXPORTER_OTLP_TIMEOUT is how long to wait, in milliseconds',
  },
  {
    what: 'something else, with a page of its own',
    endpoint: async (t) => (await receiverOf(t, { body: '<html>Sign in</html>' })).url,
    says: 'the answer to an export is not OTLP, so it counts as lost: is the endpoint a collector, or a proxy with a page of its own?',
  },
];

const STDIO_POLICY = `
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: open, version: "1"}
rules:
  - {id: all, effect: allow, tools: ["up/*"]}
`;

const STDIO_ANSWER = '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}';
const STDIO_SERVER = `
  process.stdin.once('data', () => console.log('${STDIO_ANSWER}'));
  process.stdin.once('end', () => process.exit(7));
`;

describe(
  'a collector in trouble',
  { skip: skipWithoutCollector(), timeout: TIMEOUT_MS, concurrency: TESTS_AT_ONCE },
  () => {
    for (const { what, endpoint, env, says } of TROUBLES) {
      test(`${what}: stderr says so while calls go on, and the loss is counted`, async (t) => {
        const url = await endpoint(t);
        const { call, proxy, stop } = await scene(t, url, { ...IMPATIENT, ...env });
        await call();
        const text = says.replace('ENDPOINT', `${url}/v1/logs`);
        await eventually(() => proxy.stderr().includes(text) || undefined, {
          what: text,
          state: proxy.stderr,
        });
        await call();
        const { code, stderr } = await stop();
        assert.equal(code, 0, stderr);
        // Of each call decision and outcome, and the start and the stop.
        const { emitted, delivered, lost, why } = summary(stderr);
        assert.deepEqual([emitted, delivered, lost], [6, 0, 6], stderr);
        assert.match(why, /^(export_failed|rejected): 6$/);
        assert.doesNotMatch(stderr, /wrong-7c1/);
        // The same fault is said once for each signal, however many batches it takes with it.
        assert.ok(stderr.split('\n').length < 16, stderr);
      });
    }

    test('gone in the middle: what had arrived is told from what is lost, and the chain shows the hole', async (t) => {
      const collector = await collectorOf(t, []);
      const { call, proxy, stop } = await scene(t, collector.httpEndpoint, {
        OTEL_EXPORTER_OTLP_TIMEOUT: '2500',
      });
      await call();
      const before = await collector.waitFor(({ logs }) => logs.length === 3);
      assert.equal(checkChains(before.logs), 1);
      await collector.kill();
      await call();
      const gone = /verdict records lost: nothing listens/;
      await eventually(() => gone.test(proxy.stderr()) || undefined, {
        what: String(gone),
        state: proxy.stderr,
      });
      const again = await startCollector({ dir: join(root, 'again'), ports: collector.ports });
      t.after(again.kill);
      await call();
      const { code, stderr } = await stop();
      assert.equal(code, 0, stderr);
      const { emitted, delivered, lost, why } = summary(stderr);
      const sequences = [...before.logs, ...again.logs()].map(
        ({ attributes }) => attributes['verdict.stream.sequence'],
      );
      // Decision and outcome of the call in between, or only the one, where the other went in a batch of its own.
      assert.ok(lost === 2 || lost === 1, stderr);
      assert.deepEqual([emitted, delivered, why], [8, sequences.length, `export_failed: ${lost}`], stderr);
      assert.deepEqual(sequences, [1, 2, 3, ...(lost === 1 ? [5] : []), 6, 7, 8]);
    });

    test('over stdio the wire stays clean and the exit code is the server’s own', async () => {
      const directory = mkdtempSync(join(root, 'wrap-'));
      writeFileSync(join(directory, 'policy.yaml'), STDIO_POLICY);
      const flags = [
        '--policy',
        'policy.yaml',
        '--server',
        'up',
        '--keys-directory',
        'keys',
        '--durability',
        'none',
      ];
      const { code, stdout, stderr } = await runCli(
        ['wrap', ...flags, '--', process.execPath, '-e', STDIO_SERVER],
        {
          cwd: directory,
          env: { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await freePort()}`, ...IMPATIENT },
          input: `${toolCall('{}')}\n`,
        },
      );
      assert.equal(stdout, `${STDIO_ANSWER}\n`);
      assert.match(stderr, /nothing listens at \S+\/v1\/logs: is the collector running\?/);
      assert.deepEqual(
        summary(stderr),
        { emitted: 4, delivered: 0, lost: 4, why: 'export_failed: 4' },
        stderr,
      );
      assert.equal(code, 7);
    });
  },
);

describe(
  'switched off',
  { skip: skipWithoutCollector(), timeout: TIMEOUT_MS, concurrency: TESTS_AT_ONCE },
  () => {
    let collector: Collector;
    before(async () => {
      collector = await startCollector({ dir: join(root, 'switched-off') });
    });
    after(() => collector?.kill());

    for (const [variable, value, spans, metrics] of [
      ['OTEL_TRACES_EXPORTER', 'none', false, true],
      ['OTEL_METRICS_EXPORTER', 'none', true, false],
      ['OTEL_SDK_DISABLED', 'true', false, false],
      ['OTEL_TRACES_SAMPLER', 'always_off', false, true],
    ] as const) {
      const without = [...(spans ? [] : ['spans']), ...(metrics ? [] : ['metrics'])].join(' and ');
      test(`${variable}=${value}: no ${without}, and decisions all the same`, async (t) => {
        const name = `${variable}-${value}`;
        const { call, stop } = await scene(t, collector.httpEndpoint, {
          [variable]: value,
          OTEL_SERVICE_NAME: name,
        });
        await call();
        const { code, stderr } = await stop();
        assert.equal(code, 0, stderr);
        assert.deepEqual(summary(stderr), { emitted: 4, delivered: 4, lost: 0, why: '' });
        const own = <Item extends { readonly resource: Readonly<Record<string, unknown>> }>(
          items: readonly Item[],
        ) => items.filter(({ resource }) => resource['service.name'] === name);
        const decision = own(collector.logs()).find(({ eventName }) => eventName === 'verdict.decision');
        assert.match(decision?.spanId ?? '', /^(?!0{16})[0-9a-f]{16}$/);
        assert.equal(own(collector.spans()).length > 0, spans);
        assert.equal(own(collector.metrics()).length > 0, metrics);
      });
    }
  },
);
