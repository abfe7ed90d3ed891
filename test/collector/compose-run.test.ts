/**
 * The commands of docker-compose.yml, run as they stand there, without containers: on free ports, in directories of the
 * test's own, and with VictoriaLogs where Loki would be.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { findCollector } from '../support/build-collector.ts';
import { findGoProgram } from '../support/build-go-program.ts';
import { COLLECTOR_CONFIG_DIRECTORY, eventually, startCollector } from '../support/collector.ts';
import { readCompose, wordsOf } from '../support/compose.ts';
import { skipWithoutDestinations } from '../support/fan-out/kinds.ts';
import { s3Client, VERSITYGW } from '../support/s3-server.ts';
import { startServer, type ServerProgram } from '../support/server-program.ts';
import { basicAuthorization, startVictoriaLogs, VICTORIA_LOGS_USER } from '../support/victoria-logs.ts';

const TIMEOUT_MS = 60_000;
const BUCKET = 'audit';

const { services } = readCompose();

function directory(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'mcp-verdict-compose-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** The service `s3`, with its volume in `dir`. */
async function startS3(dir: string): Promise<ServerProgram> {
  const { command, environment, build } = services.s3;
  // What the image's Dockerfile makes, and the volume takes over.
  const parts = /for part in ([\w ]+);/.exec(build?.dockerfile_inline ?? '')?.[1]?.split(' ') ?? [];
  for (const part of parts) mkdirSync(join(dir, part), { recursive: true });
  return await startServer({
    binary: await findGoProgram(VERSITYGW),
    args: (port) =>
      wordsOf(command).map((word) =>
        word.replace('=:7070', `=127.0.0.1:${port}`).replace('/var/lib/s3', dir),
      ),
    env: environment,
    healthPath: '/health',
  });
}

/** The service `s3-bucket`, by the curl of this machine. */
function makeBucket(url: string): { readonly status: number | null; readonly output: string } {
  const { command, environment } = services['s3-bucket'];
  const { status, stdout, stderr } = spawnSync('sh', ['-euc', ...[command].flat()], {
    env: { ...environment, PATH: process.env['PATH'], S3_URL: url },
    encoding: 'utf8',
  });
  return { status, output: stdout + stderr };
}

function configsOf(command: string | readonly string[]): string[] {
  return wordsOf(command)
    .filter((word) => word.startsWith('--config='))
    .map((word) => word.slice('--config=/etc/otelcol/'.length));
}

describe('docker-compose.yml', { skip: skipWithoutDestinations(), timeout: TIMEOUT_MS }, () => {
  test('the collector delivers to its files, to Loki and to a bucket whose objects are locked', async (t) => {
    const dir = directory(t);
    const s3 = await startS3(join(dir, 's3'));
    t.after(s3.kill);
    // At the first start, and at the next.
    assert.deepEqual(makeBucket(s3.url), { status: 0, output: '' });
    assert.deepEqual(makeBucket(s3.url), { status: 0, output: '' });
    const loki = await startVictoriaLogs(join(dir, 'loki'));
    t.after(loki.kill);
    const { command, environment } = services.collector;
    // The rig sets the addresses that it listens on, which are every interface's in a container.
    const own = Object.entries(environment).filter(([name]) => !/^COLLECTOR_.*_(ENDPOINT|HOST)$/.test(name));
    const collector = await startCollector({
      dir: join(dir, 'collector'),
      configs: configsOf(command),
      env: {
        ...Object.fromEntries(own),
        LOKI_ENDPOINT: `${loki.url}/insert/opentelemetry`,
        LOKI_AUTHORIZATION: basicAuthorization(VICTORIA_LOGS_USER),
        S3_ENDPOINT: s3.url,
        S3_FLUSH_INTERVAL: '100ms',
      },
    });
    t.after(collector.kill);
    const logRecords = [{ eventName: 'verdict.lifecycle', body: { stringValue: '{"a":1}' } }];
    const response = await fetch(`${collector.httpEndpoint}/v1/logs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] }),
    });
    assert.equal(response.status, 200);
    assert.equal(collector.logs()[0]?.eventName, 'verdict.lifecycle');
    const [row] = await eventually(async () => {
      const rows = await loki.query('*');
      return rows.length === 0 ? undefined : rows;
    });
    assert.equal(row?.['_msg'], '{"a":1}');
    // With the credentials that stand in the file, as a user would look.
    const bucket = s3Client(s3.url, {
      AWS_ACCESS_KEY_ID: environment['AWS_ACCESS_KEY_ID'] ?? '',
      AWS_SECRET_ACCESS_KEY: environment['AWS_SECRET_ACCESS_KEY'] ?? '',
    });
    const [key = ''] = await eventually(async () => {
      const keys = await bucket.list(BUCKET);
      return keys.length === 0 ? undefined : keys;
    });
    assert.equal(gunzipSync(await bucket.get(BUCKET, key)).toString('utf8'), '{"a":1}\n');
    const head = await bucket.request('HEAD', `/${BUCKET}/${key}`);
    const version = `/${BUCKET}/${key}?versionId=${head.headers.get('x-amz-version-id')}`;
    assert.equal((await bucket.request('DELETE', version)).status, 403);
  });

  test('the addresses of one service are those that the others ask for', () => {
    const { collector, proxy, s3, 's3-bucket': bucket } = services;
    const port = proxy.environment['OTEL_EXPORTER_OTLP_ENDPOINT']?.split(':').at(-1);
    assert.equal(collector.environment['COLLECTOR_HTTP_ENDPOINT'], `0.0.0.0:${port}`);
    assert.ok(wordsOf(s3.command).includes('--port=:7070'));
    for (const url of [collector.environment['S3_ENDPOINT'], bucket.environment['S3_URL']])
      assert.equal(url, 'http://s3:7070');
    assert.equal(collector.environment['LOKI_ENDPOINT'], 'http://loki:3100/otlp');
    assert.equal(collector.environment['S3_BUCKET'], BUCKET);
    assert.equal(
      bucket.environment['CREDENTIALS'],
      `${s3.environment['ROOT_ACCESS_KEY']}:${s3.environment['ROOT_SECRET_KEY']}`,
    );
  });

  for (const [name, variables] of [
    [
      'splunk-settings',
      { SPLUNK_HEC_URL: 'https://splunk.example:8088/services/collector/event', SPLUNK_HEC_TOKEN: 'x' },
    ],
    ['datadog-settings', { DD_API_KEY: 'x' }],
  ] as const) {
    test(`${name}: says what is missing, and all that the collector is then given fits together`, async () => {
      const binary = await findCollector();
      const validate = (
        command: string | readonly string[],
        env: Readonly<Record<string, string>>,
      ): { status: number | null; output: string } => {
        const configs = configsOf(command).map((config) => `--config=${config}`);
        const cwd = COLLECTOR_CONFIG_DIRECTORY;
        const { status, stdout, stderr } = spawnSync(binary, ['validate', ...configs], {
          cwd,
          env,
          encoding: 'utf8',
        });
        return { status, output: stdout + stderr };
      };
      const missing = readCompose().services[name];
      const { status, output } = validate(missing.command, missing.environment);
      assert.equal(status, 1);
      assert.match(output, /splunk_hec\/audit: requires a non-empty|DD_API_KEY: no bearer token provided/);
      const set = readCompose(variables).services;
      for (const service of [set[name], set.collector])
        assert.deepEqual(validate(service.command, service.environment), { status: 0, output: '' });
    });
  }
});
