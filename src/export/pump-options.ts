/** What a pump is given and what it tells. */
import type { LogRecordExporter } from '@opentelemetry/sdk-logs';
import type { Damage, SpooledRecord } from '../spool/position.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import type { DeadLetter } from './dead-letter.ts';
import type { Origin } from './spooled-log-record.ts';
import type { StreamSource } from './stream-source.ts';
import type { Timers } from './timers.ts';

/** Of one batch. Half as many records as the SDK sends, which costs no more and holds half the memory; bytes far below
 * what a collector takes (20 MiB). */
export const BATCH_RECORDS_MAX = 256;
export const BATCH_BYTES_MAX = 4 * 1024 * 1024;

/** Between two batches that are not full, so that a trickle of records is not a storm of requests. */
export const LINGER_MS = 100;

/** Records one exporter may set aside in an hour; more is no bad record but a bad set-up. */
export const DEAD_LETTERS_MAX = 10;

export interface PumpLimits {
  readonly recordsMax: number;
  readonly bytesMax: number;
  readonly lingerMs: number;
  /** How long an exporter may take to call back before it is made anew. */
  readonly watchdogMs: number;
}

/** A record with what its stream's header says of it. */
export interface Sample {
  readonly record: SpooledRecord;
  readonly origin: Origin;
}

export interface PumpOptions {
  /** Of the exporter; also of its cursors and dead letters. */
  readonly name: string;
  readonly exporter: () => LogRecordExporter;
  readonly source: StreamSource;
  readonly limits: PumpLimits;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  readonly timers: Timers;
  readonly diagnostics: Diagnostics;
  /** Whether a record is to be sent; the cursor passes the others. Default: all are. */
  readonly select?: ((body: string) => boolean) | undefined;
  /** Resolves when the hole is on record: the cursor does not pass it before. */
  readonly onDamage: (damage: Damage) => Promise<void>;
  /** Resolves when the letter is on stable storage and its gap on record. */
  readonly onDeadLetter: (letter: DeadLetter) => Promise<void>;
  /** A cursor that is durable now. */
  readonly onAcknowledged?: ((stream: string, sequence: number) => void) | undefined;
  /** A record that any sound destination takes, for a pump that has delivered none yet. */
  readonly knownGood?: (() => Sample | undefined) | undefined;
  /** Told of each error that the pump deals with itself. */
  readonly silence?: ((error: unknown) => void) | undefined;
}

export interface PumpStatus {
  /** Durable and not acknowledged. */
  readonly backlogRecords: number;
  /** Time of the oldest of them, milliseconds since the Unix epoch; undefined while none is known. */
  readonly oldestMs: number | undefined;
  /** Records acknowledged. */
  readonly delivered: number;
  /** Attempts that had to be repeated. */
  readonly retried: number;
  /** Answers that refused what was sent. */
  readonly rejected: number;
  readonly deadLettered: number;
  /** What somebody has to see to; undefined when nothing. */
  readonly alarm: string | undefined;
}
