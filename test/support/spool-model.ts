/** A spool's life as steps that a property test can draw, and what must be true of its disk after every one. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { readCatalogue } from '../../src/spool/catalogue.ts';
import { createCommitter } from '../../src/spool/committer.ts';
import type { Committer, Entry } from '../../src/spool/committer.ts';
import type { Citation } from '../../src/spool/position.ts';
import { openStreamReader } from '../../src/spool/reader.ts';
import { recoveredPosition, recoverStream } from '../../src/spool/recovery.ts';
import { SEGMENT_BYTES_MIN, segmentName } from '../../src/spool/segment.ts';
import { createSimulatedFiles, seededRandom } from './simulated-files.ts';
import type { OperationName, SimulatedFiles, SimulatedOptions } from './simulated-files.ts';
import { entry, IDENTITY, SPOOL, uidOf } from './spooled.ts';

export type Step =
  | { readonly do: 'commit'; readonly records: number; readonly bytes: number }
  | { readonly do: 'prepare' }
  | { readonly do: 'room'; readonly bytes: number }
  | { readonly do: 'short'; readonly bytes: number }
  | { readonly do: 'fault'; readonly name: OperationName; readonly code: string; readonly nth: number }
  | { readonly do: 'mend' }
  | { readonly do: 'cut'; readonly nth: number }
  | { readonly do: 'crash' }
  | { readonly do: 'kill' }
  | { readonly do: 'stop' }
  | { readonly do: 'unlink' };

const commit: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('commit' as const),
  records: fc.integer({ min: 1, max: 4 }),
  bytes: fc.oneof(fc.nat(400), fc.nat(20_000)),
});

const disturbance: fc.Arbitrary<Step> = fc.oneof(
  fc.constant({ do: 'prepare' as const }),
  fc.record({ do: fc.constant('room' as const), bytes: fc.oneof(fc.nat(1200), fc.nat(40_000)) }),
  fc.record({ do: fc.constant('short' as const), bytes: fc.integer({ min: 300, max: 5000 }) }),
  fc.record({
    do: fc.constant('fault' as const),
    name: fc.constantFrom<OperationName>(
      'write',
      'sync',
      'sync',
      'create',
      'rename',
      'syncDirectory',
      'lock',
    ),
    code: fc.constantFrom('EIO', 'ENOSPC', 'EMFILE', 'EROFS'),
    nth: fc.integer({ min: 1, max: 4 }),
  }),
  fc.constant({ do: 'mend' as const }),
  fc.record({ do: fc.constant('cut' as const), nth: fc.integer({ min: 1, max: 12 }) }),
  fc.constant({ do: 'crash' as const }),
  fc.constant({ do: 'kill' as const }),
  fc.constant({ do: 'stop' as const }),
  fc.constant({ do: 'unlink' as const }),
);

export const life: fc.Arbitrary<{ readonly seed: number; readonly steps: readonly Step[] }> = fc.record({
  seed: fc.nat(),
  steps: fc.array(fc.oneof({ weight: 2, arbitrary: commit }, { weight: 1, arbitrary: disturbance }), {
    minLength: 1,
    maxLength: 25,
    size: 'max',
  }),
});

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
}

export class SpoolModel {
  files: SimulatedFiles;
  /** How often what could happen did, so that a test can tell that it tested something. */
  readonly counts = { committed: 0, refused: 0, fatal: 0, successors: 0, crashes: 0, rotations: 0 };
  readonly #random: (end: number) => number;
  readonly #streams = new Map<string, Known>();
  #committer: Committer | undefined;
  /** The end that the next stream is to cite. */
  #cite: Citation | undefined;
  #uids = 0;
  #streamNumber = 0;

  constructor(seed: number, options: SimulatedOptions = {}) {
    this.files = createSimulatedFiles(options);
    this.#random = seededRandom(seed);
  }

  run(steps: readonly Step[]): void {
    for (const step of steps) {
      this.#step(step);
      if (this.files.dark) this.#crash();
    }
    this.#crash();
  }

  #step(step: Step): void {
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
        return this.#exit();
      case 'unlink':
        return this.#unlink();
      default:
        return undefined;
    }
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
    const { stream, sequence, hash } = committer.position();
    assert.equal(sequence, known.promised.length);
    this.#cite = { stream, sequence, hash };
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
    };
    this.#streams.set(stream, known);
    return known;
  }

  #check(): void {
    const { streams, citations } = readCatalogue(this.files, SPOOL);
    for (const [stream, known] of this.#streams) {
      if (!streams.some((found) => found.stream === stream)) {
        assert.ok(known.promised.length === 0 || known.robbedFrom === 1, `${stream} is lost`);
        continue;
      }
      const recovered = recoverStream(this.files, SPOOL, stream, citations);
      assert.deepEqual(recoverStream(this.files, SPOOL, stream, citations), recovered, 'recovered twice');
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

function compare(stream: string, known: Known, read: ReadonlyMap<number, string>): void {
  for (const [index, uid] of known.promised.entries()) {
    const sequence = index + 1;
    if (sequence >= known.robbedFrom && sequence <= known.robbedTo && !read.has(sequence)) continue;
    assert.equal(read.get(sequence), uid, `${stream} ${sequence} was promised`);
  }
  let last = 0;
  for (const [sequence, uid] of read) {
    assert.ok(sequence > last, 'in order');
    if (known.robbedFrom === Infinity) assert.equal(sequence, last + 1, 'a hole');
    last = sequence;
    if (sequence <= known.promised.length) continue;
    assert.equal(known.end, undefined, `${stream} ${sequence} (${uid}) is void: its stream ended before it`);
    assert.ok(
      known.attempted.get(sequence)?.has(uid),
      `${stream} ${sequence} (${uid}) was refused, and wiped`,
    );
  }
}
