import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { VerdictError } from '../../src/errors.ts';
import type { Draft } from '../../src/event/recorder.ts';
import { bodyToLogRecord } from '../../src/event/log-record.ts';
import { bodyHash, ZERO_HASH } from '../../src/event/stamp.ts';
import { SCHEMA_URL } from '../../src/event/vocabulary.ts';
import { createOtlpLogExporter } from '../../src/export/exporter.ts';
import { createPipeline } from '../../src/export/pipeline.ts';
import type { PipelineOptions } from '../../src/export/pipeline.ts';
import { createResource } from '../../src/export/resource.ts';
import { startOtlpReceiver } from '../support/otlp-receiver.ts';
import type { LogItem } from '../support/otlp-receiver.ts';
import { hear, setOtelEnv } from '../telemetry/heard.ts';

const DEADLINE_MS = 5000;
const IDS = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 0 };

const decision = (tool: string): Draft => ({
  name: 'verdict.decision',
  severity: 13,
  trace: IDS,
  fields: {
    'verdict.decision.effect': 'deny',
    'verdict.decision.enforced': true,
    'verdict.decision.reason': 'rule',
    'verdict.decision.duration_ns': 12_345,
    'gen_ai.tool.name': tool,
    'user.roles': ['a', 'b'],
  },
});

/** A pipeline into a receiver, as the service makes it. */
async function start(
  t: TestContext,
  more: Record<string, string> = {},
  options: Partial<PipelineOptions> = {},
) {
  const receiver = await startOtlpReceiver();
  t.after(receiver.close);
  const heard = hear();
  const { diagnostics } = heard;
  const env = setOtelEnv(t, { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, ...more });
  const exporter = createOtlpLogExporter({ env, diagnostics, named: false });
  const { resource, service } = createResource(env, { version: '1.2.3', diagnostics });
  const pipeline = createPipeline({ exporter, resource, service, env, diagnostics, ...options });
  return { receiver, heard, pipeline };
}

/** Throws unless the bodies are one unbroken chain. */
function assertChain(logs: readonly LogItem[], streamId: string): void {
  let previous = ZERO_HASH;
  for (const [index, { body }] of logs.entries()) {
    const { attributes } = bodyToLogRecord(String(body));
    assert.equal(attributes['verdict.stream.id'], streamId);
    assert.equal(attributes['verdict.stream.sequence'], index + 1);
    assert.equal(attributes['verdict.stream.previous_hash'], previous);
    previous = bodyHash(String(body));
  }
}

describe('a record on its way to the collector', () => {
  test('arrives with its body, chained to the one before, and its attributes are the body’s', async (t) => {
    const { receiver, pipeline } = await start(t);
    const uids = ['one', 'two', 'three'].map((tool) => pipeline.emit(decision(tool)));
    const delivery = await pipeline.shutdown(DEADLINE_MS);

    const logs = receiver.logs();
    assert.deepEqual(
      logs.map(({ attributes }) => attributes['log.record.uid']),
      uids,
    );
    assertChain(logs, pipeline.streamId);
    for (const log of logs) {
      const content = bodyToLogRecord(String(log.body));
      assert.deepEqual(log.attributes, content.attributes);
      assert.equal(log.eventName, 'verdict.decision');
      assert.equal(log.severityNumber, 13);
      assert.deepEqual([log.traceId, log.spanId, log.flags], [IDS.traceId, IDS.spanId, 0]);
      assert.deepEqual([content.traceId, content.spanId], [IDS.traceId, IDS.spanId]);
      const [seconds, nanoseconds] = content.timestamp;
      assert.equal(log.timeUnixNano, String(BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)));
      assert.equal(log.observedTimeUnixNano, log.timeUnixNano);
      assert.deepEqual(log.scope, { name: 'mcp-verdict', version: '1.2.3', schemaUrl: SCHEMA_URL });
    }
    assert.deepEqual(delivery, {
      emitted: 3,
      delivered: 3,
      lost: { queue_full: 0, export_failed: 0, rejected: 0, after_shutdown: 0 },
    });
  });

  test('shares one resource and one scope with its batch', async (t) => {
    const { receiver, pipeline } = await start(t);
    pipeline.emit(decision('one'));
    pipeline.emit({ name: 'verdict.lifecycle', severity: 9, fields: { 'verdict.lifecycle.state': 'stop' } });
    await pipeline.shutdown(DEADLINE_MS);
    const [request] = receiver.requests;
    assert.equal(request?.json.resourceLogs.length, 1);
    assert.equal(request?.json.resourceLogs[0].scopeLogs.length, 1);
    const [, lifecycle] = receiver.logs();
    assert.equal(lifecycle?.traceId, undefined);
    assert.equal('trace_id' in JSON.parse(String(lifecycle?.body)), false);
  });

  test('keeps its time and its place when the clock goes back', async (t) => {
    const times = [2_000_000_000n, 1_000_000_000n, 3_000_000_000n];
    const { receiver, pipeline } = await start(t, {}, { now: () => times.shift() ?? 4_000_000_000n });
    for (let i = 0; i < 3; i++) pipeline.emit(decision('x'));
    await pipeline.shutdown(DEADLINE_MS);
    assert.deepEqual(
      receiver.logs().map(({ timeUnixNano }) => timeUnixNano),
      ['2000000000', '2000000001', '3000000000'],
    );
  });

  test('is not cut by the limits that OTEL_* sets for others, nor turned off', async (t) => {
    const { receiver, heard, pipeline } = await start(t, {
      OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT: '1',
      OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '1',
      OTEL_SDK_DISABLED: 'true',
      OTEL_TRACES_SAMPLER: 'always_off',
    });
    pipeline.emit(decision('a name of some length'));
    await pipeline.shutdown(DEADLINE_MS);
    assert.equal(receiver.logs()[0]?.attributes['gen_ai.tool.name'], 'a name of some length');
    assert.equal(heard.lines.filter((line) => line.includes('OTEL_SDK_DISABLED')).length, 1);
  });

  for (const [name, value] of [
    ['a lone surrogate', '\ud800x'],
    ['a NUL', 'a\u0000b'],
    ['a line separator', 'a\u2028b'],
    ['a megabyte', 'é'.repeat(1e6)],
    ['JSON', '{"__proto__":{"constructor":1}}'],
  ] as const) {
    test(`that holds ${name} poisons neither itself nor its batch`, async (t) => {
      const { receiver, pipeline } = await start(t);
      pipeline.emit(decision('before'));
      pipeline.emit({
        ...decision(value),
        fields: { ...decision(value).fields, 'gen_ai.tool.call.arguments': value },
      });
      pipeline.emit(decision('after'));
      await pipeline.shutdown(DEADLINE_MS);
      const logs = receiver.logs();
      assert.equal(logs.length, 3);
      assertChain(logs, pipeline.streamId);
      assert.deepEqual(logs[1]?.attributes, bodyToLogRecord(String(logs[1]?.body)).attributes);
    });
  }

  test('with fields that are no fields loses those and is still made', async (t) => {
    const { receiver, pipeline } = await start(t);
    const hostile = {
      constructor: 'x',
      ['__proto__']: 'x',
      'not.a.key': 1,
      'verdict.decision.duration_ns': Number.NaN,
    };
    pipeline.emit({ name: 'verdict.decision', severity: 9, fields: hostile });
    await pipeline.shutdown(DEADLINE_MS);
    assert.deepEqual(Object.keys(receiver.logs()[0]?.attributes ?? {}).sort(), [
      'log.record.uid',
      'verdict.stream.id',
      'verdict.stream.previous_hash',
      'verdict.stream.sequence',
      'verdict.time',
    ]);
  });
});

describe('recorded', () => {
  test('resolves for what has come through, and rejects what nobody has seen', async (t) => {
    const { pipeline } = await start(t);
    await pipeline.recorded(pipeline.emit(decision('x')));
    await assert.rejects(pipeline.recorded('no such uid'), (error) => {
      return error instanceof VerdictError && error.code === 'audit_unavailable';
    });
    await pipeline.shutdown(DEADLINE_MS);
  });

  test('rejects after the shutdown, when the logger is silent', async (t) => {
    const { receiver, pipeline } = await start(t);
    const ending = pipeline.shutdown(DEADLINE_MS);
    const during = pipeline.emit(decision('during'));
    await assert.rejects(pipeline.recorded(during), VerdictError);
    await ending;
    await assert.rejects(pipeline.recorded(pipeline.emit(decision('after'))), VerdictError);
    assert.deepEqual(receiver.logs(), []);
    assert.deepEqual(pipeline.delivery(), {
      emitted: 2,
      delivered: 0,
      lost: { queue_full: 0, export_failed: 0, rejected: 0, after_shutdown: 2 },
    });
  });

  test('works without any exporter', async (t) => {
    const { pipeline } = await start(t, {}, { exporter: undefined });
    await pipeline.recorded(pipeline.emit(decision('x')));
    await pipeline.flush(DEADLINE_MS);
    assert.deepEqual(await pipeline.shutdown(DEADLINE_MS), {
      emitted: 1,
      delivered: 0,
      lost: { queue_full: 0, export_failed: 0, rejected: 0, after_shutdown: 0 },
    });
  });
});
