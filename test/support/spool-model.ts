/** Lives a spool's life (spool-life.ts), and knows what must be true of its disk after every step. */
import assert from 'node:assert/strict';
import { readCatalogue } from '../../src/spool/catalogue.ts';
import { createCommitter } from '../../src/spool/committer.ts';
import type { Committer, Entry } from '../../src/spool/committer.ts';
import type { Citation } from '../../src/spool/position.ts';
import { openStreamReader } from '../../src/spool/reader.ts';
import { readCursor } from '../../src/spool/cursor.ts';
import type { SpooledRecord } from '../../src/spool/position.ts';
import { recoveredPosition, recoverStream } from '../../src/spool/recovery.ts';
import { codeOf } from '../../src/spool/system-error.ts';
import { DeliveryModel } from './delivery-model.ts';
import { SEGMENT_BYTES_MIN, segmentName } from '../../src/spool/segment.ts';
import { createSimulatedFiles, seededRandom } from './simulated-files.ts';
import type { SimulatedFiles, SimulatedOptions } from './simulated-files.ts';
import type { Step } from './spool-life.ts';
import { entry, IDENTITY, SPOOL, uidOf } from './spooled.ts';

/** What is known of one stream. */
interface Known {
  /** Uids whose commit succeeded, by sequence from 1. */
  readonly promised: string[];
  /** Uids of commits that did not, by sequence, since the last that did. */
  attempted: Map<number, Set<string>>;
  /** A successor that says so is durable, and nobody took it away. */
  end: number | undefined;
  /** The stream that this one cites. */
  cites: string | undefined;
  /** Sequences that someone took away after they were promised: first, and last. */
  robbedFrom: number;
  robbedTo: number;
  /** Sequences that a destination has, with the uid. */
  readonly delivered: Map<number, string>;
  /** What an adopter has said of its end, and so what must not be less for the next one. */
  adoptedEnd: number;
  /** A sync of it failed: what was written before is read back until the machine goes down, and may be gone then. */
  doubtful: boolean;
}

export class SpoolModel {
  files: SimulatedFiles;
  /** How often what could happen did, so that a test can tell that it tested something. */
  readonly counts = {
    committed: 0,
    refused: 0,
    fatal: 0,
    successors: 0,
    crashes: 0,
    rotations: 0,
    delivered: 0,
    adoptions: 0,
    freed: 0,
    removed: 0,
  };
  readonly #random: (end: number) => number;
  readonly #streams = new Map<string, Known>();
  readonly #clock = { nowMs: 0 };
  #delivery: DeliveryModel;
  #committer: Committer | undefined;
  /** The end that the next stream is to cite. */
  #cite: Citation | undefined;
  #uids = 0;
  #streamNumber = 0;

  constructor(seed: number, options: SimulatedOptions = {}) {
    this.files = createSimulatedFiles(options);
    this.#random = seededRandom(seed);
    this.#delivery = this.#startDelivery();
  }

  async run(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      await this.#step(step);
      if (this.files.dark) this.#crash();
    }
    this.#crash();
    // Whoever comes last, on a disk that works, delivers all that was promised.
    this.#clock.nowMs += 2000;
    await this.#delivery.catchUp();
    for (const [stream, known] of this.#streams) assertAllDelivered(stream, known, known.promised.length);
  }

  async #step(step: Step): Promise<void> {
    const { limits } = this.files;
    switch (step.do) {
      case 'commit':
        return this.#commit(step.records, step.bytes);
      case 'prepare':
        for (let slices = 0; slices < 10 && this.#committer?.prepareNext() === true; slices += 1);
        return undefined;
      case 'room':
        limits.freeBytes = step.bytes;
        return undefined;
      case 'short':
        limits.writeBytesMax = step.bytes;
        return undefined;
      case 'fault':
        return this.files.fail(step.name, step);
      case 'mend':
        return this.files.mend();
      case 'cut':
        return this.files.cutAt(step.nth);
      case 'crash':
        return this.#crash();
      case 'kill':
        return this.#exit();
      case 'stop':
        this.#committer?.close();
        this.#delivery.flush();
        return this.#exit();
      case 'unlink':
        return this.#unlink();
      case 'retain':
        this.#clock.nowMs += step.ms;
        return this.#dare(() => this.#delivery.retain());
      case 'catch_up':
        this.#clock.nowMs += 2000;
        return this.#dare(() => this.#delivery.catchUp());
      case 'deliver':
        return this.#dare(() => void this.#delivery.deliver(step.records));
      case 'flush':
        return this.#delivery.flush();
      case 'mark':
        return this.#delivery.mark();
      case 'adopt':
        return this.#dare(() => this.#delivery.adopt());
      default:
        return undefined;
    }
  }

  /** What the disk throws is tried again some other time; what an assertion throws is not. */
  async #dare(work: () => void | Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (codeOf(error) === undefined || error instanceof assert.AssertionError) throw error;
    }
  }

  #startDelivery(): DeliveryModel {
    return new DeliveryModel({
      files: this.files,
      clock: this.#clock,
      witness: {
        adopted: (stream, end) => this.#adoptedAt(stream, end.sequence),
        delivered: (record) => this.#delivered(record),
        damaged: ({ stream }) =>
          assert.ok(!isSure(this.#known(stream)), `${stream}: damage where there is none`),
        acknowledged: () => {},
      },
    });
  }

  #adoptedAt(stream: string, sequence: number): void {
    const known = this.#known(stream);
    this.counts.adoptions += 1;
    if (!isSure(known)) return;
    assert.ok(
      sequence >= known.adoptedEnd,
      `${stream} ended at ${known.adoptedEnd} once, now at ${sequence}`,
    );
    known.adoptedEnd = sequence;
  }

  #delivered({ stream, sequence, body }: SpooledRecord): void {
    const known = this.#known(stream);
    const uid = uidOf(body);
    this.counts.delivered += 1;
    assertCounts(stream, known, { sequence, uid });
    assert.equal(known.delivered.get(sequence) ?? uid, uid, `${stream} ${sequence}: another one than before`);
    if (isSure(known) && sequence > 1) {
      assert.ok(
        known.delivered.has(sequence - 1),
        `${stream} ${sequence} is delivered before the one before it`,
      );
    }
    known.delivered.set(sequence, uid);
  }

  #commit(records: number, bytes: number): void {
    const batch = Array.from({ length: records }, () => entry(String((this.#uids += 1)), bytes));
    if (this.#commitOnce(batch) !== 'over') return;
    // As the writer does: the waiting records go to a new stream once, else they are refused.
    this.#commitOnce(batch);
  }

  #commitOnce(batch: readonly Entry[]): 'over' | undefined {
    const committer = this.#committer ?? this.#begin();
    if (committer === undefined) return undefined;
    const known = this.#known(committer.stream);
    const before = committer.position();
    const uids = batch.map(({ head }) => uidOf(head));
    const result = committer.commit(batch);
    if (result.ok) {
      assert.equal(result.first, known.promised.length + 1);
      known.promised.push(...uids);
      assert.equal(result.position.sequence, known.promised.length);
      known.attempted = new Map();
      this.#delivery.committed(result.position);
      this.counts.committed += 1;
      if (result.position.segment !== before.segment) this.counts.rotations += 1;
      return undefined;
    }
    for (const [index, uid] of uids.entries()) {
      const sequence = before.sequence + 1 + index;
      known.attempted.set(sequence, (known.attempted.get(sequence) ?? new Set()).add(uid));
    }
    this.counts.refused += 1;
    if (!result.fatal) return undefined;
    this.counts.fatal += 1;
    known.doubtful = true;
    const { stream, sequence, hash } = committer.position();
    assert.equal(sequence, known.promised.length);
    this.#cite = { stream, sequence, hash };
    this.#delivery.ended(this.#cite);
    this.#committer = undefined;
    return 'over';
  }

  #begin(): Committer | undefined {
    this.#streamNumber += 1;
    const streamId = `019aaaaa-0000-7000-8000-${String(this.#streamNumber).padStart(12, '0')}`;
    const cite = this.#cite;
    try {
      this.#committer = createCommitter({
        files: this.files,
        directory: SPOOL,
        streamId,
        identityOfStream: IDENTITY,
        segmentBytes: SEGMENT_BYTES_MIN,
        predecessor: cite,
      });
    } catch {
      return undefined;
    }
    const known = this.#known(streamId);
    if (cite !== undefined) {
      known.cites = cite.stream;
      this.#known(cite.stream).end = cite.sequence;
      this.counts.successors += 1;
    }
    this.#delivery.begun(this.#committer.position(), cite?.stream);
    this.#cite = undefined;
    return this.#committer;
  }

  #unlink(): void {
    const position = this.#committer?.position();
    if (position === undefined || this.files.limits.readOnly === true) return;
    try {
      this.files.unlink(`${SPOOL}/${position.stream}/${segmentName(position.segment)}`);
    } catch {
      // The power, or it is gone already. A file that may come back after a power cut may also be gone.
      if (!this.files.dark) return;
    }
    const known = this.#known(position.stream);
    known.robbedFrom = Math.min(known.robbedFrom, position.segment);
    known.robbedTo = known.promised.length;
    // With its only header the citation is gone.
    if (position.segment === 1 && known.cites !== undefined) this.#known(known.cites).end = undefined;
  }

  #crash(): void {
    this.files = this.files.crash(this.#random);
    this.counts.crashes += 1;
    this.#exit();
  }

  /** The process is gone; the next one starts on a disk that works. */
  #exit(): void {
    if (this.files.dark) return this.#crash();
    this.files.kill();
    this.files.mend();
    this.#committer = undefined;
    this.#cite = undefined;
    this.#check();
    this.#delivery = this.#startDelivery();
    try {
      this.#delivery.adopt();
    } catch (error) {
      // The power, again.
      if (!this.files.dark) throw error;
    }
    return undefined;
  }

  #known(stream: string): Known {
    const known = this.#streams.get(stream) ?? {
      promised: [],
      attempted: new Map<number, Set<string>>(),
      end: undefined,
      cites: undefined,
      robbedFrom: Infinity,
      robbedTo: 0,
      delivered: new Map<number, string>(),
      adoptedEnd: 0,
      doubtful: false,
    };
    this.#streams.set(stream, known);
    return known;
  }

  /** Nothing is passed that was not delivered, and what is gone was passed: else it would be looked for. */
  #checkCursor(stream: string, known: Known, first: number): void {
    const { sequence = 0 } = readCursor(this.files, `${SPOOL}/${stream}`, 'otlp')?.position ?? {};
    assertAllDelivered(stream, known, Math.min(sequence, known.promised.length));
    if (first > 1) this.counts.freed += 1;
    if (known.robbedFrom < Infinity) return;
    assert.ok(
      sequence <= Math.max(0, ...known.delivered.keys()),
      `${stream}: the cursor is ahead of what was read`,
    );
    assert.ok(first - 1 <= sequence, `${stream}: freed up to ${first}, and the cursor is at ${sequence}`);
  }

  #check(): void {
    const { streams, citations } = readCatalogue(this.files, SPOOL);
    for (const [stream, known] of this.#streams) {
      const found = streams.find((one) => one.stream === stream);
      if (found === undefined || found.segments.length === 0) {
        this.counts.removed += 1;
        assertAllDelivered(stream, known, known.promised.length);
        continue;
      }
      this.#checkCursor(stream, known, found.segments[0]?.first ?? 1);
      const recovered = recoverStream(this.files, SPOOL, stream, citations);
      assert.deepEqual(recoverStream(this.files, SPOOL, stream, citations), recovered, 'recovered twice');
      if (isSure(known)) {
        assert.ok(recovered.end.sequence >= known.adoptedEnd, `${stream} is shorter than its adopter said`);
      }
      const reader = openStreamReader({
        files: this.files,
        directory: `${SPOOL}/${stream}`,
        stream,
        from: undefined,
        durable: () => recoveredPosition(recovered),
        end: recovered.end,
      });
      const read = new Map<number, string>();
      for (let batch = reader.next(7, 50_000); ; batch = reader.next(7, 50_000)) {
        if (known.robbedFrom === Infinity) assert.deepEqual(batch.damages, [], 'damage where there is none');
        for (const { sequence, body } of batch.records) {
          assert.ok(!read.has(sequence), `${sequence} twice`);
          read.set(sequence, uidOf(body));
        }
        if (batch.records.length === 0 && batch.damages.length === 0) break;
      }
      reader.close();
      compare(stream, known, read);
    }
  }
}

/** Whether what an adopter finds must be there for the next one too: nothing was taken, and its end is certain. */
function isSure({ robbedFrom, doubtful, end }: Known): boolean {
  return robbedFrom === Infinity && (!doubtful || end !== undefined);
}

/** What is gone for good was delivered before, or somebody else took it away. */
function assertAllDelivered(stream: string, known: Known, to: number): void {
  for (let sequence = 1; sequence <= to; sequence += 1) {
    if (sequence >= known.robbedFrom && sequence <= known.robbedTo) continue;
    assert.ok(known.delivered.has(sequence), `${stream} ${sequence} is lost`);
  }
}

/** A record that may be read: it was promised, or it stands in a tail that nobody has said to be void. */
function assertCounts(
  stream: string,
  known: Known,
  { sequence, uid }: { readonly sequence: number; readonly uid: string },
): void {
  if (sequence <= known.promised.length) {
    assert.equal(uid, known.promised[sequence - 1], `${stream} ${sequence} was promised`);
    return;
  }
  assert.equal(known.end, undefined, `${stream} ${sequence} (${uid}) is void: its stream ended before it`);
  assert.ok(known.attempted.get(sequence)?.has(uid), `${stream} ${sequence} (${uid}) was refused, and wiped`);
}

function compare(stream: string, known: Known, read: ReadonlyMap<number, string>): void {
  const first = Math.min(...read.keys(), known.promised.length + 1);
  for (const [index, uid] of known.promised.entries()) {
    const sequence = index + 1;
    if (sequence < first && known.delivered.has(sequence)) continue;
    if (sequence >= known.robbedFrom && sequence <= known.robbedTo && !read.has(sequence)) continue;
    assert.equal(read.get(sequence), uid, `${stream} ${sequence} was promised`);
  }
  let last = first - 1;
  for (const [sequence, uid] of read) {
    assert.ok(sequence > last, 'in order');
    if (known.robbedFrom === Infinity) assert.equal(sequence, last + 1, 'a hole');
    last = sequence;
    assertCounts(stream, known, { sequence, uid });
  }
}
