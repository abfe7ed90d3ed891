import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { skipWithoutCollector } from '../support/build-collector.ts';
import { startCollector, type Collector } from '../support/collector.ts';

const skip = skipWithoutCollector();

function directory(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'mcp-verdict-collector-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function post(collector: Collector, path: string, body: unknown): Promise<Response> {
  return fetch(`${collector.httpEndpoint}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'mcp-verdict' } }] };
const scope = { name: 'mcp-verdict', version: '0.1.0' };

function logsRequest(...bodies: readonly string[]): unknown {
  const logRecords = bodies.map((body, index) => ({
    timeUnixNano: '1790000000123456789',
    observedTimeUnixNano: '1790000000123456790',
    severityNumber: 13,
    severityText: 'WARN',
    eventName: 'verdict.decision',
    body: { stringValue: body },
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    attributes: [
      { key: 'index', value: { intValue: String(index) } },
      { key: 'user.roles', value: { arrayValue: { values: [{ stringValue: 'a' }, { stringValue: 'b' }] } } },
    ],
  }));
  return {
    resourceLogs: [{ resource, scopeLogs: [{ scope, schemaUrl: 'https://example/schema', logRecords }] }],
  };
}

test('a log record arrives with every field that was sent', { skip }, async (t) => {
  const collector = await startCollector({ dir: directory(t) });
  t.after(collector.stop);
  const response = await post(
    collector,
    '/v1/logs',
    logsRequest('{"a":"é\\u0000 }{\\"resourceLogs\\":"}', 'second'),
  );
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), { partialSuccess: {} });
  // Written before it was answered: nothing is waited for.
  assert.equal(collector.logs().length, 2);
  assert.deepEqual(collector.logs()[0], {
    resource: { 'service.name': 'mcp-verdict' },
    scope: { name: 'mcp-verdict', version: '0.1.0' },
    schemaUrl: 'https://example/schema',
    timeUnixNano: 1790000000123456789n,
    observedTimeUnixNano: 1790000000123456790n,
    severityNumber: 13,
    severityText: 'WARN',
    eventName: 'verdict.decision',
    body: '{"a":"é\\u0000 }{\\"resourceLogs\\":"}',
    attributes: { index: 0, 'user.roles': ['a', 'b'] },
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
  });
});

test('spans and metrics arrive in files of their own', { skip }, async (t) => {
  const collector = await startCollector({ dir: directory(t) });
  t.after(collector.stop);
  const span = {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    parentSpanId: '00f067aa0ba902b7',
    name: 'tools/call echo',
    kind: 2,
    startTimeUnixNano: '1',
    endTimeUnixNano: '2',
    status: { code: 2, message: 'denied' },
  };
  await post(collector, '/v1/traces', {
    resourceSpans: [{ resource, scopeSpans: [{ scope, spans: [span] }] }],
  });
  const dataPoints = [
    { timeUnixNano: '2', count: '3', sum: 0.5, bucketCounts: ['1', '2'], explicitBounds: [0.1] },
  ];
  const metrics = [
    { name: 'verdict.decisions', unit: 's', histogram: { aggregationTemporality: 2, dataPoints } },
  ];
  await post(collector, '/v1/metrics', {
    resourceMetrics: [{ resource, scopeMetrics: [{ scope, metrics }] }],
  });
  const received = await collector.waitFor(
    ({ spans, metrics: got }) => spans.length === 1 && got.length === 1,
  );
  assert.partialDeepStrictEqual(received.spans[0], {
    name: 'tools/call echo',
    kind: 2,
    parentSpanId: '00f067aa0ba902b7',
    statusCode: 2,
  });
  assert.partialDeepStrictEqual(received.metrics[0], {
    name: 'verdict.decisions',
    kind: 'histogram',
    points: [{ count: 3, sum: 0.5, bucketCounts: [1, 2], explicitBounds: [0.1] }],
  });
});

test('what was answered with 200 is there after kill -9, and a new start adds to it', { skip }, async (t) => {
  const dir = directory(t);
  const first = await startCollector({ dir });
  t.after(first.kill);
  assert.equal((await post(first, '/v1/logs', logsRequest('before'))).status, 200);
  await first.kill();
  const second = await startCollector({ dir, ports: first.ports });
  t.after(second.stop);
  assert.equal(second.httpEndpoint, first.httpEndpoint);
  assert.equal((await post(second, '/v1/logs', logsRequest('after'))).status, 200);
  assert.deepEqual(
    second.logs().map(({ body }) => body),
    ['before', 'after'],
  );
});

test(
  'an integer that is no integer is refused: the real receiver is stricter than a stub',
  { skip },
  async (t) => {
    const collector = await startCollector({ dir: directory(t) });
    t.after(collector.stop);
    const logRecords = [
      { body: { stringValue: 'x' }, attributes: [{ key: 'n', value: { intValue: 1e300 } }] },
    ];
    const response = await post(collector, '/v1/logs', { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
    assert.equal(response.status, 400);
    assert.equal(collector.logs().length, 0);
  },
);

test('health and own metrics are served on loopback', { skip }, async (t) => {
  const collector = await startCollector({ dir: directory(t) });
  t.after(collector.stop);
  await post(collector, '/v1/logs', logsRequest('counted'));
  assert.equal((await fetch(collector.healthEndpoint)).status, 200);
  const metrics = await (await fetch(collector.metricsEndpoint)).text();
  assert.match(metrics, /^otelcol_receiver_accepted_log_records\S*\{.*receiver="otlp".*\} 1$/m);
});

test('waiting in vain fails with what has arrived', { skip }, async (t) => {
  const collector = await startCollector({ dir: directory(t) });
  t.after(collector.stop);
  await post(collector, '/v1/logs', logsRequest('one'));
  await assert.rejects(
    collector.waitFor(({ logs }) => logs.length === 2, { what: 'two records', timeoutMs: 1 }),
    /Waited 1 ms in vain for two records\. 1 logs, 0 spans, 0 metrics have arrived/,
  );
});

test('a collector that cannot start says why in the error', { skip }, async (t) => {
  await assert.rejects(
    startCollector({ dir: directory(t), configs: ['base.yaml'] }),
    /before it was ready[^]*pipeline/,
  );
});

/** Starts a shell script in the place of the collector. */
async function startScript(t: TestContext, then: string): Promise<Collector> {
  const dir = directory(t);
  const script = join(dir, 'otelcol');
  writeFileSync(script, `#!/bin/sh\n${then}\n`, { mode: 0o755 });
  const { OTELCOL } = process.env;
  process.env['OTELCOL'] = script;
  try {
    return await startCollector({ dir });
  } finally {
    if (OTELCOL === undefined) delete process.env['OTELCOL'];
    else process.env['OTELCOL'] = OTELCOL;
  }
}

test('one that is stopped before it listens to signals has just stopped', async (t) => {
  const early = await startScript(t, 'echo Everything is ready >&2; exec sleep 60');
  await early.stop();
});

test('one that fails when it is stopped fails the test', async (t) => {
  const failing = await startScript(
    t,
    "trap 'exit 3' TERM; echo Everything is ready >&2; while :; do sleep 0.01; done",
  );
  await assert.rejects(failing.stop(), /The collector ended with 3/);
});
