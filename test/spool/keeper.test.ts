import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { GapDraft } from '../../src/spool/adoption.ts';
import { createCommitter, type Committer } from '../../src/spool/committer.ts';
import { openCursor, readCursor } from '../../src/spool/cursor.ts';
import { ADOPTED_MAX, createKeeper, type Keeper, type KeeperOptions } from '../../src/spool/keeper.ts';
import type { DurablePosition } from '../../src/spool/position.ts';
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

/** Puts the exporter's cursor there, at time 0. */
function acknowledge(
  files: SimulatedFiles,
  stream: string,
  { sequence, segment, offset }: DurablePosition,
): void {
  const cursor = openCursor(files, `${SPOOL}/${stream}`, 'otlp', () => 0);
  cursor.advance({ sequence, segment, offset });
  cursor.flush();
  cursor.close();
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

  test('frees nothing on the word of a cursor that a power cut still takes: its process died before it was synced', async () => {
    const files = createSimulatedFiles();
    const committer = write(files, A);
    committer.close();
    const path = `${SPOOL}/${A}/cursor.otlp`;
    const scratch = createSimulatedFiles();
    scratch.makeDirectory(`${SPOOL}/${A}`);
    // All but its end, so that the stream stays.
    acknowledge(scratch, A, { ...committer.position(), sequence: committer.position().sequence - 1 });
    files.open(path, 'create').write(scratch.bytes(path), 0);
    files.kill();
    const { keeper } = scene({ bytesMax: 1 }, files);
    keeper.adopt();
    await keeper.retain();
    const left = files.crash(() => 0);
    const first = segments(left, A)[0] ?? 0;
    assert.ok(first > 1, 'some of it is freed');
    const { sequence = 0 } = readCursor(left, `${SPOOL}/${A}`, 'otlp')?.position ?? {};
    assert.ok(sequence >= first - 1, `freed up to ${first}, and the cursor is at ${sequence}`);
  });

  test('keeps from the last acknowledgement on, however often whoever keeps it is started again', async () => {
    const files = createSimulatedFiles();
    const committer = write(files, A);
    committer.close();
    const { segment, offset, sequence } = committer.position();
    const cursor = openCursor(files, `${SPOOL}/${A}`, 'otlp', () => 5000);
    cursor.advance({ sequence, segment, offset });
    cursor.flush();
    for (const nowMs of [5001, 5000 + KEEP_MS, 5001 + KEEP_MS]) {
      files.kill();
      const { keeper, clock } = scene({}, files);
      clock.nowMs = nowMs;
      keeper.adopt();
      await keeper.retain();
      assert.equal(files.list(SPOOL).length, nowMs > 5000 + KEEP_MS ? 0 : 1, `at ${nowMs}`);
    }
  });

  test('a backlog that is older than is kept when it is acknowledged is kept from then on', async () => {
    const { files, keeper, clock } = scene();
    const committer = write(files, A);
    keeper.own(A, undefined);
    clock.nowMs = 1e9;
    await keeper.retain();
    keeper.acknowledged('otlp', A, committer.position().sequence);
    await keeper.retain();
    assert.equal(segments(files, A).length, 3);
    clock.nowMs += KEEP_MS;
    await keeper.retain();
    assert.equal(segments(files, A).length, 3, 'exactly as long as is kept');
    clock.nowMs += 1;
    await keeper.retain();
    assert.equal(segments(files, A).length, 1);
  });

  test('a cursor from the future, and one of an older version, count as of now', async () => {
    for (const timeMs of [1e15, Number.NaN]) {
      const files = createSimulatedFiles();
      const committer = write(files, A);
      committer.close();
      const { segment, offset, sequence } = committer.position();
      const cursor = openCursor(files, `${SPOOL}/${A}`, 'otlp', () => timeMs);
      cursor.advance({ sequence, segment, offset });
      cursor.flush();
      files.kill();
      const { keeper, clock } = scene({}, files);
      keeper.adopt();
      await keeper.retain();
      clock.nowMs = KEEP_MS;
      await keeper.retain();
      assert.equal(files.list(SPOOL).length, 1);
      clock.nowMs = KEEP_MS + 1;
      await keeper.retain();
      assert.equal(files.list(SPOOL).length, 0);
    }
  });

  test('counts of the stream that is written what is written, not what is filled ahead', async () => {
    const files = createSimulatedFiles();
    const committer = write(files, A, 1);
    while (committer.prepareNext());
    const { keeper } = scene({ written: () => committer.position() }, files);
    keeper.own(A, undefined);
    assert.equal((await keeper.retain()).bytes, committer.position().offset);
    assert.ok(files.bytes(`${SPOOL}/${A}/00000000000000000001.log`).length > committer.position().offset);
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

  test('lets go of a stream when all is said of it and everybody has had it, and nobody adopts it again', async () => {
    const { files, keeper, clock } = scene();
    acknowledge(files, A, write(files, A, 2).position());
    files.kill();
    const [adopted = assert.fail()] = keeper.adopt().adopted;
    const other = scene({}, files).keeper;
    keeper.finished('otlp', A);
    assert.deepEqual(other.adopt().busy, [A], 'there is something to say of it yet');
    keeper.mark(adopted);
    const lock = files.lock(`${SPOOL}/${A}/lock.sqlite`);
    assert.ok(lock, 'nobody holds it');
    lock.release();
    assert.deepEqual(other.adopt(), {
      adopted: [],
      busy: [],
      failed: [],
      gaps: [],
      more: false,
      unknownOutcomes: [],
    });
    assert.ok((await other.retain()).bytes > 0, 'but its bytes are counted');
    clock.nowMs = KEEP_MS + 1;
    await keeper.retain();
    assert.deepEqual(files.list(SPOOL), [], 'and it goes when it is old enough');
    other.adopt();
    assert.deepEqual(await other.retain(), { bytes: 0, full: false }, 'which another one finds');
  });

  test('an exporter that has not had a stream has it adopted, though others have had it', () => {
    const { files, keeper } = scene();
    acknowledge(files, A, write(files, A, 2).position());
    files.kill();
    const [adopted = assert.fail()] = keeper.adopt().adopted;
    keeper.mark(adopted);
    keeper.finished('otlp', A);
    const exporters = ['otlp', 'new'].map((name) => ({ name, required: true }));
    const other = scene({ exporters }, files).keeper;
    assert.deepEqual(
      other.adopt().adopted.map(({ stream, marked }) => ({ stream, marked })),
      [{ stream: A, marked: true }],
    );
  });

  test('frees nothing of a stream that somebody else holds', async () => {
    const { files, keeper, clock } = scene();
    acknowledge(files, A, write(files, A, 2).position());
    files.kill();
    const [adopted = assert.fail()] = keeper.adopt().adopted;
    keeper.mark(adopted);
    keeper.finished('otlp', A);
    const lock = files.lock(`${SPOOL}/${A}/lock.sqlite`);
    clock.nowMs = KEEP_MS + 1;
    await keeper.retain();
    assert.equal(segments(files, A).length, 1);
    lock?.release();
    await keeper.retain();
    assert.deepEqual(files.list(SPOOL), []);
  });

  test(`holds at most ${ADOPTED_MAX} streams, oldest first, and takes the next ones when those are done`, () => {
    const files = createSimulatedFiles();
    const streams = Array.from({ length: ADOPTED_MAX + 1 }, (_, index) => `${A.slice(0, -3)}${100 + index}`);
    for (const stream of streams) acknowledge(files, stream, write(files, stream, 1).position());
    files.kill();
    const { keeper } = scene({}, files);
    const { adopted, more } = keeper.adopt();
    assert.deepEqual(
      adopted.map(({ stream }) => stream),
      streams.slice(0, ADOPTED_MAX),
    );
    assert.equal(more, true);
    assert.equal(keeper.canAdoptMore(), false);
    assert.deepEqual(keeper.adopt().adopted, []);
    for (const stream of adopted) {
      keeper.mark(stream);
      keeper.finished('otlp', stream.stream);
    }
    assert.equal(keeper.canAdoptMore(), true);
    const next = keeper.adopt();
    assert.deepEqual(
      next.adopted.map(({ stream }) => stream),
      streams.slice(ADOPTED_MAX),
    );
    assert.equal(next.more, false);
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
