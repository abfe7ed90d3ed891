/**
 * The durable spool as one thing: the writer that makes records durable, the threads that deliver them, and the
 * keeper of what lies there. What has to be said about the spool itself (gaps, outcomes that nobody will learn,
 * checkpoints) is recorded in it like everything else.
 */
import { toAttributes } from '../event/fields.ts';
import { halve } from '../event/halves.ts';
import type { Draft } from '../event/recorder.ts';
import type { Unstamped } from '../event/stamp.ts';
import { newUid } from '../event/uid.ts';
import type { Fields } from '../event/vocabulary.ts';
import { gapOfDamage, type Adoption } from '../spool/adoption.ts';
import { createKeeper, type Keeper, type SpoolSize } from '../spool/keeper.ts';
import { nodeFiles } from '../spool/node-files.ts';
import type { DurablePosition } from '../spool/position.ts';
import { callBytesMax, createRation, type Appended, type Ration } from '../spool/ration.ts';
import { recoveredPosition } from '../spool/recovery.ts';
import { SEGMENT_BYTES_DEFAULT } from '../spool/segment.ts';
import { startSpoolWriter, type SpoolWriter, type WriterCounts } from '../spool/writer.ts';
import { Agenda } from './agenda.ts';
import { Checkpoints } from './checkpoints.ts';
import type { DeadLetter } from './dead-letter.ts';
import { checkExporters, createDelivery, type Delivery, type Waiting } from './delivery.ts';
import { Naming } from './naming.ts';
import type { Spool, SpoolOptions, SpoolStatus } from './spool-options.ts';
import { gapDraft, lifecycle, pairing, restored, unknownOutcome, type Gap } from './spool-drafts.ts';

/** How often streams without an owner are looked for. */
export const ADOPT_INTERVAL_MS = 60_000;
/** How often it is looked for what may be freed. */
export const RETAIN_INTERVAL_MS = 5000;
/** The same, at most, while the spool is about to be full, or is. */
export const RETAIN_SOON_MS = 250;
/** Segments of a spool that is as large as it may be: one that is written cannot be freed. */
const SEGMENTS_LEAST = 8;

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
  readonly #agenda = new Agenda();
  #writer: SpoolWriter | undefined;
  #delivery: Delivery | undefined;
  readonly #ration: Ration;
  #size: SpoolSize = { bytes: 0, full: false };
  readonly #checkpoints: Checkpoints;
  #last: string | undefined;
  /** Of refused and lost ones: what is on record. */
  #told = { refused: 0, lost: 0 };
  readonly #naming = new Naming();
  adopted: readonly string[] = [];

  constructor(options: SpoolOptions) {
    this.#options = options;
    this.#ration = createRation(options.bytesMax);
    this.#checkpoints = new Checkpoints({
      signing: options.signing,
      position: () => this.position(),
      record: (draft) => this.record(draft),
      written: (uid) => this.#open().written(uid),
      after: (delayMs, run) => this.#agenda.after(delayMs, run),
    });
    this.#keeper = createKeeper({
      ...options,
      files: nodeFiles,
      bytesMax: callBytesMax(options.bytesMax),
      written: () => this.#writer?.position(),
      nowMs: Date.now,
      onGap: (gap) => this.#recordGap(gap),
      onFreed: (stream, first) => this.#delivery?.kept(stream, first),
    });
  }

  async open(): Promise<void> {
    const { directory, durability, identity, diagnostics, bytesMax } = this.#options;
    const segmentBytes = Math.min(
      this.#options.segmentBytes ?? SEGMENT_BYTES_DEFAULT,
      bytesMax / SEGMENTS_LEAST,
    );
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
        void this.#checkpoints.sign(end)?.catch(() => {});
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
      onAcknowledged: (exporter, stream, sequence) => {
        this.#keeper.acknowledged(exporter, stream, sequence);
        if (this.#ration.isFull()) this.#retainBefore();
      },
      onFinished: (exporter, stream) => {
        this.#keeper.finished(exporter, stream);
        this.#adoptMore();
      },
    });
    const [named = [], ...others] = this.#takeOver(adoption);
    this.adopted = named;
    this.#delivery.announce({ identity, first: 1, durable: position });
    for (const adopted of others) this.#recordAdopted(adopted);
    // What was adopted may be as much as there may be.
    await this.#free();
    this.#agenda.every(RETAIN_INTERVAL_MS, () => void this.#retain().then(() => this.#restored()));
    this.#agenda.every(ADOPT_INTERVAL_MS, () => this.#adoptLate());
    this.#checkpoints.begin();
  }

  /** Lets go of everything after a start that failed. */
  async abandon(): Promise<void> {
    await this.#writer?.stop(0);
    this.#keeper.release();
  }

  append(record: Unstamped): void {
    const { attributes, name } = record;
    const uid = String(attributes['log.record.uid']);
    const appended = { uid, name, entry: { ...halve(record), ...pairing(uid, record) } };
    if (!this.#ration.admit(appended)) return;
    this.#write(appended);
    if (this.#ration.isStale()) this.#retainBefore();
    const adopted = attributes['verdict.lifecycle.adopted'];
    if (adopted === undefined) return;
    this.#naming.named(adopted);
    // At once, for until then whoever adopts the stream next records everything of it again.
    void this.#markAdopted();
  }

  #write({ uid, name, entry }: Appended): void {
    this.#last = uid;
    this.#checkpoints.recorded(name);
    this.#writer?.append(uid, entry, false);
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
    return this.#ration.refuse(uid) ?? this.#open().recorded(uid);
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
      writer: this.#counts(),
      exporters: this.#delivery?.status() ?? {},
    };
  }

  reopen(): void {
    this.#delivery?.reopen();
  }

  bytes(): number {
    return this.#size.bytes;
  }

  async stop(deadlineMs: number): Promise<Waiting> {
    const writer = this.#open();
    const endMs = performance.now() + deadlineMs;
    const left = (): number => Math.max(0, endMs - performance.now());
    this.#agenda.clear();
    // From here on nothing may follow the stop record; whoever stops is told of it.
    this.#told = this.#counts();
    // What was recorded before the last checkpoint is what that checkpoint proves.
    await this.settled();
    await this.#checkpoints.sign()?.catch(() => {});
    // The writer's own word to the delivery thread takes another way, and may come after the order to stop.
    this.#delivery?.advance(this.position());
    const deliverMs = left() - Math.min(CLOSING_MS, deadlineMs / CLOSING_SHARE);
    const waiting = (await this.#delivery?.stop(Math.max(0, deliverMs))) ?? { waiting: 0, exporters: {} };
    await this.#retain();
    this.#ration.close();
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
    let records: string[][] = [];
    try {
      records = this.#takeOver(this.#adopt());
    } catch (error) {
      // Say for want of handles: they are looked for again.
      this.#options.diagnostics.error(`streams without an owner cannot be looked for: ${String(error)}`);
    }
    for (const adopted of records) this.#recordAdopted(adopted);
  }

  #recordAdopted(adopted: readonly string[]): void {
    const fields: Fields = {
      'verdict.lifecycle.state': 'streams_adopted',
      'verdict.lifecycle.adopted': adopted,
    };
    this.record(lifecycle(fields));
  }

  /**
   * Delivers what was taken over, and records what can be known of it.
   * @returns how far each new stream came, for the records that say so: it is what proves that nothing was cut off
   */
  #takeOver({ adopted, gaps, unknownOutcomes }: Adoption): string[][] {
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
      if (!stream.marked) void this.#checkpoints.sign(stream.end)?.catch(() => {});
    }
    for (const gap of gaps) this.record(gapDraft(gap));
    for (const decision of unknownOutcomes) this.record(unknownOutcome(decision));
    return this.#naming.take(adopted.filter(({ marked }) => !marked));
  }

  /** Once what was recorded of adopted streams is durable, they are not recovered again at the next start. */
  async #markAdopted(): Promise<void> {
    if (this.#last === undefined) return;
    const streams = this.#naming.markable();
    if (streams.length === 0) return;
    try {
      await this.#open().written(this.#last);
      for (const stream of streams) this.#keeper.mark(stream);
      this.#adoptMore();
    } catch {
      this.#naming.again(streams);
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
    if (this.#writer.healthy()) this.#restored();
    else void this.#retain();
  }

  /** Puts on record that calls were refused or records lost, and how many, once they are taken again. */
  #restored(): void {
    const { refused, lost } = this.#counts();
    const before = this.#told;
    if (!this.#open().healthy() || this.#ration.isFull()) return;
    if (refused === before.refused && lost === before.lost) return;
    this.#told = { refused, lost };
    this.record(restored({ refused: refused - before.refused, lost: lost - before.lost }));
  }

  #counts(): WriterCounts {
    const { committed, refused, lost } = this.#open().counts();
    const held = this.#ration.counts();
    return { committed, refused: refused + held.refused, lost: lost + held.lost };
  }

  async #retain(): Promise<void> {
    await this.#markAdopted();
    await this.#free();
  }

  async #free(): Promise<void> {
    try {
      this.#measured(await this.#keeper.retain());
    } catch (error) {
      this.#options.diagnostics.error(`nothing could be freed in the spool: ${String(error)}`);
    }
  }

  #measured(size: SpoolSize): void {
    const { diagnostics, bytesMax } = this.#options;
    const before = this.#ration.isFull();
    this.#size = size;
    for (const held of this.#ration.measured(size)) this.#write(held);
    if (size.full === before) return;
    if (size.full) {
      diagnostics.error(
        `calls are refused: the spool is as large as it may be (${bytesMax} bytes), and nothing in it may be freed ` +
          'before it is acknowledged',
      );
    } else {
      diagnostics.error('the spool has room again, and takes records');
      this.#restored();
    }
  }

  #retainBefore(): void {
    this.#agenda.once('retain', RETAIN_SOON_MS, () => void this.#retain());
  }

  /** Not all are held at once: when some are done, it is the next ones' turn. */
  #adoptMore(): void {
    if (!this.#keeper.canAdoptMore()) return;
    this.#agenda.once('adopt', ADOPT_SOON_MS, () => this.#adoptLate());
  }
}

/** Between two adoptions, where there is more than may be held at once. */
const ADOPT_SOON_MS = 100;
/** Of the time to stop: for ending the threads and sealing the stream, when delivery has taken all of the rest. */
const CLOSING_MS = 700;
/** But never more than one part in so many. */
const CLOSING_SHARE = 4;
/** What the writer gets to seal the stream, even where delivery has used up the deadline. */
const STOP_MIN_MS = 1000;
