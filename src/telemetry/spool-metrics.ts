/** What the spool says in numbers. `verdict.records.lost` must stay 0; its alert is the first to set up. */
import type { BatchObservableResult, Meter } from '@opentelemetry/api';

/** One exporter of the spool, as it stands. */
export interface ExporterReading {
  /** Durable and not acknowledged. */
  readonly backlogRecords: number;
  /** Time of the oldest of them, milliseconds since the Unix epoch. */
  readonly oldestMs: number | undefined;
  readonly delivered: number;
  readonly retried: number;
  readonly rejected: number;
  readonly deadLettered: number;
}

export interface SpoolReading {
  readonly healthy: boolean;
  readonly size: { readonly bytes: number; readonly full: boolean };
  readonly writer: { readonly committed: number; readonly refused: number; readonly lost: number };
  readonly exporters: Readonly<Record<string, ExporterReading>>;
}

/** One, two, five from 10 microseconds to 10 seconds: a commit is a sync of the disk. */
export const COMMIT_BUCKETS_S = [-5, -4, -3, -2, -1, 0]
  .flatMap((exponent) => [1, 2, 5].map((step) => Number(`${step}e${exponent}`)))
  .concat(10);

/** Names of `verdict.exporter.name`'s values come from our own configuration, so they need no cap. */
export function observeSpool(meter: Meter, read: () => SpoolReading, nowMs: () => number = Date.now): void {
  const counter = (name: string, unit = '{record}') => meter.createObservableCounter(name, { unit });
  const gauge = (name: string, unit: string) => meter.createObservableGauge(name, { unit });
  const emitted = counter('verdict.records.emitted');
  const refused = counter('verdict.records.refused');
  const lost = counter('verdict.records.lost');
  const delivered = counter('verdict.records.delivered');
  const deadLettered = counter('verdict.records.dead_lettered');
  const retried = counter('verdict.export.retried', '{request}');
  const rejected = counter('verdict.export.rejected', '{request}');
  const bytes = gauge('verdict.spool.size', 'By');
  const backlog = gauge('verdict.spool.backlog.records', '{record}');
  const age = gauge('verdict.spool.backlog.age', 's');
  const whole = (result: BatchObservableResult, reading: SpoolReading): void => {
    result.observe(emitted, reading.writer.committed);
    result.observe(refused, reading.writer.refused);
    result.observe(lost, reading.writer.lost);
    result.observe(bytes, reading.size.bytes);
  };
  meter.addBatchObservableCallback(
    (result) => {
      const reading = read();
      whole(result, reading);
      for (const [name, exporter] of Object.entries(reading.exporters)) {
        const labels = { 'verdict.exporter.name': name };
        result.observe(delivered, exporter.delivered, labels);
        result.observe(deadLettered, exporter.deadLettered, labels);
        result.observe(retried, exporter.retried, labels);
        result.observe(rejected, exporter.rejected, labels);
        result.observe(backlog, exporter.backlogRecords, labels);
        const oldestMs = exporter.backlogRecords === 0 ? undefined : exporter.oldestMs;
        result.observe(age, oldestMs === undefined ? 0 : Math.max(0, nowMs() - oldestMs) / 1000, labels);
      }
    },
    [emitted, refused, lost, delivered, deadLettered, retried, rejected, bytes, backlog, age],
  );
}
