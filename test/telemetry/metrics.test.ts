import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { createMetrics, LABEL_BYTES_MAX, LABEL_VALUES_MAX } from '../../src/telemetry/metrics.ts';
import { startOtlpReceiver } from '../support/otlp-receiver.ts';
import { hear, setOtelEnv } from './heard.ts';

const DEADLINE_MS = 5000;
const resource = resourceFromAttributes({ 'service.name': 'mcp-verdict' });

async function startMetrics(t: TestContext, more: Record<string, string> = {}) {
  const receiver = await startOtlpReceiver();
  t.after(receiver.close);
  const heard = hear();
  const env = setOtelEnv(t, { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, ...more });
  const metrics = createMetrics({ env, resource, diagnostics: heard.diagnostics, version: '1.2.3' });
  const points = (name: string) => receiver.metrics().find((metric) => metric.name === name)?.points ?? [];
  return { receiver, heard, metrics, points };
}

test('decisions, durations and deliveries arrive with their labels', async (t) => {
  const { receiver, metrics, points } = await startMetrics(t);
  metrics.decision({ effect: 'allow', server: 'files', reason: 'rule' });
  metrics.decision({ effect: 'allow', server: 'files', reason: 'rule' });
  metrics.decision({ effect: 'deny', reason: 'parse' });
  metrics.lifecycle('reload');
  metrics.lifecycle('reload');
  metrics.lifecycle('killed');
  metrics.evaluation(0.000_003);
  metrics.serverOperation(0.2, {
    method: 'tools/call',
    server: 'files',
    transport: 'tcp',
    errorType: '-32603',
  });
  metrics.clientOperation(0.1, { method: 'tools/call', server: 'files', protocolVersion: '2025-11-25' });
  metrics.observeDelivery(() => ({
    emitted: 10,
    delivered: 6,
    lost: { queue_full: 1, export_failed: 2, rejected: 1, after_shutdown: 0 },
  }));
  await metrics.shutdown(DEADLINE_MS);

  assert.deepEqual(
    points('verdict.decisions').map(({ attributes, value }) => [attributes, value]),
    [
      [
        {
          'verdict.decision.effect': 'allow',
          'verdict.server.name': 'files',
          'verdict.decision.reason': 'rule',
        },
        2,
      ],
      [{ 'verdict.decision.effect': 'deny', 'verdict.decision.reason': 'parse' }, 1],
    ],
  );
  assert.deepEqual(
    points('verdict.lifecycle').map(({ attributes, value }) => [attributes, value]),
    [
      [{ 'verdict.lifecycle.state': 'reload' }, 2],
      [{ 'verdict.lifecycle.state': 'killed' }, 1],
    ],
  );
  const [evaluation] = points('verdict.policy.evaluation.duration');
  assert.equal(evaluation?.count, 1);
  assert.equal(evaluation.bounds?.[0], 1e-6);
  assert.equal(evaluation.bounds.at(-1), 10);
  assert.deepEqual(
    evaluation.bounds,
    [...evaluation.bounds].sort((a, b) => a - b),
  );
  const [server] = points('mcp.server.operation.duration');
  assert.deepEqual(server?.attributes, {
    'mcp.method.name': 'tools/call',
    'verdict.server.name': 'files',
    'network.transport': 'tcp',
    'error.type': '-32603',
  });
  assert.deepEqual(server.bounds, [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300]);
  assert.equal(points('mcp.client.operation.duration').length, 1);
  assert.equal(points('verdict.records.emitted')[0]?.value, 10);
  assert.equal(points('verdict.records.delivered')[0]?.value, 6);
  assert.deepEqual(
    points('verdict.records.lost').map(({ attributes, value }) => [attributes['verdict.loss.reason'], value]),
    [
      ['queue_full', 1],
      ['export_failed', 2],
      ['rejected', 1],
      ['after_shutdown', 0],
    ],
  );
  assert.equal(receiver.metrics().find(({ name }) => name === 'mcp.server.operation.duration')?.unit, 's');
  assert.equal(receiver.metrics()[0]?.scope.name, 'mcp-verdict');
});

describe('labels that the other side chooses', () => {
  test(`take ${LABEL_VALUES_MAX} values each, and one more for all the rest`, async (t) => {
    const { metrics, points } = await startMetrics(t);
    for (let i = 0; i < LABEL_VALUES_MAX + 50; i++) {
      metrics.serverOperation(1, { method: 'tools/call', protocolVersion: `v${i}` });
    }
    await metrics.shutdown(DEADLINE_MS);
    const series = points('mcp.server.operation.duration');
    assert.equal(series.length, LABEL_VALUES_MAX + 1);
    assert.equal(series.find(({ attributes }) => attributes['mcp.protocol.version'] === '_OTHER')?.count, 50);
  });

  test(`are cut at ${LABEL_BYTES_MAX} bytes`, async (t) => {
    const { metrics, points } = await startMetrics(t);
    metrics.serverOperation(1, { method: 'x'.repeat(1e6) });
    await metrics.shutdown(DEADLINE_MS);
    const [point] = points('mcp.server.operation.duration');
    assert.equal(Buffer.byteLength(String(point?.attributes['mcp.method.name'])), LABEL_BYTES_MAX);
  });
});

test('the interval is read from the environment, and a longer timeout does not stop the start', async (t) => {
  const { receiver, metrics } = await startMetrics(t, {
    OTEL_METRIC_EXPORT_INTERVAL: '5',
    OTEL_METRIC_EXPORT_TIMEOUT: '60000',
  });
  metrics.decision({ effect: 'allow', reason: 'rule' });
  await receiver.received(2);
  await metrics.shutdown(DEADLINE_MS);
});

for (const env of [{ OTEL_METRICS_EXPORTER: 'none' }, { OTEL_SDK_DISABLED: 'true' }]) {
  test(`${JSON.stringify(env)} sends nothing, and everything else goes on`, async (t) => {
    const { receiver, metrics } = await startMetrics(t, env);
    metrics.decision({ effect: 'allow', reason: 'rule' });
    metrics.observeDelivery(() => assert.fail('nobody reads'));
    await metrics.flush(DEADLINE_MS);
    await metrics.shutdown(DEADLINE_MS);
    assert.deepEqual(receiver.requests, []);
  });
}

test('a collector that refuses is explained once, not once more by the SDK', async (t) => {
  const { receiver, heard, metrics } = await startMetrics(t);
  receiver.answerWith(() => ({ status: 404 }));
  metrics.decision({ effect: 'allow', reason: 'rule' });
  await metrics.flush(DEADLINE_MS);
  await metrics.shutdown(DEADLINE_MS);
  const errors = heard.lines.filter((line) => line.startsWith('error'));
  assert.equal(errors.length, 1);
  assert.match(errors[0] ?? '', /^error metrics lost: .*\/v1\/metrics is not an OTLP path/);
});
