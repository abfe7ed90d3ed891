import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createCommitter } from '../../src/spool/committer.ts';
import type { Committer } from '../../src/spool/committer.ts';
import type { SpoolFiles } from '../../src/spool/files.ts';
import type { CursorPosition, Damage } from '../../src/spool/position.ts';
import { openStreamReader } from '../../src/spool/reader.ts';
import type { PositionedReader, ReaderOptions } from '../../src/spool/reader.ts';
import { SEGMENT_BYTES_MIN } from '../../src/spool/segment.ts';
import { createSimulatedFiles } from '../support/simulated-files.ts';
import type { SimulatedFiles } from '../support/simulated-files.ts';
import { imageFiles, makeStream, pathOf, readOut } from '../support/spool-image.ts';
import { entry, IDENTITY, SPOOL, STREAM, uidOf } from '../support/spooled.ts';

interface Scene {
  readonly files: SimulatedFiles;
  readonly committer: Committer;
  /** Commits records of some 8 KiB: seven fill a segment. */
  readonly commit: (...uids: readonly string[]) => void;
  readonly read: (options?: Partial<ReaderOptions>) => PositionedReader;
}

function scene(): Scene {
  const files = createSimulatedFiles();
  const committer = createCommitter({
    files,
    directory: SPOOL,
    streamId: STREAM,
    identityOfStream: IDENTITY,
    segmentBytes: SEGMENT_BYTES_MIN,
  });
  return {
    files,
    committer,
    commit(...uids) {
      const result = committer.commit(uids.map((uid) => entry(uid, 8192)));
      assert.ok(result.ok, result.ok ? '' : String(result.error));
      while (committer.prepareNext()) continue;
    },
    read: (options) =>
      openStreamReader({ ...reading(files), durable: () => committer.position(), ...options }),
  };
}

function reading(files: SpoolFiles): Omit<ReaderOptions, 'durable'> {
  return { files, directory: `${SPOOL}/${STREAM}`, stream: STREAM, from: undefined };
}

/** Uids of all that can be read now; fails on damage. */
function drain(reader: PositionedReader, recordsMax = 3): string[] {
  const uids: string[] = [];
  for (;;) {
    const { records, damages } = reader.next(recordsMax, 1 << 30);
    assert.deepEqual(damages, []);
    if (records.length === 0) return uids;
    uids.push(...records.map(({ body }) => uidOf(body)));
  }
}

function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => `r${from + index}`);
}

describe('a reader', () => {
  test('follows a living stream, over segments, as it grows', () => {
    const { commit, read, committer } = scene();
    const reader = read();
    assert.deepEqual(drain(reader), []);
    for (let at = 1; at <= 40; at += 1) {
      commit(`r${at}`);
      if (at % 3 === 0) assert.deepEqual(drain(reader), numbered(at - 2, at));
    }
    assert.deepEqual(drain(reader), ['r40']);
    assert.ok(committer.position().segment > 20);
    assert.equal(reader.ended(), false);
  });

  test('hands out nothing behind what is durable', () => {
    const { commit, read, committer } = scene();
    commit('r1', 'r2');
    const durable = committer.position();
    commit('r3', 'r4');
    assert.deepEqual(drain(read({ durable: () => durable })), ['r1', 'r2']);
  });

  test('keeps to the number of records and bytes asked for, but hands out one at least', () => {
    const { commit, read } = scene();
    commit(...numbered(1, 7));
    const reader = read();
    assert.equal(reader.next(2, 1 << 30).records.length, 2);
    assert.equal(reader.next(100, 1).records.length, 1);
    assert.equal(reader.next(100, 2.5 * 8600).records.length, 2);
    assert.equal(reader.next(100, 1 << 30).records.length, 2);
  });

  test('goes on from any of its records', () => {
    const { commit, read } = scene();
    for (let at = 1; at <= 20; at += 2) commit(`r${at}`, `r${at + 1}`);
    const reader = read();
    for (let at = 1; at <= 20; at += 1) {
      const [record] = reader.next(1, 1).records;
      assert.ok(record);
      const from = { sequence: record.sequence, segment: record.segment, offset: record.end };
      assert.deepEqual(reader.position(), from);
      assert.deepEqual(drain(read({ from })), numbered(at + 1, 20));
    }
  });

  test('goes on when retention has removed the segments behind its cursor, and starts at the oldest kept', () => {
    const { files, commit, read } = scene();
    for (let at = 1; at <= 20; at += 1) commit(`r${at}`);
    const reader = read();
    const [last] = reader.next(10, 1 << 30).records.slice(-1);
    assert.ok(last);
    const firsts = files.list(`${SPOOL}/${STREAM}`).filter((name) => /^\d/.test(name));
    const kept = firsts.findLastIndex((name) => Number.parseInt(name, 10) <= last.sequence);
    for (const name of firsts.slice(0, kept)) files.unlink(`${SPOOL}/${STREAM}/${name}`);
    assert.deepEqual(drain(reader), numbered(11, 20));
    const from: CursorPosition = { sequence: last.sequence, segment: last.segment, offset: last.end };
    assert.deepEqual(drain(read({ from })), numbered(11, 20));
    assert.deepEqual(drain(read()), numbered(Number.parseInt(firsts[kept] ?? '', 10), 20));
  });

  test('names what retention has freed before it as damage only where it does not know of it', () => {
    const { image, records } = makeStream({ segments: [[2], [2], [2]], sealed: true });
    image.delete(pathOf(1));
    const end = { stream: STREAM, sequence: 6, hash: records[5]?.hash ?? '' };
    const durable = () => ({ ...end, segment: 5, offset: records[5]?.end ?? 0 });
    const from = { sequence: 1, segment: 1, offset: records[0]?.end ?? 0 };
    const damages = (keptFrom: (() => number) | undefined): readonly Damage[] =>
      openStreamReader({ ...reading(imageFiles(image)), from, durable, end, keptFrom }).next(9, 9999).damages;
    assert.equal(damages(undefined).length, 1);
    assert.deepEqual(
      damages(() => 3),
      [],
    );
  });

  test('has ended only when the end is known and all before it was handed out', () => {
    const { commit, committer, read } = scene();
    commit('r1', 'r2');
    assert.ok(committer.close());
    const { stream, sequence, hash } = committer.position();
    const living = read();
    assert.deepEqual(drain(living), ['r1', 'r2']);
    assert.equal(living.ended(), false);
    const reader = read({ end: { stream, sequence, hash } });
    assert.equal(reader.ended(), false);
    assert.equal(reader.next(1, 1).records.length, 1);
    assert.equal(reader.ended(), false);
    assert.deepEqual(drain(reader), ['r2']);
    assert.equal(reader.ended(), true);
  });

  test('says where it is behind damage that no record follows, so that the stream can be done with', () => {
    const { image, records } = makeStream({ segments: [[3]], sealed: true });
    const last = records[2];
    assert.ok(last);
    image.get(pathOf(1))?.fill(0x20, last.offset, last.end - 1);
    const out = readOut(imageFiles(image));
    assert.deepEqual(out.order, [1, 2]);
    const end = out.recovered.end;
    assert.equal(end.sequence, 3);
    const durable = () => ({ ...end, segment: 1, offset: out.recovered.segments[0]?.bytes ?? 0 });
    const reader = openStreamReader({ ...reading(imageFiles(image)), durable, end });
    const damages = [...reader.next(2, 1 << 20).damages, ...reader.next(9, 1 << 20).damages];
    assert.deepEqual(damages, [{ stream: STREAM, from: 3, to: 3, lastHash: records[1]?.hash }]);
    assert.equal(reader.position()?.sequence, 3);
    assert.ok(reader.ended());
  });

  test('reads a line of any length that a line may have', () => {
    const { files, committer, read } = scene();
    const sizes = [10, 300_000, 1_000_000, 5, 262_144 - 300, 900_000];
    for (const [index, size] of sizes.entries())
      assert.ok(committer.commit([entry(`r${index + 1}`, size)]).ok);
    assert.deepEqual(drain(read()), numbered(1, sizes.length));
    assert.ok(files.paths().length > 3);
  });
});
