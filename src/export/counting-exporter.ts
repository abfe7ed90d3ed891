import { ExportResultCode } from '@opentelemetry/core';
import type { ExportResult } from '@opentelemetry/core';
import type { LogRecordExporter, ReadableLogRecord } from '@opentelemetry/sdk-logs';

export interface ExportCounts {
  delivered(records: number): void;
  failed(records: number): void;
  rejected(records: number): void;
}

/**
 * Counts what became of each batch: BatchLogRecordProcessor discards one that failed and tells nobody, and one that
 * made the exporter throw would be in no count at all.
 * @param takeRejected how many records the answer now being handled did not take; may be more than the batch has
 */
export function countExports(
  inner: LogRecordExporter,
  counts: ExportCounts,
  takeRejected: () => number,
): LogRecordExporter {
  return {
    export(batch: ReadableLogRecord[], done: (result: ExportResult) => void) {
      let settled = false;
      const settle = (result: ExportResult): void => {
        if (settled) return;
        settled = true;
        if (result.code === ExportResultCode.SUCCESS) {
          const rejected = Math.min(takeRejected(), batch.length);
          counts.rejected(rejected);
          counts.delivered(batch.length - rejected);
        } else {
          counts.failed(batch.length);
        }
        done(result);
      };
      try {
        inner.export(batch, settle);
      } catch (error) {
        settle({
          code: ExportResultCode.FAILED,
          error: error instanceof Error ? error : new Error(String(error)),
        });
      }
    },
    forceFlush: () => inner.forceFlush(),
    shutdown: () => inner.shutdown(),
  };
}
