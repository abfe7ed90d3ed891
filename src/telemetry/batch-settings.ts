import type { Diagnostics } from './diagnostics.ts';
import { readNumber } from './environment.ts';
import type { Environment, NumberRange } from './environment.ts';

/** Beyond it, Node's timers fire at once. */
const DELAY_MS_MAX = 3_600_000;

/** Defaults: OTel specification, batch processors; the delay of spans is 5 s, that of log records 1 s. */
export const BATCH_RANGES = {
  QUEUE_RECORDS: { default: 2048, min: 1, max: 1_000_000 },
  BATCH_RECORDS: { default: 512, min: 1, max: 100_000 },
  LOG_DELAY_MS: { default: 1000, min: 0, max: DELAY_MS_MAX },
  SPAN_DELAY_MS: { default: 5000, min: 0, max: DELAY_MS_MAX },
  TIMEOUT_MS: { default: 30_000, min: 1, max: DELAY_MS_MAX },
} as const satisfies Record<string, NumberRange>;

/** As the SDK's batch processors take them. */
export interface BatchSettings {
  readonly maxQueueSize: number;
  readonly maxExportBatchSize: number;
  readonly scheduledDelayMillis: number;
  readonly exportTimeoutMillis: number;
}

/** OTEL_BLRP_* or OTEL_BSP_*, which the SDK's own processors do not read when they are built by hand. */
export function readBatchSettings(
  env: Environment,
  prefix: 'BLRP' | 'BSP',
  diagnostics: Diagnostics,
): BatchSettings {
  const read = (name: string, range: NumberRange): number =>
    readNumber(env, `OTEL_${prefix}_${name}`, range, diagnostics);
  const delay = prefix === 'BLRP' ? BATCH_RANGES.LOG_DELAY_MS : BATCH_RANGES.SPAN_DELAY_MS;
  const maxQueueSize = read('MAX_QUEUE_SIZE', BATCH_RANGES.QUEUE_RECORDS);
  return {
    maxQueueSize,
    maxExportBatchSize: Math.min(read('MAX_EXPORT_BATCH_SIZE', BATCH_RANGES.BATCH_RECORDS), maxQueueSize),
    scheduledDelayMillis: read('SCHEDULE_DELAY', delay),
    exportTimeoutMillis: read('EXPORT_TIMEOUT', BATCH_RANGES.TIMEOUT_MS),
  };
}
