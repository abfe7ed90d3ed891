import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { freeSegments, planRetention } from '../../src/spool/retention.ts';
import type { KeptStream, RetentionState } from '../../src/spool/retention.ts';
import { createSimulatedFiles, seededRandom } from '../support/simulated-files.ts';

const HOUR = 3_600_000;
const A = '019aaaaa-0000-7000-8000-00000000000a';
const B = '019aaaaa-0000-7000-8000-00000000000b';

/** Segments of ten records and ten bytes; ages in hours, oldest first. */
function stream(id: string, agesH: readonly number[], rest: Partial<KeptStream> = {}): KeptStream {
  return {
    stream: id,
    segments: agesH.map((ageH, index) => ({
      first: index * 10 + 1,
      lastSequence: index * 10 + 10,
      lastHash: `h${index}`,
      bytes: 10,
      hadSinceMs: 1000 * HOUR - ageH * HOUR,
    })),
    over: false,
    predecessor: undefined,
    acknowledged: new Map(),
    ...rest,
  };
}

function state(streams: readonly KeptStream[], rest: Partial<RetentionState> = {}): RetentionState {
  return {
    streams,
    exporters: [{ name: 'otlp', required: true }],
    keepMs: 72 * HOUR,
    bytesMax: 1000,
    nowMs: 1000 * HOUR,
    ...rest,
  };
}

interface Row {
  readonly says: string;
  readonly given: RetentionState;
  readonly frees: readonly string[];
  readonly removes?: readonly string[];
  /** `from-to exporter` */
  readonly gaps?: readonly string[];
  readonly full?: boolean;
}

const acked = (otlp: number, more: Record<string, number> = {}): Partial<KeptStream> => ({
  acknowledged: new Map(Object.entries({ otlp, ...more })),
});
const OPTIONAL = [{ name: 'otlp', required: false }];
const TWO = [
  { name: 'otlp', required: true },
  { name: 'file', required: false },
];

const ROWS: readonly Row[] = [
  {
    says: 'what is acknowledged and old goes',
    given: state([stream(A, [90, 80, 1], acked(20))]),
    frees: ['a1', 'a11'],
  },
  { says: 'what is acknowledged and young stays', given: state([stream(A, [71, 1], acked(20))]), frees: [] },
  {
    says: 'what is exactly as old as is kept stays',
    given: state([stream(A, [72, 1], acked(20))]),
    frees: [],
  },
  {
    says: 'what is old and half acknowledged stays',
    given: state([stream(A, [90, 80, 1], acked(19))]),
    frees: ['a1'],
  },
  { says: 'what a required exporter has never seen stays', given: state([stream(A, [900, 1])]), frees: [] },
  {
    says: 'over the size, what is acknowledged goes whatever its age, only as much as it takes',
    given: state([stream(A, [3, 2, 1], acked(20))], { bytesMax: 20 }),
    frees: ['a1'],
  },
  {
    says: 'at the size nothing goes',
    given: state([stream(A, [3, 2, 1], acked(20))], { bytesMax: 30 }),
    frees: [],
  },
  {
    says: 'over the size, what a required exporter lacks stays, and the spool is full',
    given: state([stream(A, [3, 2, 1], acked(10))], { bytesMax: 5 }),
    frees: ['a1'],
    full: true,
  },
  {
    says: 'the segment in use is never freed, even when all of it is acknowledged',
    given: state([stream(A, [900], acked(10))], { bytesMax: 0 }),
    frees: [],
    full: true,
  },
  {
    says: 'a stream that is over goes whole',
    given: state([stream(A, [90, 80], { over: true, ...acked(20) })]),
    frees: ['a1', 'a11'],
    removes: [A],
  },
  {
    says: 'a stream that is over and never had a segment goes',
    given: state([stream(A, [], { over: true })]),
    frees: [],
    removes: [A],
  },
  {
    says: 'a predecessor that stays keeps the last segment of its successor, which holds its end',
    given: state([
      stream(A, [90], { over: true, ...acked(9) }),
      stream(B, [90, 80], { over: true, predecessor: A, ...acked(20) }),
    ]),
    frees: ['b1'],
  },
  {
    says: 'a predecessor and its successor may go together',
    given: state([
      stream(A, [90], { over: true, ...acked(10) }),
      stream(B, [90], { over: true, predecessor: A, ...acked(10) }),
    ]),
    frees: ['a1', 'b1'],
    removes: [A, B],
  },
  {
    says: 'without exporters age frees nothing',
    given: state([stream(A, [900, 800, 1])], { exporters: [] }),
    frees: [],
  },
  {
    says: 'without exporters the oldest goes at the size, as one gap',
    given: state([stream(A, [9, 8, 7, 1])], { exporters: [], bytesMax: 20 }),
    frees: ['a1', 'a11'],
    gaps: ['1-20'],
  },
  {
    says: 'with no required exporter, what the others have goes by age, without a gap',
    given: state([stream(A, [90, 1], acked(10))], { exporters: OPTIONAL }),
    frees: ['a1'],
  },
  {
    says: 'with no required exporter, the oldest goes at the size, with a gap for who lacks it',
    given: state([stream(A, [9, 8, 7], acked(13))], { exporters: OPTIONAL, bytesMax: 10 }),
    frees: ['a1', 'a11'],
    gaps: ['14-20 otlp'],
  },
  {
    says: 'an exporter that is not required holds nothing back, and what it misses is a gap',
    given: state([stream(A, [90, 1], acked(10, { file: 4 }))], { exporters: TWO }),
    frees: ['a1'],
    gaps: ['5-10 file'],
  },
  {
    says: 'the oldest stream goes first',
    given: state([stream(A, [3, 1], acked(20)), stream(B, [2, 1], acked(20))], { bytesMax: 30 }),
    frees: ['a1'],
  },
];

function names(plan: ReturnType<typeof planRetention>): string[] {
  return plan.segments.map((segment) => `${segment.stream.slice(-1)}${segment.first}`);
}

describe('retention', () => {
  for (const { says, given, frees, removes = [], gaps = [], full = false } of ROWS) {
    test(says, () => {
      const plan = planRetention(given);
      assert.deepEqual(names(plan), frees);
      assert.deepEqual(plan.streams, removes);
      assert.deepEqual(
        plan.gaps.map(
          ({ from, to, exporter }) => `${from}-${to}${exporter === undefined ? '' : ` ${exporter}`}`,
        ),
        gaps,
      );
      assert.ok(
        plan.gaps.every(({ from, to, count, reason }) => count === to - from + 1 && reason === 'retention'),
      );
      assert.equal(plan.full, full);
    });
  }

  test('never frees what a required exporter lacks, frees from the front only, and names all that somebody lacks', () => {
    const ages = fc.array(fc.integer({ min: 0, max: 200 }), { maxLength: 5 });
    const streams = fc.tuple(ages, ages, fc.nat(60), fc.nat(60), fc.boolean(), fc.boolean());
    const exporters = fc.subarray([
      { name: 'otlp', required: true },
      { name: 'file', required: false },
    ]);
    fc.assert(
      fc.property(
        streams,
        exporters,
        fc.nat(120),
        ([a, b, otlp, file, over, linked], exporters, bytesMax) => {
          const one = stream(A, a, { over, ...acked(otlp, { file }) });
          const two = stream(B, b, { ...(linked && { predecessor: A }), ...acked(file, { file: otlp }) });
          const given = state([one, two], { exporters, bytesMax });
          const plan = planRetention(given);
          for (const kept of given.streams) {
            const freed = plan.segments.filter((segment) => segment.stream === kept.stream);
            assert.deepEqual(
              freed.map(({ first }) => first),
              kept.segments.slice(0, freed.length).map(({ first }) => first),
            );
            if (!kept.over && kept.segments.length > 0) assert.ok(freed.length < kept.segments.length);
            for (const { first } of freed) {
              const segment = kept.segments.find((other) => other.first === first);
              assert.ok(segment);
              for (const { name, required } of exporters) {
                const lacks = segment.lastSequence > (kept.acknowledged.get(name) ?? 0);
                assert.ok(!required || !lacks);
                const named = plan.gaps.some(
                  (gap) =>
                    gap.stream === kept.stream && gap.exporter === name && gap.to >= segment.lastSequence,
                );
                assert.ok(!lacks || named);
              }
            }
          }
        },
      ),
    );
  });

  test('frees nothing of a stream whose cursors cannot be made durable, and goes on with the others', () => {
    const { files, plan } = disk();
    const flush = (id: string): void => {
      if (id === A) throw new Error('EIO');
    };
    const freed = freeSegments({ files, directory: '/spool', plan, flush, locks: new Map() });
    assert.deepEqual(
      freed.failed.map((entry) => entry.stream),
      [A],
    );
    assert.deepEqual(freed.streams, [B]);
    assert.ok(files.paths().includes(`/spool/${A}/00000000000000000001.log`));
  });

  test('makes cursors durable, unlinks, syncs the directory, removes the rest, syncs the spool: in this order', () => {
    const { files, plan } = disk();
    const steps: string[] = [];
    const before = files.operations.length;
    const lock = files.lock(`/spool/${B}/lock.sqlite`);
    assert.ok(lock);
    const locks = new Map([[B, lock]]);
    const flush = (id: string): void => void steps.push(`${files.operations.length - before - 1} ${id}`);
    const freed = freeSegments({ files, directory: '/spool', plan, flush, locks });
    assert.deepEqual(freed.failed, []);
    const done = files.operations
      .slice(before + 1)
      .filter(({ name }) => name !== 'list')
      .map(
        ({ name, path }) => `${name} ${path.split('/').slice(-2).join('/').replace(A, 'A').replace(B, 'B')}`,
      );
    assert.deepEqual(done, [
      'unlink B/00000000000000000001.log',
      'syncDirectory spool/B',
      'unlink B/cursor.otlp',
      'unlink B/lock.sqlite',
      'removeDirectory spool/B',
      'unlink A/00000000000000000001.log',
      'syncDirectory spool/A',
      'syncDirectory /spool',
    ]);
    assert.equal(steps[0], `0 ${B}`);
    // Freed again, as after a crash: nothing is in the way.
    const again = freeSegments({ files, directory: '/spool', plan, flush: () => {}, locks });
    assert.deepEqual(again.failed, []);
  });

  test('a stream whose segments somebody took away goes, durably, before the one that says where it ended', () => {
    const files = createSimulatedFiles();
    for (const id of [A, B]) files.makeDirectory(`/spool/${id}`);
    files.plant(`/spool/${B}/00000000000000000001.log`, Buffer.from('x'));
    const before = files.operations.length;
    const plan = planRetention(
      state([stream(A, [], { over: true }), stream(B, [90], { over: true, predecessor: A, ...acked(10) })]),
    );
    freeSegments({ files, directory: '/spool', plan, flush: () => {}, locks: new Map() });
    const [sync, ...rest] = files.operations.slice(before).filter(({ name }) => name !== 'list');
    assert.deepEqual([sync?.name, sync?.path], ['syncDirectory', `/spool/${A}`]);
    assert.deepEqual(rest[0], { name: 'removeDirectory', path: `/spool/${A}` });
  });

  test('a power cut at any moment leaves the newest segments, and no hole before them', () => {
    const all = [1, 11, 21].map((first) => `${String(first).padStart(20, '0')}.log`);
    for (let cut = 1; cut <= 6; cut += 1) {
      for (let seed = 0; seed < 20; seed += 1) {
        const files = createSimulatedFiles();
        files.makeDirectory(`/spool/${A}`);
        for (const name of all) files.plant(`/spool/${A}/${name}`, Buffer.from('x'));
        const plan = planRetention(state([stream(A, [90, 90, 90], { over: true, ...acked(30) })]));
        files.cutAt(cut);
        freeSegments({ files, directory: '/spool', plan, flush: () => {}, locks: new Map() });
        const left = files.crash(seededRandom(seed)).list(`/spool/${A}`);
        assert.deepEqual(left, left.length === 0 ? [] : all.slice(-left.length), `cut ${cut}, seed ${seed}`);
      }
    }
  });
});

function disk() {
  const files = createSimulatedFiles();
  for (const id of [A, B]) files.makeDirectory(`/spool/${id}`);
  for (const name of ['00000000000000000001.log', '00000000000000000011.log', 'cursor.otlp']) {
    files.plant(`/spool/${A}/${name}`, Buffer.from('x'));
  }
  for (const name of ['00000000000000000001.log', 'cursor.otlp']) {
    files.plant(`/spool/${B}/${name}`, Buffer.from('x'));
  }
  const plan = planRetention(
    state([stream(A, [90, 1], acked(20)), stream(B, [90], { over: true, ...acked(10) })]),
  );
  assert.deepEqual(names(plan), ['a1', 'b1']);
  return { files, plan };
}
