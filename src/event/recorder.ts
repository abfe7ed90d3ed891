/**
 * The seam between whoever has something to record (gate, service) and the pipeline that makes it durable and
 * delivers it (export/). The pipeline behind it changes; these two calls do not.
 */
import type { EventName, Fields } from './vocabulary.ts';

/** The ids that tie a record to a trace (W3C trace context). */
export interface TraceIds {
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** 16 lower-case hex digits. */
  readonly spanId: string;
  /** W3C trace flags; 1 is sampled. */
  readonly traceFlags: number;
}

/** One record before the pipeline has stamped it with stream, sequence and hash. */
export interface Draft {
  readonly name: EventName;
  readonly severity: number;
  readonly fields: Fields;
  readonly trace?: TraceIds | undefined;
}

export interface Recorder {
  /**
   * Hands a record to the pipeline. Never throws and never waits.
   * @returns the record's `log.record.uid`, for `recorded` and for the records that refer to it
   */
  emit(draft: Draft): string;

  /**
   * Resolves when the record is as durable as this pipeline makes it.
   * Rejects when it cannot be made so, or when no record with that uid has reached the pipeline: after shutdown
   * `Logger.emit` is silent, and a caller that waits must not take silence for success.
   */
  recorded(uid: string): Promise<void>;
}
