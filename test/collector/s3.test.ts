/** What destinations/s3.yaml does that no other destination does: objects, locks, formats, and a bucket that is not there. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { CLI } from '../support/cli.ts';
import {
  COLLECTOR_CONFIG_DIRECTORY,
  eventually,
  startCollector,
  type Collector,
} from '../support/collector.ts';
import { startFanOut } from '../support/fan-out-scene.ts';
import { skipWithoutDestinations } from '../support/fan-out/kinds.ts';
import { s3 } from '../support/fan-out/s3.ts';
import { S3_CREDENTIALS, startS3Server, type S3Server } from '../support/s3-server.ts';

const TIMEOUT_MS = 60_000;
const BUCKET = 'audit';

interface Scene {
  readonly dir: string;
  readonly server: S3Server;
  readonly start: (env?: Readonly<Record<string, string>>) => Promise<Collector>;
}

async function createScene(t: TestContext): Promise<Scene> {
  const dir = mkdtempSync(join(tmpdir(), 'mcp-verdict-s3-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const server = await startS3Server(join(dir, 'server'));
  t.after(server.kill);
  const start: Scene['start'] = async (env) => {
    const collector = await startCollector({
      dir: join(dir, 'collector'),
      configs: ['base.yaml', 'destinations/s3.yaml'],
      env: {
        S3_BUCKET: BUCKET,
        S3_ENDPOINT: server.url,
        S3_FORCE_PATH_STYLE: 'true',
        S3_FLUSH_INTERVAL: '100ms',
        ...S3_CREDENTIALS,
        ...env,
      },
    });
    t.after(collector.kill);
    return collector;
  };
  return { dir, server, start };
}

async function send(collector: Collector, body: string): Promise<void> {
  const logRecords = [{ body: { stringValue: body } }];
  const response = await fetch(`${collector.httpEndpoint}/v1/logs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] }),
  });
  assert.equal(response.status, 200);
}

/** The keys, once there are any. */
function stored(server: S3Server): Promise<readonly string[]> {
  return eventually(
    async () => {
      const keys = await server.list(BUCKET);
      return keys.length === 0 ? undefined : keys;
    },
    { what: 'an object', state: server.output },
  );
}

async function textOf(server: S3Server, key: string): Promise<string> {
  return gunzipSync(await server.get(BUCKET, key)).toString('utf8');
}

/** The command that the README has for objects in either format, over those in `dir`/s3. */
function runReadmeProof(
  dir: string,
  objects: string,
): { readonly status: number | null; readonly output: string } {
  const readme = readFileSync(join(COLLECTOR_CONFIG_DIRECTORY, 'README.md'), 'utf8');
  const command = /^find s3 .*records verify - .*$/m.exec(readme)?.[0] ?? '';
  const key = /\\"verdict\.lifecycle\.public_key\\":\\"([^\\]+)/.exec(objects)?.[1] ?? '';
  const ours = command
    .replace('mcp-verdict', `'${process.execPath}' '${CLI}'`)
    .replace('checkpoint.pub', `'${key}'`);
  const { status, stdout, stderr } = spawnSync('sh', ['-c', ours], { cwd: dir, encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

describe('S3', { skip: skipWithoutDestinations(), timeout: TIMEOUT_MS }, () => {
  test('in a locked bucket, nobody deletes or replaces what the collector wrote', async (t) => {
    const { server, start } = await createScene(t);
    await server.createLockedBucket(BUCKET);
    await send(await start(), 'evidence');
    const [key = ''] = await stored(server);
    const path = `/${BUCKET}/${key}`;
    const head = await server.request('HEAD', path);
    const version = `${path}?versionId=${head.headers.get('x-amz-version-id')}`;
    const bypass = { headers: { 'x-amz-bypass-governance-retention': 'true' } };
    assert.equal((await server.request('DELETE', version)).status, 403);
    assert.equal((await server.request('DELETE', version, bypass)).status, 403);
    // Both of these are allowed on any object, and hide the version that was written; it is still there.
    assert.equal((await server.request('PUT', path, { body: 'forged' })).status, 200);
    assert.equal((await server.request('DELETE', path)).status, 204);
    const kept = await server.request('GET', version);
    assert.deepEqual([kept.status, kept.text], [200, 'evidence\n']);
  });

  test('without a lock the same delete succeeds, so that the test above means something', async (t) => {
    const { server, start } = await createScene(t);
    await server.createBucket(BUCKET);
    await send(await start(), 'evidence');
    const [key = ''] = await stored(server);
    assert.equal((await server.request('DELETE', `/${BUCKET}/${key}`)).status, 204);
    assert.deepEqual(await server.list(BUCKET), []);
  });

  test('requests that come together become one object, in their order', async (t) => {
    const { server, start } = await createScene(t);
    await server.createBucket(BUCKET);
    const collector = await start({ S3_FLUSH_INTERVAL: '2s' });
    for (const body of ['one', 'two', 'three']) await send(collector, body);
    const [key = '', ...others] = await stored(server);
    assert.deepEqual(others, []);
    assert.equal(await textOf(server, key), 'one\ntwo\nthree\n');
  });

  test('what waits for its object outlives the collector', async (t) => {
    const { server, start } = await createScene(t);
    await server.createBucket(BUCKET);
    const first = await start({ S3_FLUSH_INTERVAL: '1h' });
    await send(first, 'waiting');
    await first.kill();
    assert.deepEqual(await server.list(BUCKET), []);
    await start();
    const [key = ''] = await stored(server);
    assert.equal(await textOf(server, key), 'waiting\n');
  });

  for (const [what, env] of [
    ['a bucket that is not there yet', {}],
    ['a wrong key', { AWS_SECRET_ACCESS_KEY: 'wrong' }],
  ] as const) {
    test(`${what} loses nothing: records wait until it is right`, async (t) => {
      const { server, start } = await createScene(t);
      const first = await start(env);
      await send(first, 'patient');
      await eventually(() => /Exporting failed\. Will retry/.test(first.output()) || undefined);
      await first.stop();
      await server.createBucket(BUCKET);
      await start();
      const [key = ''] = await stored(server);
      assert.equal(await textOf(server, key), 'patient\n');
    });
  }

  test('as OTLP/JSON the objects have attributes too, and prove the chain', async (t) => {
    const { dir } = await createScene(t);
    const start: typeof s3.start = async (home) => {
      const destination = await s3.start(home);
      return { ...destination, env: { ...destination.env, S3_FORMAT: 'otlp_json' } };
    };
    const scene = await startFanOut({ dir: join(dir, 'scene'), topology: 'A', kinds: [{ ...s3, start }] });
    t.after(scene.close);
    await scene.calls(50);
    await scene.stopProxy();
    const proven = async (): Promise<true | undefined> =>
      (await scene.verify('s3')).code === 0 ? true : undefined;
    await eventually(proven, { what: 'a proof', state: scene.collector().output });
    const files = await scene.destination('s3').exportTo(join(dir, 's3'));
    for (const file of files) assert.match(file, /\/logs_[0-9a-f-]+\.json\.gz$/);
    const objects = files.map((file) => gunzipSync(readFileSync(file)).toString('utf8')).join('');
    assert.match(objects, /"key":"verdict\.decision\.effect"/);
    const { status, output } = runReadmeProof(dir, objects);
    assert.equal(status, 0, output);
  });

  test('a format that is none stops the start', async (t) => {
    const { start } = await createScene(t);
    await assert.rejects(start({ S3_FORMAT: 'jsonl' }), /unknown marshaler "jsonl"/);
  });
});
