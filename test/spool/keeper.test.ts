import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { GapDraft } from '../../src/spool/adoption.ts';
import { createCommitter, type Committer } from '../../src/spool/committer.ts';
import { openCursor } from '../../src/spool/cursor.ts';
import { createKeeper, type Keeper, type KeeperOptions } from '../../src/spool/keeper.ts';
import { SEGMENT_BYTES_MIN } from '../../src/spool/segment.ts';
import { createSimulatedFiles, type SimulatedFiles } from '../support/simulated-files.ts';
import { entry, IDENTITY, SPOOL } from '../support/spooled.ts';

const A = '019aaaaa-0000-7000-8000-00000000000a';
const B = '019bbbbb-0000-7000-8000-00000000000b';
const KEEP_MS = 1000;

interface Scene {
  readonly files: SimulatedFiles;
  readonly keeper: Keeper;
  readonly clock: { nowMs: number };
  readonly gaps: GapDraft[];
  readonly freed: string[];
}

function scene(rest: Partial<KeeperOptions> = {}, files = createSimulatedFiles()): Scene {
  const clock = { nowMs: 0 };
  const gaps: GapDraft[] = [];
  const freed: string[] = [];
  const keeper = createKeeper({
    files,
    directory: SPOOL,
    exporters: [{ name: 'otlp', required: true }],
    keepMs: KEEP_MS,
    bytesMax: 2 ** 30,
    nowMs: () => clock.nowMs,
    onGap: async (gap) => void gaps.push(gap),
    onFreed: (stream, first) => freed.push(`${stream.at(-1)} ${first}`),
    ...rest,
  });
  return { files, keeper, clock, gaps, freed };
}

/** Three segments of seven records of 8 KiB, the last one with fewer. */
function write(files: SimulatedFiles, streamId: string, commits = 16): Committer {
  const committer = createCommitter({
    files,
    directory: SPOOL,
    streamId,
    identityOfStream: IDENTITY,
    segmentBytes: SEGMENT_BYTES_MIN,
  });
  for (let index = 0; index < commits; index += 1) {
    assert.ok(committer.commit([entry(`${streamId} ${index}`, 8192)]).ok);
  }
  return committer;
}

function segments(files: SimulatedFiles, stream: string): number[] {
  return files
    .list(`${SPOOL}/${stream}`)
    .flatMap((name) => (/^\d{20}\.log$/.test(name) ? [Number.parseInt(name, 10)] : []));
}

describe('the keeper', () => {
  test('frees what has been acknowledged and is old enough, never what is written to', async () => {
    const { files, keeper, clock, freed, gaps } = scene();
    const committer = write(files, A);
    keeper.own(A, undefined);
    const [, second = 0, third = 0] = segments(files, A);
    keeper.acknowledged('otlp', A, committer.position().sequence);
    await keeper.retain();
    assert.equal(segments(files, A).length, 3, 'young');
    clock.nowMs = KEEP_MS + 1;
    const before = await keeper.retain();
    assert.deepEqual(segments(files, A), [third]);
    assert.deepEqual(freed, [`a ${third}`]);
    assert.ok(second > 1 && before.bytes > 0 && !before.full);
    assert.deepEqual(gaps, []);
  });

  test('keeps what a required exporter lacks, however large and old it is, and says that it is full', async () => {
    const { files, keeper, clock, freed } = scene({ bytesMax: 1 });
    write(files, A);
    keeper.own(A, undefined);
    keeper.acknowledged('otlp', A, 3);
    clock.nowMs = 1e9;
    assert.deepEqual((await keeper.retain()).full, true);
    assert.equal(segments(files, A).length, 3);
    assert.deepEqual(freed, []);
  });

  test('puts on record what goes that nobody has had, before it goes, and once', async () => {
    const order: string[] = [];
    let files = createSimulatedFiles();
    const made = scene(
      {
        exporters: [{ name: 'otlp', required: false }],
        bytesMax: 1,
        async onGap({ from, to, reason }) {
          order.push(`${reason} ${from}-${to} with ${segments(files, A).length}`);
          await Promise.resolve();
        },
      },
      files,
    );
    files = made.files;
    write(files, A);
    made.keeper.own(A, undefined);
    await Promise.all([made.keeper.retain(), made.keeper.retain()]);
    const [third = 0] = segments(files, A);
    assert.deepEqual(order, [`retention 1-${third - 1} with 3`]);
  });

  test('frees nothing where the gap cannot be recorded', async () => {
    const { files, keeper } = scene({
      exporters: [{ name: 'otlp', required: false }],
      bytesMax: 1,
      onGap: () => Promise.reject(new Error('no disk')),
    });
    write(files, A);
    keeper.own(A, undefined);
    await assert.rejects(keeper.retain(), /no disk/);
    assert.equal(segments(files, A).length, 3);
  });

  test('knows from the cursors on the disk what was acknowledged before it began', async () => {
    const files = createSimulatedFiles();
    const committer = write(files, A);
    committer.close();
    const { segment, offset, sequence } = committer.position();
    const cursor = openCursor(files, `${SPOOL}/${A}`, 'otlp');
    cursor.advance({ sequence, segment, offset });
    cursor.flush();
    files.kill();
    const { keeper, clock } = scene({}, files);
    assert.equal(keeper.adopt().adopted.length, 1);
    await keeper.retain();
    clock.nowMs = KEEP_MS + 1;
    await keeper.retain();
    assert.deepEqual(files.list(SPOOL), [], 'a stream that is over and had by all goes with its directory');
  });

  test('adopts what is dead once, and leaves what lives and what is its own', () => {
    const { files, keeper } = scene();
    write(files, B);
    files.kill();
    write(files, A);
    assert.deepEqual(
      keeper.adopt().adopted.map(({ stream }) => stream),
      [B],
    );
    assert.deepEqual(keeper.adopt().adopted, []);
    assert.deepEqual(keeper.adopt().busy, [A]);
    const other = scene({}, files);
    assert.deepEqual(other.keeper.adopt().busy, [A, B]);
    keeper.release();
    assert.equal(other.keeper.adopt().adopted.length, 1);
  });

  test('what it has marked is not recovered again by whoever comes next', () => {
    const { files, keeper } = scene();
    write(files, A);
    files.kill();
    const [adopted = assert.fail()] = keeper.adopt().adopted;
    assert.equal(adopted.marked, false);
    keeper.mark(adopted);
    keeper.release();
    const again = scene({}, files).keeper.adopt();
    assert.deepEqual(
      again.adopted.map(({ marked, end, openDecisions }) => ({ marked, end, openDecisions })),
      [{ marked: true, end: adopted.end, openDecisions: [] }],
    );
  });

  test('a mark that was made for another stream, or cannot be written, counts for nothing', () => {
    const { files, keeper } = scene();
    // Of one segment each, so that the place that the mark names is there.
    write(files, A, 2);
    write(files, B, 2);
    files.kill();
    const { adopted } = keeper.adopt();
    const [first = assert.fail()] = adopted;
    keeper.mark(first);
    const mark = Buffer.from(files.bytes(`${SPOOL}/${A}/adopted.json`));
    files.plant(`${SPOOL}/${B}/adopted.json`, mark);
    keeper.release();
    const again = scene({}, files).keeper;
    const marked = again.adopt().adopted;
    assert.deepEqual(
      marked.map((stream) => stream.marked),
      [true, false],
    );
    files.limits.readOnly = true;
    for (const stream of marked) again.mark(stream);
  });
});
