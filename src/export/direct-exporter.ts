/** What all exporters have in common for the delivery thread, and the frame of those that are not OTLP. */
import { ExportResultCode } from '@opentelemetry/core';
import type { LogRecordExporter } from '@opentelemetry/sdk-logs';
import type { FormattedRecord } from '../format/record.ts';
import { recordOf } from './encoding.ts';

export interface Exporter extends LogRecordExporter {
  /** Where it sends to, as people may see it. */
  readonly endpoint: string;
  /** What one batch may take it, milliseconds. */
  readonly timeoutMs: number;
  /** Lets go of what it holds open, to take it up anew with the next batch: SIGHUP. */
  readonly reopen?: () => Promise<void>;
}

export interface DirectOptions<Encoded> {
  readonly endpoint: string;
  readonly timeoutMs: number;
  /** What it throws at is a record that cannot be encoded. */
  readonly encode: (records: readonly FormattedRecord[]) => Encoded;
  /** Resolves when the records are acknowledged; rejects with a DeliveryError when they are not. */
  readonly send: (encoded: Encoded) => Promise<void>;
  readonly reopen?: () => Promise<void>;
  readonly shutdown: () => Promise<void>;
}

export function createDirectExporter<Encoded>(options: DirectOptions<Encoded>): Exporter {
  const { endpoint, timeoutMs, encode, send, reopen, shutdown } = options;
  return {
    endpoint,
    timeoutMs,
    export(records, report) {
      send(encode(records.map(recordOf))).then(
        () => report({ code: ExportResultCode.SUCCESS }),
        (error: unknown) => {
          const failure = error instanceof Error ? error : new Error(String(error));
          report({ code: ExportResultCode.FAILED, error: failure });
        },
      );
    },
    // Nothing is ever held back: what was not acknowledged was not taken.
    forceFlush: async () => {},
    shutdown,
    ...(reopen !== undefined && { reopen }),
  };
}
