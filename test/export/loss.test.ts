/** Every way in which a record fails to arrive is counted, and said. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Draft } from '../../src/event/recorder.ts';
import { createOtlpLogExporter } from '../../src/export/exporter.ts';
import { createPipeline } from '../../src/export/pipeline.ts';
import { createResource } from '../../src/export/resource.ts';
import { startOtlpReceiver } from '../support/otlp-receiver.ts';
import { hear, setOtelEnv } from '../telemetry/heard.ts';

const DEADLINE_MS = 5000;
const NONE = { queue_full: 0, export_failed: 0, rejected: 0, after_shutdown: 0 };
const DRAFT: Draft = {
  name: 'verdict.lifecycle',
  severity: 9,
  fields: { 'verdict.lifecycle.state': 'start' },
};

async function start(t: TestContext, more: Record<string, string> = {}) {
  const receiver = await startOtlpReceiver();
  t.after(receiver.close);
  const heard = hear();
  const { diagnostics } = heard;
  const env = setOtelEnv(t, { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, ...more });
  const exporter = createOtlpLogExporter({ env, diagnostics, named: false });
  const pipeline = createPipeline({
    exporter,
    env,
    diagnostics,
    ...createResource(env, { version: '1', diagnostics }),
  });
  const emit = (count: number) => Array.from({ length: count }, () => pipeline.emit(DRAFT));
  return { receiver, heard, pipeline, emit };
}

describe('a record that does not arrive', () => {
  test('because the collector is down: calls go on, the loss is counted and said', async (t) => {
    const { receiver, heard, pipeline, emit } = await start(t, { OTEL_EXPORTER_OTLP_TIMEOUT: '50' });
    await receiver.close();
    for (const uid of emit(3)) await pipeline.recorded(uid);
    await pipeline.flush(DEADLINE_MS);
    assert.deepEqual(pipeline.delivery(), { emitted: 3, delivered: 0, lost: { ...NONE, export_failed: 3 } });
    assert.match(
      heard.text(),
      /error 3 verdict records lost: nothing listens at .*is the collector running\?/,
    );
    assert.doesNotMatch(heard.text(), /error OpenTelemetry SDK/);
    assert.deepEqual((await pipeline.shutdown(DEADLINE_MS)).lost, { ...NONE, export_failed: 3 });
  });

  for (const [queue, emitted] of [
    [2048, 2560 + 100],
    [4, 9],
  ] as const) {
    test(`because a queue of ${queue} is full is counted exactly`, async (t) => {
      const late = Promise.withResolvers<void>();
      const { receiver, heard, pipeline, emit } = await start(t, {
        OTEL_BLRP_MAX_QUEUE_SIZE: String(queue),
        OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: String(Math.min(queue, 512)),
      });
      receiver.answerWith(() => ({ until: late.promise }));
      emit(emitted);
      const dropped = emitted - queue - Math.min(queue, 512);
      assert.deepEqual(pipeline.delivery().lost, { ...NONE, queue_full: dropped });
      late.resolve();
      const delivery = await pipeline.shutdown(DEADLINE_MS);
      assert.deepEqual(delivery, {
        emitted,
        delivered: emitted - dropped,
        lost: { ...NONE, queue_full: dropped },
      });
      assert.equal(receiver.logs().length, emitted - dropped);
      assert.match(
        heard.text(),
        new RegExp(`queue of ${queue} records is full \\(OTEL_BLRP_MAX_QUEUE_SIZE\\)`),
      );
    });
  }

  for (const [protocol, answer, rejected] of [
    ['http/json', '{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too old"}}', 2],
    ['http/json', '{"partialSuccess":{"rejectedLogRecords":99}}', 5],
    ['http/json', '{"partialSuccess":{"errorMessage":"mind the gap"}}', 0],
    ['http/json', '', 0],
    ['http/json', '<html>Please log in</html>', 5],
    // ExportLogsServiceResponse {partial_success {rejected_log_records: 2}}
    ['http/protobuf', '\n\u0002\b\u0002', 2],
    ['http/protobuf', '', 0],
    ['http/protobuf', '<html>Please log in</html>', 5],
  ] as const) {
    test(`because a 200 over ${protocol} says ${JSON.stringify(answer)} is counted: ${rejected} of 5`, async (t) => {
      const { receiver, pipeline, emit } = await start(t, { OTEL_EXPORTER_OTLP_PROTOCOL: protocol });
      receiver.answerWith(() => ({ body: answer }));
      emit(5);
      const expected = { emitted: 5, delivered: 5 - rejected, lost: { ...NONE, rejected } };
      assert.deepEqual(await pipeline.shutdown(DEADLINE_MS), expected);
    });
  }

  test('because the deadline of the shutdown passes is counted, once', async (t) => {
    const late = Promise.withResolvers<void>();
    const { receiver, pipeline, emit } = await start(t);
    receiver.answerWith(() => ({ until: late.promise }));
    emit(5);
    const expected = { emitted: 5, delivered: 0, lost: { ...NONE, export_failed: 5 } };
    assert.deepEqual(await pipeline.shutdown(20), expected);
    late.resolve();
    await receiver.received(1);
    assert.deepEqual(await pipeline.shutdown(DEADLINE_MS), expected);
    assert.deepEqual(pipeline.delivery(), expected);
  });
});

describe('flush and shutdown', () => {
  test('a shutdown during a flush loses nothing', async (t) => {
    const late = Promise.withResolvers<void>();
    const { receiver, pipeline, emit } = await start(t);
    receiver.answerWith(() => ({ until: late.promise }));
    emit(60);
    const flush = pipeline.flush(DEADLINE_MS);
    await receiver.received(1);
    emit(10);
    const shutdown = pipeline.shutdown(DEADLINE_MS);
    late.resolve();
    assert.equal((await shutdown).delivered, 70);
    await flush;
    assert.equal(receiver.logs().length, 70);
  });

  test('a second flush waits for the records that came after the first', async (t) => {
    const { pipeline, emit } = await start(t);
    emit(3);
    const first = pipeline.flush(DEADLINE_MS);
    emit(3);
    await pipeline.flush(DEADLINE_MS);
    assert.equal(pipeline.delivery().delivered, 6);
    await first;
    await pipeline.shutdown(DEADLINE_MS);
  });
});
