/**
 * The durable spool as one thing: the writer that makes records durable, the threads that deliver them, and the
 * keeper of what lies there. What has to be said about the spool itself (gaps, outcomes that nobody will learn,
 * checkpoints) is recorded in it like everything else.
 */
import { checkpointFields, nextCheckpointDelayMs } from '../event/checkpoint.ts';
import type { EventClock } from '../event/clock.ts';
import { toAttributes } from '../event/fields.ts';
import { halve } from '../event/halves.ts';
import type { Draft } from '../event/recorder.ts';
import type { SigningKey } from '../event/signing.ts';
import type { Unstamped } from '../event/stamp.ts';
import { adoptionText } from '../event/verify.ts';
import { newUid } from '../event/uid.ts';
import { SEVERITY, type Fields } from '../event/vocabulary.ts';
import { gapOfDamage, type AdoptedStream, type Adoption } from '../spool/adoption.ts';
import { createKeeper, type Keeper, type SpoolSize } from '../spool/keeper.ts';
import { nodeFiles } from '../spool/node-files.ts';
import type { Citation, DurablePosition } from '../spool/position.ts';
import { recoveredPosition } from '../spool/recovery.ts';
import type { StreamIdentity } from '../spool/segment.ts';
import type { Durability } from '../spool/writer-message.ts';
import { startSpoolWriter, type SpoolWriter, type WriterCounts } from '../spool/writer.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import type { DeadLetter } from './dead-letter.ts';
import { checkExporters, createDelivery, type Delivery, type Waiting } from './delivery.ts';
import type { ExporterPlan } from './delivery-message.ts';
import type { PumpStatus } from './pump-options.ts';
import type { Service } from './resource.ts';
import { gapDraft, lifecycle, pairing, unknownOutcome, type Gap } from './spool-drafts.ts';

/** How often streams without an owner are looked for. */
export const ADOPT_INTERVAL_MS = 60_000;
/** How often it is looked for what may be freed. */
export const RETAIN_INTERVAL_MS = 5000;

export interface SpoolOptions {
  readonly directory: string;
  readonly durability: Durability;
  readonly segmentBytes?: number | undefined;
  /** How long what has been acknowledged is kept, milliseconds. */
  readonly keepMs: number;
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
  /** Streams taken over at the start. */
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
  /** Signs, delivers for at most so long, seals. What waits stays for whoever starts next. Never rejects. */
  stop(deadlineMs: number): Promise<Waiting>;
}

/** Rejects with `spool_unavailable` where the directory cannot be used, `config_invalid` for an exporter's name. */
export async function openSpool(options: SpoolOptions): Promise<Spool> {
  checkExporters({ ...options, version: options.service.version });
  const spool = new OpenSpool(options);
  try {
    await spool.open();
  } catch (error) {
    await spool.abandon();
    throw error;
  }
  return spool;
}

class OpenSpool implements Spool {
  readonly #options: SpoolOptions;
  readonly #keeper: Keeper;
  readonly #timers = new Set<NodeJS.Timeout>();
  #writer: SpoolWriter | undefined;
  #delivery: Delivery | undefined;
  #size: SpoolSize = { bytes: 0, full: false };
  #checkpointMs = performance.now();
  #recordedSince = false;
  #last: string | undefined;
  #refusedBefore = 0;
  /** Adopted streams of which the records are not known to be durable yet. */
  readonly #unmarked: AdoptedStream[] = [];
  adopted: readonly string[] = [];

  constructor(options: SpoolOptions) {
    this.#options = options;
    this.#keeper = createKeeper({
      ...options,
      files: nodeFiles,
      nowMs: Date.now,
      onGap: (gap) => this.#recordGap(gap),
      onFreed: (stream, first) => this.#delivery?.kept(stream, first),
    });
  }

  async open(): Promise<void> {
    const { directory, durability, segmentBytes, identity, diagnostics } = this.#options;
    const adoption = this.#adopt();
    this.#writer = await startSpoolWriter({
      directory,
      durability,
      segmentBytes,
      identity,
      onTrouble: (text) => this.#trouble(text),
      onSucceeded: (end, next) => {
        this.#keeper.ended(end);
        this.#keeper.own(next.position.stream, end.stream);
        this.#delivery?.ended(end);
        this.#delivery?.announce({ identity: next.identity, first: 1, durable: next.position });
        this.record(lifecycle({ 'verdict.lifecycle.state': 'stream_opened' }));
        // It ended without one of its own.
        void this.#checkpoint(end)?.catch(() => {});
      },
      onCommit: this.#options.onCommit,
    });
    const writer = this.#writer;
    const { position } = writer.stream;
    this.#keeper.own(position.stream, undefined);
    this.#delivery = createDelivery({
      directory,
      exporters: this.#options.exporters,
      version: this.#options.service.version,
      diagnostics,
      durablePort: () => writer.durablePort(),
      onDamage: (damage) => this.#recordGap(gapOfDamage(damage)),
      onDeadLetter: (letter) => this.#recordLetter(letter),
      onAcknowledged: (exporter, stream, sequence) => this.#keeper.acknowledged(exporter, stream, sequence),
    });
    this.adopted = this.#takeOver(adoption);
    this.#delivery.announce({ identity, first: 1, durable: position });
    this.#every(RETAIN_INTERVAL_MS, () => void this.#retain());
    this.#every(ADOPT_INTERVAL_MS, () => this.#adoptLate());
    this.#checkpointLater();
  }

  /** Lets go of everything after a start that failed. */
  async abandon(): Promise<void> {
    await this.#writer?.stop(0);
    this.#keeper.release();
  }

  append(record: Unstamped): void {
    const { attributes, name } = record;
    const uid = String(attributes['log.record.uid']);
    this.#last = uid;
    if (name !== 'verdict.checkpoint') this.#recordedSince = true;
    this.#writer?.append(uid, { ...halve(record), ...pairing(uid, record) }, false);
    // At once, for until then whoever adopts the stream next records everything of it again.
    if (attributes['verdict.lifecycle.adopted'] !== undefined) void this.#markAdopted();
  }

  record(draft: Draft): string {
    const time = this.#options.clock.tick();
    const uid = newUid(time.hrTime[0] * 1000 + Math.floor(time.hrTime[1] / 1e6));
    this.append({
      name: draft.name,
      severity: draft.severity,
      trace: draft.trace,
      service: this.#options.service,
      attributes: { ...toAttributes(draft.fields), 'log.record.uid': uid, 'verdict.time': time.rfc3339 },
    });
    return uid;
  }

  recorded(uid: string): Promise<void> {
    return this.#open().recorded(uid);
  }

  async settled(): Promise<void> {
    // The last one in: what came before it is in its commit or in an earlier one.
    if (this.#last !== undefined)
      await this.#open()
        .written(this.#last)
        .catch(() => {});
  }

  position(): DurablePosition {
    return this.#open().position();
  }

  status(): SpoolStatus {
    const writer = this.#open();
    return {
      healthy: writer.healthy(),
      size: this.#size,
      writer: writer.counts(),
      exporters: this.#delivery?.status() ?? {},
    };
  }

  async stop(deadlineMs: number): Promise<Waiting> {
    const writer = this.#open();
    const endMs = performance.now() + deadlineMs;
    const left = (): number => Math.max(0, endMs - performance.now());
    for (const timer of this.#timers) clearTimeout(timer);
    // What was recorded before the last checkpoint is what that checkpoint proves.
    await this.settled();
    await this.#checkpoint()?.catch(() => {});
    // The writer's own word to the delivery thread takes another way, and may come after the order to stop.
    this.#delivery?.advance(this.position());
    const waiting = (await this.#delivery?.stop(left())) ?? { waiting: 0, exporters: {} };
    await this.#retain();
    await writer.stop(Math.max(left(), STOP_MIN_MS));
    this.#keeper.release();
    return waiting;
  }

  #open(): SpoolWriter {
    if (this.#writer === undefined) throw new TypeError('the spool is not open');
    return this.#writer;
  }

  #adopt(): Adoption {
    nodeFiles.makeDirectory(this.#options.directory);
    const adoption = this.#keeper.adopt();
    for (const { stream, error } of adoption.failed) {
      this.#options.diagnostics.error(
        `the stream ${stream} cannot be read and stays as it is: ${String(error)}`,
      );
    }
    return adoption;
  }

  /** While we run there is no `start` record that could name them. */
  #adoptLate(): void {
    const adopted = this.#takeOver(this.#adopt());
    if (adopted.length === 0) return;
    const fields: Fields = {
      'verdict.lifecycle.state': 'streams_adopted',
      'verdict.lifecycle.adopted': adopted,
    };
    this.record(lifecycle(fields));
  }

  /**
   * Delivers what was taken over, and records what can be known of it.
   * @returns how far each new stream came, for the record that says so: it is what proves that nothing was cut off
   */
  #takeOver({ adopted, gaps, unknownOutcomes }: Adoption): string[] {
    for (const stream of adopted) {
      const durable = recoveredPosition(stream);
      if (durable === undefined) continue;
      this.#delivery?.announce({
        identity: stream.header ?? this.#options.identity,
        first: stream.segments[0]?.first ?? 1,
        durable,
        end: stream.end,
      });
      // Its own last checkpoint may be seconds older than its end.
      if (!stream.marked) void this.#checkpoint(stream.end)?.catch(() => {});
    }
    for (const gap of gaps) this.record(gapDraft(gap));
    for (const decision of unknownOutcomes) this.record(unknownOutcome(decision));
    const fresh = adopted.filter(({ marked }) => !marked);
    this.#unmarked.push(...fresh);
    // Of one that died before its first record there is nothing to prove.
    return fresh.filter(({ end }) => end.sequence > 0).map(({ end }) => adoptionText(end));
  }

  /** Once what was recorded of adopted streams is durable, they are not recovered again at the next start. */
  async #markAdopted(): Promise<void> {
    const streams = this.#unmarked.splice(0);
    if (streams.length === 0 || this.#last === undefined) return;
    try {
      await this.#open().written(this.#last);
      for (const stream of streams) this.#keeper.mark(stream);
    } catch {
      this.#unmarked.push(...streams);
    }
  }

  #recordGap(gap: Gap): Promise<void> {
    return this.recorded(this.record(gapDraft(gap)));
  }

  #recordLetter({ exporter, stream, sequence, hash }: DeadLetter): Promise<void> {
    const place = { stream, from: sequence, to: sequence, count: 1, lastHash: hash };
    return this.#recordGap({ ...place, reason: 'dead_letter', exporter });
  }

  #trouble(text: string): void {
    this.#options.diagnostics.error(text);
    // Until it is open, whoever opens it is told.
    if (this.#writer === undefined) return;
    const { refused } = this.#writer.counts();
    if (!this.#writer.healthy()) void this.#retain();
    else if (refused > this.#refusedBefore) {
      const fields: Fields = {
        'verdict.lifecycle.state': 'audit_restored',
        'verdict.lifecycle.refused': refused - this.#refusedBefore,
      };
      this.#refusedBefore = refused;
      this.record(lifecycle(fields));
    }
  }

  async #retain(): Promise<void> {
    await this.#markAdopted();
    try {
      this.#size = await this.#keeper.retain();
    } catch (error) {
      this.#options.diagnostics.error(`nothing could be freed in the spool: ${String(error)}`);
    }
  }

  /** Signs how far a stream has come; our own, unless another is given. */
  #checkpoint(end?: Citation): Promise<void> | undefined {
    const { signing } = this.#options;
    const place = end ?? this.position();
    if (signing === undefined || place.sequence === 0) return undefined;
    if (end === undefined) {
      this.#checkpointMs = performance.now();
      this.#recordedSince = false;
    }
    const fields = checkpointFields(signing, place);
    const uid = this.record({ name: 'verdict.checkpoint', severity: SEVERITY.info, fields });
    return this.#open().written(uid);
  }

  #checkpointLater(): void {
    const delayMs = nextCheckpointDelayMs({
      nowMs: performance.now(),
      lastMs: this.#checkpointMs,
      recorded: this.#recordedSince,
    });
    // At least once a second, because what ends idleness also brings the next checkpoint nearer.
    this.#after(Math.min(Math.max(delayMs, 1), CHECKPOINT_LOOK_MS), () => {
      if (delayMs <= CHECKPOINT_LOOK_MS) this.#checkpoint()?.catch(() => {});
      this.#checkpointLater();
    });
  }

  #every(intervalMs: number, run: () => void): void {
    this.#timers.add(setInterval(run, intervalMs).unref());
  }

  #after(delayMs: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, delayMs).unref();
    this.#timers.add(timer);
  }
}

const CHECKPOINT_LOOK_MS = 1000;
/** What the writer gets to seal the stream, even where delivery has used up the deadline. */
const STOP_MIN_MS = 1000;
