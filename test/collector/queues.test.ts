/** What the collector itself understands of the files, for what no test can wait for: a retry that ends after minutes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { findCollector, skipWithoutCollector } from '../support/build-collector.ts';
import { configArguments } from '../support/collector.ts';
import { DESTINATIONS } from '../support/fan-out/kinds.ts';

/** Enough to start with every destination. */
const ENVIRONMENT = {
  SPLUNK_HEC_URL: 'https://splunk.example:8088',
  SPLUNK_HEC_TOKEN: 'secret',
  DD_API_KEY: 'secret',
  DD_SITE: 'datadoghq.eu',
  LOKI_ENDPOINT: 'https://loki.example/otlp',
  S3_BUCKET: 'audit',
};

interface Exporter {
  readonly timeout: string;
  readonly logs_endpoint?: string;
  readonly retry_on_failure: { readonly enabled: boolean; readonly max_elapsed_time: string };
  readonly sending_queue: null | {
    readonly storage: string | null;
    readonly queue_size: number;
    readonly num_consumers: number;
    readonly block_on_overflow: boolean;
  };
}

interface Understood {
  readonly exporters: Readonly<Record<string, Exporter>>;
  readonly extensions: Readonly<
    Record<'file_storage/queue', { readonly fsync: boolean; readonly recreate?: boolean }>
  >;
  readonly service: {
    readonly pipelines: Readonly<
      Record<string, { readonly receivers: readonly string[]; readonly exporters: readonly string[] }>
    >;
  };
}

let binary = '';
const skip = skipWithoutCollector();

function understood(configs: readonly string[]): Understood {
  const args = ['print-config', ...configArguments(['base.yaml', ...configs])];
  const { status, stdout, stderr } = spawnSync(binary, args, { env: ENVIRONMENT, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  // The shape is the collector's; the tests below fail where it is another.
  return parse(stdout) as Understood;
}

const SECONDS: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1 };

/** Of Go's `1m30s`. */
function seconds(duration: string): number {
  return [...duration.matchAll(/(\d+)([hms])/g)].reduce(
    (sum, [, count, unit = '']) => sum + Number(count) * (SECONDS[unit] ?? Number.NaN),
    0,
  );
}

describe('what the collector understands', { skip }, () => {
  before(async () => {
    binary = await findCollector();
  });

  for (const { name, config, strictConfig, exporter } of DESTINATIONS) {
    test(`${config}: its queue is on disk, synced, one at a time, and nothing is given up`, () => {
      const { exporters, extensions } = understood([config]);
      const { retry_on_failure: retry, sending_queue: queue } = exporters[exporter] ?? {};
      assert.deepEqual([retry?.enabled, retry?.max_elapsed_time], [true, '0s']);
      assert.ok(queue !== null && queue !== undefined);
      assert.equal(queue.storage, 'file_storage/queue');
      assert.equal(queue.num_consumers, 1);
      assert.equal(queue.block_on_overflow, false);
      assert.ok(queue.queue_size >= 1024 ** 3, 'the size is one in bytes');
      // A spoilt queue file would be put aside, and the records in it forgotten.
      const storage = extensions['file_storage/queue'];
      assert.deepEqual([storage.fsync, storage.recreate ?? false], [true, false]);
    });

    test(`${strictConfig}: nothing is kept, and an answer comes before mcp-verdict stops to listen`, () => {
      const { exporters, service } = understood([config, strictConfig]);
      const strict = exporters[exporter];
      assert.equal(strict?.sending_queue, null);
      assert.equal(strict.retry_on_failure.enabled, false);
      assert.ok(seconds(strict.timeout) < 10, strict.timeout);
      const { receivers, exporters: own } = service.pipelines[`logs/${name}`] ?? {};
      assert.deepEqual([receivers, own], [[`otlp/${name}`], [exporter]]);
    });
  }

  test('together, each has a pipeline of its own with one exporter', () => {
    const { service } = understood(DESTINATIONS.map(({ config }) => config));
    assert.deepEqual(
      Object.values(service.pipelines).map(({ receivers, exporters }) => [receivers, exporters.length]),
      DESTINATIONS.map(() => [['otlp'], 1]),
    );
  });

  test('the site says where Datadog is', () => {
    const { exporters } = understood(['destinations/datadog.yaml']);
    assert.equal(exporters['otlp_http/datadog']?.logs_endpoint, 'https://otlp.datadoghq.eu/v1/logs');
  });
});
