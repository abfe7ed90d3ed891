/** An exporter that answers as a test tells it, and what it can answer. */
import { ExportResultCode } from '@opentelemetry/core';
import type { ExportResult } from '@opentelemetry/core';
import type { LogRecordExporter, ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { DeliveryError } from '../../src/export/acknowledgement.ts';
import type { Failure } from '../../src/export/acknowledgement.ts';

export const SUCCESS: ExportResult = { code: ExportResultCode.SUCCESS };

export function fail(failure: Failure): ExportResult {
  return { code: ExportResultCode.FAILED, error: new DeliveryError(failure) };
}

export const REFUSED = fail({ kind: 'refused', text: 'bad record' });
export const DOWN = fail({ kind: 'retry', text: 'down', alarm: false });
export const OVERLOADED = fail({ kind: 'retry', text: 'overloaded', alarm: false, afterMs: 60_000 });

/** Sequences of a batch. */
function numbers(batch: readonly ReadableLogRecord[]): number[] {
  return batch.map(({ attributes }) => Number(attributes['verdict.stream.sequence']));
}

/** An exporter that answers as it is told; `undefined` never calls back. */
export function scripted(answer: (sequences: number[], call: number) => ExportResult | undefined) {
  const calls: number[][] = [];
  const accepted: number[] = [];
  const batches: ReadableLogRecord[][] = [];
  const exporter: LogRecordExporter = {
    export(batch, done) {
      batches.push(batch);
      const sequences = numbers(batch);
      const result = answer(sequences, calls.push(sequences) - 1);
      if (result?.code === ExportResultCode.SUCCESS) accepted.push(...sequences);
      if (result !== undefined) setImmediate(done, result);
    },
    forceFlush: async () => {},
    shutdown: async () => {},
  };
  return { exporter, calls, accepted, batches };
}

/** 1 to `count`. */
export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
