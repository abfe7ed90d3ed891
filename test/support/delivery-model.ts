/** The other half of a process in the model: adopts what is dead, delivers from where the cursors stand, frees. */
import assert from 'node:assert/strict';
import { createCursorSchedule, type CursorSchedule } from '../../src/export/cursor-schedule.ts';
import { createSpoolSource, type SpoolSource } from '../../src/export/spool-source.ts';
import type { SourceStream } from '../../src/export/stream-source.ts';
import type { AdoptedStream } from '../../src/spool/adoption.ts';
import { openCursor } from '../../src/spool/cursor.ts';
import { createKeeper, type Keeper } from '../../src/spool/keeper.ts';
import type { Citation, Damage, DurablePosition, SpooledRecord } from '../../src/spool/position.ts';
import { openStreamReader } from '../../src/spool/reader.ts';
import { recoveredPosition } from '../../src/spool/recovery.ts';
import { SEGMENT_BYTES_MIN } from '../../src/spool/segment.ts';
import type { SimulatedFiles } from './simulated-files.ts';
import { IDENTITY, SPOOL } from './spooled.ts';

const EXPORTER = 'otlp';
/** A segment that is full at once, so that a short life sees one go. */
const BYTES_MAX = 2 * SEGMENT_BYTES_MIN;
const KEEP_MS = 1000;

export interface DeliveryWitness {
  /** What an adopter says of a stream: its end. */
  adopted(stream: string, end: Citation): void;
  /** The destination has it, whatever becomes of us. */
  delivered(record: SpooledRecord): void;
  damaged(damage: Damage): void;
  /** The cursor is durable there. */
  acknowledged(stream: string, sequence: number): void;
}

export interface DeliveryModelOptions {
  readonly files: SimulatedFiles;
  readonly clock: { nowMs: number };
  readonly witness: DeliveryWitness;
}

export class DeliveryModel {
  readonly #options: DeliveryModelOptions;
  readonly #keeper: Keeper;
  readonly #source: SpoolSource;
  readonly #cursors: CursorSchedule;
  readonly #durable = new Map<string, DurablePosition>();
  readonly #adopted: AdoptedStream[] = [];
  #written: string | undefined;

  constructor(options: DeliveryModelOptions) {
    const { files, clock, witness } = options;
    this.#options = options;
    const nowMs = (): number => clock.nowMs;
    this.#keeper = createKeeper({
      files,
      directory: SPOOL,
      exporters: [{ name: EXPORTER, required: true }],
      keepMs: KEEP_MS,
      bytesMax: BYTES_MAX,
      nowMs,
      written: () => (this.#written === undefined ? undefined : this.#durable.get(this.#written)),
      onGap: () => Promise.reject(new Error('what is required never goes unread')),
      onFreed: (stream, first) => this.#source.kept(stream, first),
    });
    this.#source = createSpoolSource({
      exporter: EXPORTER,
      open: {
        reader: ({ stream, ...rest }) =>
          openStreamReader({ files, directory: `${SPOOL}/${stream}`, stream, ...rest }),
        cursor: (stream, exporter) => openCursor(files, `${SPOOL}/${stream}`, exporter, nowMs),
      },
      durable: (stream) => this.#durable.get(stream),
      onFinished: (stream) => this.#keeper.finished(EXPORTER, stream),
    });
    this.#cursors = createCursorSchedule({
      timers: { nowMs, after: () => () => {} },
      onFlushed: ({ stream, cursor }) => {
        const { sequence = 0 } = cursor.position() ?? {};
        witness.acknowledged(stream, sequence);
        this.#keeper.acknowledged(EXPORTER, stream, sequence);
      },
      onFailed: () => {},
    });
  }

  adopt(): void {
    for (const stream of this.#keeper.adopt().adopted) {
      this.#adopted.push(stream);
      const durable = recoveredPosition(stream);
      if (durable === undefined) continue;
      this.#options.witness.adopted(stream.stream, stream.end);
      this.#durable.set(stream.stream, durable);
      const first = stream.segments[0]?.first ?? 1;
      this.#source.add({ identity: IDENTITY, first, durable, end: stream.end });
    }
  }

  begun(position: DurablePosition, predecessor: string | undefined): void {
    this.#keeper.own(position.stream, predecessor);
    this.#durable.set(position.stream, position);
    this.#written = position.stream;
    this.#source.add({ identity: IDENTITY, first: 1, durable: position });
  }

  committed(position: DurablePosition): void {
    this.#durable.set(position.stream, position);
  }

  ended(end: Citation): void {
    this.#keeper.ended(end);
    this.#source.end(end);
  }

  /** One batch, as a pump sends it to a destination that takes it. @returns whether there was one */
  deliver(recordsMax: number): boolean {
    for (const from of this.#source.streams()) {
      const { records, damages } = from.reader.next(recordsMax, 50_000);
      if (records.length === 0 && damages.length === 0) {
        if (!from.reader.ended()) continue;
        this.#cursors.flush();
        this.#source.finished(from);
        continue;
      }
      for (const damage of damages) this.#options.witness.damaged(damage);
      for (const record of records) this.#options.witness.delivered(record);
      this.#pass(from, records);
      return true;
    }
    return false;
  }

  async catchUp(): Promise<void> {
    while (this.deliver(8));
    this.flush();
    this.mark();
    await this.retain();
  }

  #pass(from: SourceStream, records: readonly SpooledRecord[]): void {
    const last = records.at(-1);
    const position =
      last === undefined
        ? from.reader.position?.()
        : { sequence: last.sequence, segment: last.segment, offset: last.end };
    if (position === undefined) return;
    from.cursor.advance(position);
    this.#cursors.advanced(from, records.length);
  }

  flush(): void {
    this.#cursors.flush();
  }

  /** All that is recorded of adopted streams is durable. */
  mark(): void {
    for (const stream of this.#adopted.splice(0)) this.#keeper.mark(stream);
  }

  async retain(): Promise<void> {
    const { full } = await this.#keeper.retain();
    assert.equal(typeof full, 'boolean');
  }
}
