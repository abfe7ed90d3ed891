/** `doctor` against collectors of several kinds: what it tells of them, and what becomes of the record that it sends. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { skipWithoutCollector } from '../support/build-collector.ts';
import { runCli } from '../support/cli.ts';
import { FILE_CONFIGS, startCollector, type Collector } from '../support/collector.ts';
import { doctor, root, scene, WRAP, type Variables } from '../support/doctor-scene.ts';
import { freePort } from '../support/free-port.ts';
import { startServeScene } from '../support/serve-scene.ts';

/** A test that hangs fails, and its processes are ended. */
const TIMEOUT_MS = 120_000;
const TESTS_AT_ONCE = 3;

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

    test('a wrong path, TLS where there is none and a wrong token are named, exit 1', async (t) => {
      const wrong = await doctor(scene(), WRAP, {
        OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.httpEndpoint}/otlp`,
      });
      assert.equal(wrong.code, 1);
      assert.match(wrong.of('endpoint')[0] ?? '', /^fail otlp: .*is not an OTLP path \(HTTP 404\)/);
      const secure = collector.httpEndpoint.replace('http:', 'https:');
      const tls = await doctor(scene(), WRAP, { OTEL_EXPORTER_OTLP_ENDPOINT: secure });
      assert.equal(tls.code, 1);
      assert.match(
        tls.of('endpoint')[0] ?? '',
        /^fail otlp: .*does not speak TLS: the endpoint must begin with/,
      );
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
