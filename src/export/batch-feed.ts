/**
 * Gives one batch at a time to the SDK's own BatchLogRecordProcessor and says what became of it. Nothing else is
 * ever queued there, so nothing is dropped by it and the order holds.
 */
import { ExportResultCode } from '@opentelemetry/core';
import type { ExportResult } from '@opentelemetry/core';
import { BatchLogRecordProcessor } from '@opentelemetry/sdk-logs';
import type { LogRecordExporter, ReadableLogRecord, ReadWriteLogRecord } from '@opentelemetry/sdk-logs';
import { DeliveryError } from './acknowledgement.ts';
import type { Timers } from './timers.ts';
import { inTime } from './watchdog.ts';

export interface BatchFeedOptions {
  /** Makes the exporter; again when the one before never called back. */
  readonly exporter: () => LogRecordExporter;
  /** At most so many records in a batch. */
  readonly recordsMax: number;
  /** After it, an exporter that has not called back is taken for dead. */
  readonly watchdogMs: number;
  readonly timers: Timers;
  /** Told of each error that is in a result: the SDK need not report it a second time. */
  readonly silence?: ((error: unknown) => void) | undefined;
}

export interface BatchFeed {
  /** Never rejects. One at a time. */
  send(records: readonly ReadWriteLogRecord[]): Promise<ExportResult>;
  /** Ends the export under way as failed, stops the exporter, and waits for that no longer than the time given. */
  close(deadlineMs: number): Promise<void>;
}

/** The processor's own limit never comes into play: the watchdog's is shorter. */
const EXPORT_TIMEOUT_FACTOR = 2;
const NEVER_MS = 2 ** 31 - 1;

export function createBatchFeed(options: BatchFeedOptions): BatchFeed {
  const { recordsMax, watchdogMs, timers } = options;
  let line = createLine(options);

  const rebuild = (): ExportResult => {
    line.witness.abandon();
    void quietly(line.exporter.shutdown());
    line = createLine(options);
    const seconds = Math.round(watchdogMs / 1000);
    return failed(`the exporter has not called back within ${seconds} s and is started anew`);
  };

  return {
    async send(records) {
      if (records.length > recordsMax) return failed(`a batch of more than ${recordsMax} records`);
      try {
        return (await inTime(deliver(line, records), undefined, watchdogMs, timers)) ?? rebuild();
      } catch (error) {
        return failed(String(error));
      }
    },
    async close(deadlineMs) {
      line.witness.abandon();
      await inTime(quietly(line.processor.shutdown()), undefined, deadlineMs, timers);
    },
  };
}

interface Line {
  readonly exporter: LogRecordExporter;
  readonly witness: Witness;
  readonly processor: BatchLogRecordProcessor;
}

function createLine({ exporter: make, recordsMax, watchdogMs, silence }: BatchFeedOptions): Line {
  const exporter = make();
  const witness = createWitness(exporter, silence);
  const processor = new BatchLogRecordProcessor({
    exporter: witness,
    maxQueueSize: recordsMax,
    maxExportBatchSize: recordsMax,
    scheduledDelayMillis: NEVER_MS,
    exportTimeoutMillis: Math.min(watchdogMs * EXPORT_TIMEOUT_FACTOR, NEVER_MS),
  });
  return { exporter, witness, processor };
}

async function deliver(line: Line, records: readonly ReadWriteLogRecord[]): Promise<ExportResult> {
  const { exporter, witness, processor } = line;
  const result = witness.expect(records.length);
  for (const record of records) processor.onEmit(record);
  await processor.forceFlush();
  const given = await result;
  if (given.code !== ExportResultCode.SUCCESS) return given;
  try {
    // What an exporter took and buffered is delivered only when this succeeds; the processor swallows its failure.
    await exporter.forceFlush();
    return given;
  } catch (error) {
    return { code: ExportResultCode.FAILED, error: asError(error) };
  }
}

/** Stands between the processor and the exporter, because the processor tells nobody how an export ended. */
interface Witness extends LogRecordExporter {
  /** Resolves with the result of the next batch, which must hold so many records. */
  expect(records: number): Promise<ExportResult>;
  /** Ends the export under way as failed, as far as the processor can tell; what still comes of it is ignored. */
  abandon(): void;
}

function createWitness(exporter: LogRecordExporter, silence: (error: unknown) => void = () => {}): Witness {
  let expected = 0;
  let tell: (result: ExportResult) => void = () => {};
  let settle: ((result: ExportResult) => void) | undefined;

  return {
    expect(records) {
      expected = records;
      return new Promise((resolve) => (tell = resolve));
    },
    export(batch: ReadableLogRecord[], done) {
      const report = tell;
      let settled = false;
      const end = (result: ExportResult): void => {
        if (settled) return;
        settled = true;
        settle = undefined;
        silence(result.error);
        report(result);
        done(result);
      };
      settle = end;
      if (batch.length !== expected) {
        return end(failed(`the processor hands on ${batch.length} of ${expected} records`));
      }
      try {
        exporter.export(batch, end);
      } catch (error) {
        // What an encoder throws at is a record that it cannot encode.
        end(refused(`the exporter cannot encode the records: ${asError(error).message}`));
      }
    },
    abandon: () => settle?.(failed('given up')),
    // Never the exporter's own: the processor stays stuck for good when this rejects or hangs.
    forceFlush: async () => {},
    shutdown: () => exporter.shutdown(),
  };
}

function failed(text: string): ExportResult {
  return { code: ExportResultCode.FAILED, error: new DeliveryError({ kind: 'retry', text, alarm: true }) };
}

function refused(text: string): ExportResult {
  return { code: ExportResultCode.FAILED, error: new DeliveryError({ kind: 'refused', text }) };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

async function quietly(work: Promise<unknown>): Promise<void> {
  await work.catch(() => {});
}
