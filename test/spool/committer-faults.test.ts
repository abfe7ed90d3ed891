/** What becomes of a stream when the disk fails: nothing counts that is not durable, and nothing durable is lost. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createCommitter } from '../../src/spool/committer.ts';
import type { Committer, Entry } from '../../src/spool/committer.ts';
import { SEGMENT_BYTES_MIN } from '../../src/spool/segment.ts';
import { createSimulatedFiles, seededRandom } from '../support/simulated-files.ts';
import type { SimulatedFiles } from '../support/simulated-files.ts';
import { entry, IDENTITY, linesAt, recordsOf, SPOOL, STREAM, uidOf } from '../support/spooled.ts';

const DIRECTORY = `${SPOOL}/${STREAM}`;
const FIRST = `${DIRECTORY}/00000000000000000001.log`;
const SECOND_STREAM = STREAM.replace(/.$/, 'b');

function begin(files: SimulatedFiles, streamId = STREAM): Committer {
  return createCommitter({
    files,
    directory: SPOOL,
    streamId,
    identityOfStream: IDENTITY,
    segmentBytes: SEGMENT_BYTES_MIN,
  });
}

/** A stream with one durable record. */
function scene(): { files: SimulatedFiles; committer: Committer } {
  const files = createSimulatedFiles();
  const committer = begin(files);
  assert.ok(committer.commit([entry('kept')]).ok);
  return { files, committer };
}

function refused(committer: Committer, batch: readonly Entry[], fatal: boolean): void {
  const before = committer.position();
  const result = committer.commit(batch);
  assert.ok(!result.ok);
  assert.equal(result.fatal, fatal, String(result.error));
  assert.equal(committer.position().sequence, before.sequence);
  assert.equal(committer.position().hash, before.hash);
}

/** The uids on the disk, in order. */
function uids(files: SimulatedFiles): string[] {
  return recordsOf(files, STREAM).map(uidOf);
}

/** Batches that leave no room for `bytes` more in the first segment. */
function fillUp(committer: Committer, bytes: number): number {
  let count = 0;
  while (committer.position().offset + bytes + 600 < SEGMENT_BYTES_MIN) {
    assert.ok(committer.commit([entry(`f${count}`, 2000)]).ok);
    count += 1;
  }
  return count;
}

describe('no room', () => {
  for (const [code, limit] of [
    ['ENOSPC', (files: SimulatedFiles, bytes: number) => (files.limits.freeBytes = bytes)],
    ['EFBIG', (files, bytes) => (files.limits.fileBytesMax = files.bytes(FIRST).length + bytes)],
  ] as const satisfies readonly [string, (files: SimulatedFiles, bytes: number) => void][]) {
    for (const room of [0, 1, 250, 600]) {
      test(`${code} after ${room} bytes: refused, wiped, and the stream goes on when there is room`, () => {
        const { files, committer } = scene();
        const { offset } = committer.position();
        limit(files, room);
        refused(committer, [entry('lost1'), entry('lost2'), entry('lost3')], false);
        assert.ok(
          files
            .bytes(FIRST)
            .subarray(offset)
            .every((byte) => byte === 0),
        );
        Object.assign(files.limits, { freeBytes: undefined, fileBytesMax: undefined });
        assert.ok(committer.commit([entry('next')]).ok);
        assert.deepEqual(uids(files), ['kept', 'next']);
      });
    }
  }

  for (const code of ['EDQUOT', 'EMFILE', 'ENFILE']) {
    test(`${code} ends no stream`, () => {
      const { files, committer } = scene();
      files.fail('write', { code });
      refused(committer, [entry('lost')], false);
      assert.ok(committer.commit([entry('next')]).ok);
      assert.deepEqual(uids(files), ['kept', 'next']);
    });
  }

  test('what could not be wiped at once is wiped before the next sync, in that commit', () => {
    const { files, committer } = scene();
    files.limits.freeBytes = 600;
    files.fail('write', { code: 'ENOSPC', nth: 3 });
    refused(committer, [entry('lost1', 400), entry('lost2', 400)], false);
    const { offset } = committer.position();
    assert.ok(
      files
        .bytes(FIRST)
        .subarray(offset)
        .some((byte) => byte !== 0),
      'there is something to wipe',
    );
    assert.ok(committer.commit([entry('next', 1)]).ok);
    assert.deepEqual(uids(files), ['kept', 'next']);
    const after = files.crash(seededRandom(1));
    assert.deepEqual(recordsOf(after, STREAM).map(uidOf), ['kept', 'next']);
  });

  test('an old line that stood whole behind a shorter new one is never read', () => {
    const { files, committer } = scene();
    // As long as `lost1`, so that `lost2` would stand right behind it, whole and with a right CRC.
    files.fail('write', { code: 'ENOSPC', nth: 2 });
    files.fail('write', { code: 'ENOSPC', nth: 3 });
    files.limits.writeBytesMax = 900;
    refused(committer, [entry('lost1'), entry('lost2'), entry('lost3', 900)], false);
    files.limits.writeBytesMax = undefined;
    assert.match(files.bytes(FIRST).toString(), /lost2.*\t[0-9a-f]{8}\n/);
    assert.ok(committer.commit([entry('next1')]).ok);
    assert.deepEqual(uids(files), ['kept', 'next1']);
    assert.doesNotMatch(files.bytes(FIRST).toString(), /lost/);
  });

  test('for the next segment: the old one is sealed, the rest waits for room', () => {
    const { files, committer } = scene();
    const count = fillUp(committer, 3000);
    files.limits.freeBytes = 400;
    const { offset } = committer.position();
    refused(committer, [entry('lost', 3000)], false);
    assert.ok(committer.position().offset > offset, 'the seal counts');
    refused(committer, [entry('lost', 3000)], false);
    files.limits.freeBytes = undefined;
    assert.ok(committer.commit([entry('next', 3000)]).ok);
    assert.equal(uids(files).length, count + 2);
    assert.equal(committer.position().segment, count + 2);
  });

  test('for the seal: nothing changes, a smaller batch still fits', () => {
    const { files, committer } = scene();
    fillUp(committer, 3000);
    files.limits.freeBytes = 0;
    refused(committer, [entry('lost', 3000)], false);
    files.limits.freeBytes = undefined;
    assert.ok(committer.commit([entry('next', 1)]).ok);
    assert.equal(committer.position().segment, 1);
    assert.equal(uids(files).at(-1), 'next');
  });

  test('for the name of the next segment: its header is written again when there is', () => {
    const { files, committer } = scene();
    const count = fillUp(committer, 3000);
    files.fail('rename', { code: 'ENOSPC' });
    refused(committer, [entry('lost', 3000)], false);
    assert.ok(committer.commit([entry('next', 3000)]).ok);
    assert.equal(uids(files).length, count + 2);
    assert.equal(linesAt(files, `${DIRECTORY}/${String(count + 2).padStart(20, '0')}.log`).length, 2);
  });

  test('a prepared segment takes records on a full disk', () => {
    const { files, committer } = scene();
    fillUp(committer, 3000);
    while (committer.prepareNext());
    files.limits.freeBytes = 0;
    assert.ok(committer.commit([entry('next', 3000)]).ok);
  });
});

describe('short writes', () => {
  test('of any size lose nothing', () => {
    for (const writeBytesMax of [1, 7, 511, 4096]) {
      const { files, committer } = scene();
      files.limits.writeBytesMax = writeBytesMax;
      assert.ok(committer.commit([entry('a'), entry('b')]).ok);
      assert.deepEqual(uids(files), ['kept', 'a', 'b']);
    }
  });
});

describe('a stream is over', () => {
  const CASES: readonly [name: string, spoil: (files: SimulatedFiles) => void][] = [
    ['a failed sync', (files) => files.fail('sync', { code: 'EIO' })],
    ['a sync that says ENOSPC', (files) => files.fail('sync', { code: 'ENOSPC' })],
    ['a failed write', (files) => files.fail('write', { code: 'EIO' })],
    ['a disk that became read-only', (files) => (files.limits.readOnly = true)],
    ['a segment unlinked from outside', (files) => files.unlink(FIRST)],
    ['a segment replaced from outside', (files) => files.plant(FIRST, files.bytes(FIRST))],
  ];
  for (const [name, spoil] of CASES) {
    test(`after ${name}: nothing more is written to it, whatever is asked`, () => {
      const { files, committer } = scene();
      spoil(files);
      const { sequence, hash } = committer.position();
      refused(committer, [entry('lost')], true);
      const from = files.operations.length;
      refused(committer, [entry('lost')], true);
      assert.equal(committer.prepareNext(), false);
      assert.equal(committer.close(), false);
      const touched = files.operations.slice(from).filter(({ path }) => path === FIRST);
      assert.deepEqual(touched, []);
      assert.deepEqual([committer.position().sequence, committer.position().hash], [sequence, hash]);
      assert.equal(files.lock(`${DIRECTORY}/lock.sqlite`), undefined, 'it stays ours');
    });
  }

  const ROTATING: readonly [name: string, spoil: (files: SimulatedFiles) => void][] = [
    ['the sync of a seal', (files) => files.fail('sync', { code: 'EIO' })],
    ['the sync of a header', (files) => files.fail('sync', { code: 'EIO', nth: 2 })],
    ['the rename of a segment', (files) => files.fail('rename', { code: 'EIO' })],
    ['the sync of its directory', (files) => files.fail('syncDirectory', { code: 'EIO' })],
    ['the sync of its directory, for room', (files) => files.fail('syncDirectory', { code: 'ENOSPC' })],
    ['the sync of its first records', (files) => files.fail('sync', { code: 'EIO', nth: 3 })],
  ];
  for (const [name, spoil] of ROTATING) {
    test(`after a failure of ${name}, and all before it stays`, () => {
      const { files, committer } = scene();
      const count = fillUp(committer, 3000);
      const durable = files.bytes(FIRST).subarray(0, committer.position().offset);
      spoil(files);
      refused(committer, [entry('lost', 3000)], true);
      assert.equal(committer.position().sequence, count + 1);
      for (let seed = 0; seed < 8; seed += 1) {
        const kept = files.crash(seededRandom(seed)).bytes(FIRST);
        assert.ok(kept.subarray(0, durable.length).equals(durable), `seed ${seed}`);
      }
    });
  }

  test('its successor cites where it was durable, and is chained to it', () => {
    const { files, committer } = scene();
    files.fail('sync', { code: 'EIO' });
    refused(committer, [entry('lost')], true);
    const { stream, sequence, hash } = committer.position();
    const successor = createCommitter({
      files,
      directory: SPOOL,
      streamId: SECOND_STREAM,
      identityOfStream: IDENTITY,
      predecessor: { stream, sequence, hash },
      openDecisions: committer.openDecisions(),
    });
    assert.equal(successor.position().hash, hash);
    assert.ok(successor.commit([entry('lost')]).ok);
    assert.match(recordsOf(files, SECOND_STREAM)[0] ?? '', new RegExp(`previous_hash":"${hash}"`));
  });
});

describe('preallocation', () => {
  test('fills ahead in slices that are synced, and never over a record', () => {
    const { files, committer } = scene();
    while (committer.prepareNext());
    const size = files.bytes(FIRST).length;
    assert.equal(size, SEGMENT_BYTES_MIN);
    const from = files.operations.length;
    assert.ok(committer.commit([entry('next')]).ok);
    assert.equal(files.bytes(FIRST).length, size, 'the file does not grow');
    assert.equal(committer.prepareNext(), false);
    assert.equal(files.operations.length, from + 2);
    assert.deepEqual(uids(files), ['kept', 'next']);
  });

  test('prepares the next segment when the present one is half full, and gives it back at the end', () => {
    const { files, committer } = scene();
    while (committer.prepareNext());
    assert.ok(!files.list(DIRECTORY).includes('next.log'));
    fillUp(committer, 3000);
    while (committer.prepareNext());
    assert.equal(files.bytes(`${DIRECTORY}/next.log`).length, SEGMENT_BYTES_MIN);
    assert.ok(files.bytes(`${DIRECTORY}/next.log`).every((byte) => byte === 0));
    committer.close();
    assert.ok(!files.list(DIRECTORY).includes('next.log'));
  });

  test('a full disk makes it stop, not the stream', () => {
    const { files, committer } = scene();
    files.limits.freeBytes = 1000;
    assert.equal(committer.prepareNext(), false);
    assert.ok(committer.commit([entry('next')]).ok);
    assert.deepEqual(uids(files), ['kept', 'next']);
  });

  test('a failed sync of the present segment ends the stream, there too', () => {
    const { files, committer } = scene();
    files.fail('sync', { code: 'EIO' });
    assert.equal(committer.prepareNext(), false);
    refused(committer, [entry('lost')], true);
  });

  test('a next segment whose sync failed is never used', () => {
    const { files, committer } = scene();
    while (committer.prepareNext());
    fillUp(committer, 3000);
    files.fail('sync', { code: 'EIO', path: 'next.log' });
    assert.equal(committer.prepareNext(), false);
    assert.ok(!files.list(DIRECTORY).includes('next.log'));
    assert.ok(committer.commit([entry('next', 3000)]).ok);
    assert.equal(uids(files).at(-1), 'next');
  });

  test('what someone else puts in its place is not used', () => {
    const { files, committer } = scene();
    fillUp(committer, 3000);
    files.plant(`${DIRECTORY}/next.log`, Buffer.from('{"forged":1}\n'));
    assert.ok(committer.commit([entry('next', 3000)]).ok);
    assert.equal(uids(files).at(-1), 'next');
  });
});
