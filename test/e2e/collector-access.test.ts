/** A collector that does not take data from just anybody, and how to be let in: by the OTEL_* variables alone. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { skipWithoutCollector } from '../support/build-collector.ts';
import { createAuthority, skipWithoutOpenssl } from '../support/certificates.ts';
import { checkChains } from '../support/chain.ts';
import { FILE_CONFIGS, startCollector, type Collector } from '../support/collector.ts';
import { startOtlpWitness } from '../support/otlp-witness.ts';
import { ALL_DELIVERED, startServeScene, type Durability } from '../support/serve-scene.ts';

type Variables = Readonly<Record<string, string>>;

/** A test that hangs fails, and its processes are ended. */
const TIMEOUT_MS = 120_000;
/** They mostly wait for processes to start. */
const TESTS_AT_ONCE = 3;

const TOKEN = 'ingest-7f3a';
const CALLS = 3;

/** A connection that is broken off is tried again for as long. */
const IMPATIENT: Variables = { OTEL_EXPORTER_OTLP_TIMEOUT: '1500' };

describe(
  'access by OTEL_* variables alone',
  { skip: skipWithoutCollector() || skipWithoutOpenssl(), timeout: TIMEOUT_MS, concurrency: TESTS_AT_ONCE },
  () => {
    const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-collector-access-'));
    const tls = join(root, 'tls');
    const pem = (name: string): string => join(tls, 'made', name);
    const authority = (): Variables => ({ OTEL_EXPORTER_OTLP_CERTIFICATE: pem('servers.pem') });
    const certificate = (holder: string): Variables => ({
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: pem(`${holder}.pem`),
      OTEL_EXPORTER_OTLP_CLIENT_KEY: pem(`${holder}-key.pem`),
    });

    before(() => {
      mkdirSync(tls);
      const servers = createAuthority(join(tls, 'made'), 'servers');
      const clients = createAuthority(join(tls, 'made'), 'clients');
      const server = servers.sign('server');
      copyFileSync(server.certificate, join(tls, 'server.pem'));
      copyFileSync(server.key, join(tls, 'server-key.pem'));
      copyFileSync(clients.certificate, join(tls, 'client-ca.pem'));
      clients.sign('proxy');
      servers.sign('stranger');
    });
    after(() => rmSync(root, { recursive: true, force: true }));

    const start = async (t: TestContext, configs: readonly string[]): Promise<Collector> => {
      const env = { COLLECTOR_TOKEN: TOKEN, COLLECTOR_TLS_DIRECTORY: tls };
      const dir = mkdtempSync(join(root, 'collector-'));
      const collector = await startCollector({ dir, configs: [...FILE_CONFIGS, ...configs], env });
      t.after(collector.kill);
      return collector;
    };

    /** Runs `serve` with these variables, through a few calls, to its end. @returns what it said */
    const run = async (t: TestContext, env: Variables, durability: Durability): Promise<string> => {
      const scene = await startServeScene({ directory: mkdtempSync(join(root, 'scene-')), env, durability });
      t.after(scene.close);
      for (let call = 0; call < CALLS; call += 1) await scene.call();
      const { code, stderr } = await scene.stop();
      assert.equal(code, 0, stderr);
      return stderr;
    };

    /** Runs it with the spool's exporter and with the SDK's own: both read the same variables. */
    const runBoth = async (t: TestContext, env: Variables): Promise<void> => {
      for (const durability of ['sync', 'none'] as const) {
        const stderr = await run(t, env, durability);
        assert.match(stderr, ALL_DELIVERED[durability]);
        assert.doesNotMatch(stderr, /(verdict records|spans|metrics) (lost|wait)/);
      }
    };

    /** Each call of both runs, once. */
    const recordsArrived = ({ logs }: Collector): void => {
      assert.equal(checkChains(logs()), 2);
      for (const name of ['verdict.decision', 'verdict.outcome']) {
        assert.equal(logs().filter(({ eventName }) => eventName === name).length, 2 * CALLS, name);
      }
    };

    const telemetryArrived = ({ spans, metrics }: Collector): void => {
      // Of each call the SERVER and the CLIENT span.
      assert.equal(spans().length, 2 * CALLS * 2);
      const instances = metrics()
        .filter(({ name }) => name === 'verdict.decisions')
        .map(({ resource }) => resource);
      assert.equal(new Set(instances.map((resource) => resource['service.instance.id'])).size, 2);
    };

    const ROWS: readonly {
      readonly what: string;
      readonly configs: readonly string[];
      readonly env: () => Variables;
      /** With what it does not work, and what is said then. */
      readonly wrong: readonly (readonly [what: string, env: () => Variables, said: RegExp])[];
    }[] = [
      {
        what: 'TLS with a private authority',
        configs: ['tls.yaml'],
        env: authority,
        wrong: [
          [
            'its authority not known',
            () => ({}),
            /cannot be trusted \(\w+\): set OTEL_EXPORTER_OTLP_CERTIFICATE to the PEM file of its authority/,
          ],
        ],
      },
      {
        what: 'TLS on both sides',
        configs: ['tls.yaml', 'mtls.yaml'],
        env: () => ({ ...authority(), ...certificate('proxy') }),
        wrong: [
          ['no client certificate', authority, /CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY/],
          [
            'a certificate of another authority',
            () => ({ ...authority(), ...certificate('stranger') }),
            /CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY/,
          ],
        ],
      },
      {
        what: 'a bearer token',
        configs: ['auth.yaml'],
        env: () => ({ OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${TOKEN}` }),
        wrong: [
          [
            'no token',
            () => ({}),
            /refuses the credentials \(HTTP 401\): set OTEL_EXPORTER_OTLP_HEADERS, for example authorization=Bearer%20TOKEN/,
          ],
        ],
      },
      {
        what: 'a bearer token over TLS on both sides, compressed, as protobuf',
        configs: ['tls.yaml', 'mtls.yaml', 'auth.yaml'],
        env: () => ({
          ...authority(),
          ...certificate('proxy'),
          OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${TOKEN}`,
          OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
          OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
        }),
        wrong: [],
      },
    ];

    for (const { what, configs, env, wrong } of ROWS) {
      test(`${what}: records, spans and metrics arrive`, async (t) => {
        const collector = await start(t, configs);
        const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.httpEndpoint };
        for (const [which, less, said] of wrong) {
          const stderr = await run(t, { ...endpoint, ...IMPATIENT, ...less() }, 'none');
          assert.match(stderr, said, which);
          assert.match(stderr, /records, 0 delivered, \d+ LOST/, which);
          assert.doesNotMatch(stderr, new RegExp(TOKEN), which);
        }
        assert.deepEqual(collector.logs(), []);
        await runBoth(t, { ...endpoint, ...env() });
        recordsArrived(collector);
        telemetryArrived(collector);
      });
    }

    test('gzip: all three signals are compressed, and arrive', async (t) => {
      const collector = await start(t, []);
      const witness = await startOtlpWitness(collector.httpEndpoint);
      t.after(witness.close);
      await runBoth(t, { OTEL_EXPORTER_OTLP_ENDPOINT: witness.url, OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip' });
      recordsArrived(collector);
      telemetryArrived(collector);
      assert.deepEqual(
        new Set(witness.exchanges.map(({ path, contentEncoding }) => `${path} ${contentEncoding}`)),
        new Set(['/v1/logs gzip', '/v1/traces gzip', '/v1/metrics gzip']),
      );
    });

    test('a signal’s own variables go before those for all, so that logs alone can go elsewhere', async (t) => {
      const [common, audit] = [await start(t, []), await start(t, ['auth.yaml'])];
      await runBoth(t, {
        OTEL_EXPORTER_OTLP_ENDPOINT: common.httpEndpoint,
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `${audit.httpEndpoint}/v1/logs`,
        OTEL_EXPORTER_OTLP_LOGS_HEADERS: `authorization=Bearer%20${TOKEN}`,
      });
      recordsArrived(audit);
      telemetryArrived(common);
      assert.deepEqual([common.logs().length, audit.spans().length, audit.metrics().length], [0, 0, 0]);
    });
  },
);
