/** What a spool is opened with, and what it looks like from outside. */
import type { EventClock } from '../event/clock.ts';
import type { Draft } from '../event/recorder.ts';
import type { SigningKey } from '../event/signing.ts';
import type { Unstamped } from '../event/stamp.ts';
import type { SpoolSize } from '../spool/keeper.ts';
import type { DurablePosition } from '../spool/position.ts';
import type { StreamIdentity } from '../spool/segment.ts';
import type { Durability } from '../spool/writer-message.ts';
import type { WriterCounts } from '../spool/writer.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import type { ExporterPlan } from './delivery-message.ts';
import type { Waiting } from './delivery.ts';
import type { PumpStatus } from './pump-options.ts';
import type { Service } from './resource.ts';

export interface SpoolOptions {
  readonly directory: string;
  readonly durability: Durability;
  readonly segmentBytes?: number | undefined;
  /** How long what has been acknowledged is kept, milliseconds. */
  readonly keepMs: number;
  /** Of all segments together; calls are refused where nothing more can be freed. */
  readonly bytesMax: number;
  readonly identity: StreamIdentity;
  readonly service: Service;
  readonly exporters: readonly ExporterPlan[];
  /** Without one there are no checkpoints. */
  readonly signing?: SigningKey | undefined;
  readonly clock: EventClock;
  readonly diagnostics: Diagnostics;
  readonly onCommit?: ((seconds: number, records: number) => void) | undefined;
}

export interface SpoolStatus {
  /** Whether records are taken. */
  readonly healthy: boolean;
  readonly size: SpoolSize;
  readonly writer: WriterCounts;
  readonly exporters: Readonly<Record<string, PumpStatus>>;
}

export interface Spool {
  /**
   * Where streams ended that were taken over at the start. Whoever opens the spool puts it on record; before that, they
   * count as not taken over, and are recovered again at the next start.
   */
  readonly adopted: readonly string[];
  append(record: Unstamped): void;
  /** Puts a record of our own into the spool. @returns its uid */
  record(draft: Draft): string;
  /** Resolves when the record is durable; rejects when it cannot be made so. */
  recorded(uid: string): Promise<void>;
  /** Resolves when everything appended so far is durable or given up. */
  settled(): Promise<void>;
  position(): DurablePosition;
  status(): SpoolStatus;
  /** Bytes that it takes, as they were last measured. */
  bytes(): number;
  /** Files that exporters write to are opened anew. */
  reopen(): void;
  /** Signs, delivers for at most so long, seals. What waits stays for whoever starts next. Never rejects. */
  stop(deadlineMs: number): Promise<Waiting>;
}
