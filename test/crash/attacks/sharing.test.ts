/** Several processes with other exporters on one spool: what one lets go of or frees is not what another lacks. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { GapDraft } from '../../../src/spool/adoption.ts';
import { createCommitter } from '../../../src/spool/committer.ts';
import { openCursor } from '../../../src/spool/cursor.ts';
import { createKeeper, type KeeperOptions } from '../../../src/spool/keeper.ts';
import { nodeFiles } from '../../../src/spool/node-files.ts';
import type { DurablePosition } from '../../../src/spool/position.ts';
import { entry, IDENTITY } from '../../support/spooled.ts';

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-sharing-'));
after(() => rmSync(root, { recursive: true, force: true }));

const STREAM = '019aaaaa-0000-7000-8000-00000000000a';
const RECORDS = 6;
const KEEP_MS = 1000;

/** A spool with one stream that its process has left. */
function makeSpool() {
  const directory = join(mkdtempSync(join(root, 'spool-')), 'spool');
  const options = { files: nodeFiles, directory, streamId: STREAM, identityOfStream: IDENTITY };
  const committer = createCommitter(options);
  const positions: DurablePosition[] = [];
  for (let index = 0; index < RECORDS; index += 1) {
    assert.ok(committer.commit([entry(`r${index}`)]).ok);
    positions.push(committer.position());
  }
  committer.close();
  committer.release();
  return {
    directory,
    isThere: () => existsSync(join(directory, STREAM)),
    /** What an exporter's cursor on the disk says. */
    cursor(exporter: string, sequence: number): void {
      const cursor = openCursor(nodeFiles, join(directory, STREAM), exporter, () => 0);
      const { segment, offset } = positions[sequence - 1] ?? assert.fail();
      cursor.advance({ sequence, segment, offset });
      cursor.flush();
      cursor.close();
    },
  };
}

type Spool = ReturnType<typeof makeSpool>;

function start({ directory, cursor }: Spool, names: readonly string[], more: Partial<KeeperOptions> = {}) {
  const gaps: GapDraft[] = [];
  const clock = { nowMs: 0 };
  const keeper = createKeeper({
    files: nodeFiles,
    directory,
    exporters: names.map((name) => ({ name, required: true })),
    keepMs: KEEP_MS,
    bytesMax: 2 ** 30,
    nowMs: () => clock.nowMs,
    onGap: async (gap) => void gaps.push(gap),
    onFreed: () => {},
    ...more,
  });
  return {
    keeper,
    gaps,
    clock,
    /** Takes over, and delivers all of it; that is seen at time 0. */
    async settle(): Promise<void> {
      for (const stream of keeper.adopt().adopted) {
        keeper.mark(stream);
        for (const name of names) {
          cursor(name, RECORDS);
          keeper.acknowledged(name, STREAM, RECORDS);
          keeper.finished(name, STREAM);
        }
      }
      if (names.length > 0) await keeper.retain();
    },
  };
}

const over = KEEP_MS + 1;
const lacking = (exporter: string, from: number): object => ({
  stream: STREAM,
  from,
  to: RECORDS,
  count: RECORDS + 1 - from,
  reason: 'retention',
  exporter,
});

function told(gaps: readonly GapDraft[]): object[] {
  return gaps.map(({ stream, from, to, count, reason, exporter }) => ({
    stream,
    from,
    to,
    count,
    reason,
    exporter,
  }));
}

describe('two processes with different exporters', () => {
  test('one that starts after all locks were let go has the stream, and keeps it from being freed', async () => {
    const spool = makeSpool();
    const first = start(spool, ['a']);
    await first.settle();
    const second = start(spool, ['a', 'b']);
    assert.equal(second.keeper.adopt().adopted.length, 1);
    first.clock.nowMs = over;
    await first.keeper.retain();
    assert.ok(spool.isThere());
    assert.deepEqual(first.gaps, []);
    second.keeper.finished('a', STREAM);
    second.keeper.acknowledged('b', STREAM, RECORDS);
    spool.cursor('b', RECORDS);
    second.keeper.finished('b', STREAM);
    await first.keeper.retain();
    assert.ok(!spool.isThere());
    assert.deepEqual(first.gaps, [], 'everybody has had it');
  });

  test('what the other one has begun and not had is put on record when it goes', async () => {
    const spool = makeSpool();
    spool.cursor('b', 2);
    const first = start(spool, ['a']);
    await first.settle();
    first.clock.nowMs = over;
    await first.keeper.retain();
    assert.ok(!spool.isThere());
    assert.deepEqual(told(first.gaps), [lacking('b', 3)]);
  });

  test('nothing that another process holds is put on record as gone, however full the spool is', async () => {
    const spool = makeSpool();
    const first = start(spool, [], { bytesMax: 1 });
    await first.settle();
    const second = start(spool, ['b']);
    assert.equal(second.keeper.adopt().adopted.length, 1);
    await first.keeper.retain();
    await first.keeper.retain();
    assert.ok(spool.isThere());
    assert.deepEqual(first.gaps, []);
    second.keeper.release();
    await first.keeper.retain();
    assert.ok(!spool.isThere());
    assert.deepEqual(
      first.gaps.map(({ from, to, exporter }) => ({ from, to, exporter })),
      [{ from: 1, to: RECORDS, exporter: undefined }],
    );
  });
});

describe('a required exporter that is taken out of the configuration', () => {
  test('and put in again in time goes on where it was', async () => {
    const spool = makeSpool();
    spool.cursor('b', 2);
    const without = start(spool, ['a']);
    await without.settle();
    without.clock.nowMs = KEEP_MS / 2;
    await without.keeper.retain();
    without.keeper.release();
    const again = start(spool, ['a', 'b']);
    const [adopted] = again.keeper.adopt().adopted;
    assert.equal(adopted?.end.sequence, RECORDS);
    again.clock.nowMs = 1e9;
    await again.keeper.retain();
    assert.ok(spool.isThere(), 'it has not had all of it');
    const cursor = openCursor(nodeFiles, join(spool.directory, STREAM), 'b');
    assert.equal(cursor.position()?.sequence, 2);
    again.keeper.release();
  });

  test('and put in again too late is told what it cannot have any more', async () => {
    const spool = makeSpool();
    spool.cursor('b', 5);
    const without = start(spool, ['a']);
    await without.settle();
    without.clock.nowMs = over;
    await without.keeper.retain();
    assert.deepEqual(told(without.gaps), [lacking('b', 6)]);
  });
});

describe('a clock that jumps', () => {
  test('backwards frees nothing early, and forwards nothing that somebody lacks', async () => {
    const spool = makeSpool();
    spool.cursor('a', RECORDS);
    const keeping = start(spool, ['a', 'b']);
    keeping.keeper.adopt();
    for (const nowMs of [-1e12, 1e15]) {
      keeping.clock.nowMs = nowMs;
      await keeping.keeper.retain();
      assert.ok(spool.isThere(), String(nowMs));
    }
    spool.cursor('b', RECORDS);
    keeping.keeper.acknowledged('b', STREAM, RECORDS);
    for (const nowMs of [0, KEEP_MS, -1e12]) {
      keeping.clock.nowMs = nowMs;
      await keeping.keeper.retain();
      assert.ok(spool.isThere(), String(nowMs));
    }
    assert.deepEqual(keeping.gaps, []);
    keeping.keeper.release();
  });
});
