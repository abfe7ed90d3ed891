import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ExportResultCode } from '@opentelemetry/core';
import type { ExportResult } from '@opentelemetry/core';
import type { LogRecordExporter, ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { countExports } from '../../src/export/counting-exporter.ts';

const SUCCESS = { code: ExportResultCode.SUCCESS };
const FAILED = { code: ExportResultCode.FAILED, error: new Error('no') };
const BATCH = Array.from<ReadableLogRecord>({ length: 4 });

function countsOf(send: LogRecordExporter['export'], rejected = 0) {
  const counts = { delivered: 0, failed: 0, rejected: 0 };
  const results: ExportResult[] = [];
  const exporter = countExports(
    { export: send, forceFlush: async () => {}, shutdown: async () => {} },
    {
      delivered: (records) => void (counts.delivered += records),
      failed: (records) => void (counts.failed += records),
      rejected: (records) => void (counts.rejected += records),
    },
    () => rejected,
  );
  exporter.export(BATCH, (result) => void results.push(result));
  return { counts, results };
}

describe('a batch', () => {
  test('that is taken is delivered', () => {
    const { counts, results } = countsOf((_, done) => done(SUCCESS));
    assert.deepEqual(counts, { delivered: 4, failed: 0, rejected: 0 });
    assert.deepEqual(results, [SUCCESS]);
  });

  for (const [rejected, delivered] of [
    [1, 3],
    [4, 0],
    [Infinity, 0],
  ] as const) {
    test(`of which ${rejected} are rejected delivers ${delivered}`, () => {
      const { counts } = countsOf((_, done) => done(SUCCESS), rejected);
      assert.deepEqual(counts, { delivered, failed: 0, rejected: 4 - delivered });
    });
  }

  test('that fails is lost, and the result goes on', () => {
    const { counts, results } = countsOf((_, done) => done(FAILED), 3);
    assert.deepEqual(counts, { delivered: 0, failed: 4, rejected: 0 });
    assert.deepEqual(results, [FAILED]);
  });

  test('that makes the exporter throw is lost, not forgotten', () => {
    const { counts, results } = countsOf(() => {
      throw new RangeError('too deep');
    });
    assert.deepEqual(counts, { delivered: 0, failed: 4, rejected: 0 });
    assert.equal(results[0]?.error?.message, 'too deep');
  });

  test('that is answered twice counts once', () => {
    const { counts, results } = countsOf((_, done) => {
      done(SUCCESS);
      done(FAILED);
    });
    assert.deepEqual(counts, { delivered: 4, failed: 0, rejected: 0 });
    assert.equal(results.length, 1);
  });
});
