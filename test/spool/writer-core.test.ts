import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readCatalogue } from '../../src/spool/catalogue.ts';
import { parseHeader, SEGMENT_BYTES_MIN } from '../../src/spool/segment.ts';
import { BEGIN_RETRY_MS, createWriterCore, type WriterCore } from '../../src/spool/writer-core.ts';
import type { FromWriter } from '../../src/spool/writer-message.ts';
import { createSimulatedFiles, type SimulatedFiles } from '../support/simulated-files.ts';
import { readOut } from '../support/spool-image.ts';
import { entry, IDENTITY, linesAt, recordsOf, SPOOL, uidOf } from '../support/spooled.ts';

interface Scene {
  readonly files: SimulatedFiles;
  readonly core: WriterCore;
  readonly said: FromWriter[];
  readonly clock: { nowMs: number };
  /** Commits one record and gives what was said of it, in short. */
  commit(uid: string): string[];
}

const streamOf = (number: number): string => `019aaaaa-0000-7000-8000-00000000000${number}`;

function scene(files = createSimulatedFiles(), taken: readonly string[] = []): Scene {
  const said: FromWriter[] = [];
  const clock = { nowMs: 0 };
  const ids = [...taken, ...Array.from({ length: 9 }, (_, index) => streamOf(index + 1))];
  const core = createWriterCore({
    files,
    directory: SPOOL,
    identity: IDENTITY,
    segmentBytes: SEGMENT_BYTES_MIN,
    newStreamId: () => ids.shift() ?? assert.fail('too many streams'),
    nowMs: () => clock.nowMs,
    post: (message) => said.push(message),
  });
  return {
    files,
    core,
    said,
    clock,
    commit(uid) {
      const before = said.length;
      core.commit([{ ...entry(uid), opens: uid }]);
      return said.slice(before).map(short);
    },
  };
}

function short(message: FromWriter): string {
  switch (message.kind) {
    case 'committed':
      return `committed ${message.position.stream.at(-1)}:${message.position.sequence}`;
    case 'succeeded':
      return `succeeded ${message.end.stream.at(-1)}:${message.end.sequence} by ${message.next.position.stream.at(-1)}`;
    case 'stopped':
      return `stopped ${message.end.stream.at(-1)}:${message.end.sequence} ${message.sealed}`;
    default:
      return message.kind;
  }
}

function uids(files: SimulatedFiles): string[] {
  const { streams, citations } = readCatalogue(files, SPOOL);
  return streams.flatMap(({ stream }) =>
    [...readOut(files, { stream, citations }).bodies.values()].map(uidOf),
  );
}

describe('the writer', () => {
  test('answers each commit, and seals at the end', () => {
    const { files, core, commit, said } = scene();
    assert.deepEqual(commit('a'), ['committed 1:1']);
    assert.deepEqual(commit('b'), ['committed 1:2']);
    core.stop();
    assert.equal(short(said.at(-1) ?? assert.fail()), 'stopped 1:2 true');
    assert.deepEqual(recordsOf(files, streamOf(1)).map(uidOf), ['a', 'b']);
  });

  test('refuses on a full disk, stays in its stream, and goes on by itself', () => {
    const { files, commit } = scene();
    commit('a');
    files.limits.freeBytes = 0;
    assert.deepEqual(commit('b'), ['refused']);
    files.mend();
    assert.deepEqual(commit('c'), ['committed 1:2']);
    assert.deepEqual(uids(files), ['a', 'c']);
  });

  test('after a failed sync goes on in a stream that cites the end, and commits what waits there', () => {
    const { files, commit, said } = scene();
    commit('a');
    files.fail('sync', { code: 'EIO' });
    assert.deepEqual(commit('b'), ['succeeded 1:1 by 2', 'committed 2:1']);
    assert.deepEqual(uids(files), ['a', 'b'], 'what lies behind the citation is void');
    const [header] = linesAt(files, `${SPOOL}/${streamOf(2)}/00000000000000000001.log`);
    const { predecessor, open } = parseHeader(header?.json ?? '') ?? assert.fail();
    const succeeded = said.find((message) => message.kind === 'succeeded') ?? assert.fail();
    assert.deepEqual(predecessor, succeeded.end);
    assert.deepEqual(open, ['a'], 'the calls that were under way go over');
  });

  test('what cannot be committed in the successor either is refused once, and void', () => {
    const { files, commit } = scene();
    commit('a');
    // The third sync from here is the one of the records in the new stream: its header took the second.
    files.fail('sync', { code: 'EIO' });
    files.fail('sync', { code: 'EIO', nth: 3 });
    assert.deepEqual(commit('b'), ['succeeded 1:1 by 2', 'refused']);
    assert.deepEqual(commit('c'), ['succeeded 2:0 by 3', 'committed 3:1']);
    assert.deepEqual(uids(files), ['a', 'c']);
  });

  test(`on a disk that takes no stream tries again after ${BEGIN_RETRY_MS} ms, and leaves nothing behind`, () => {
    const { files, commit, clock } = scene();
    commit('a');
    files.fail('sync', { code: 'EIO', always: true });
    assert.deepEqual(commit('b'), ['refused']);
    const operations = files.operations.length;
    for (let count = 0; count < 100; count += 1) assert.deepEqual(commit(`n${count}`), ['refused']);
    assert.equal(files.operations.length, operations, 'no call costs a new directory');
    clock.nowMs += BEGIN_RETRY_MS;
    assert.deepEqual(commit('c'), ['refused']);
    assert.equal(readCatalogue(files, SPOOL).streams.length, 1);
    files.mend();
    assert.deepEqual(commit('d'), ['refused']);
    clock.nowMs += BEGIN_RETRY_MS;
    const [succeeded, committed] = commit('e');
    assert.match(succeeded ?? '', /^succeeded 1:1 by /);
    assert.match(committed ?? '', /^committed .:1$/);
    assert.deepEqual(uids(files), ['a', 'e']);
  });

  test('a segment that is unlinked or replaced from outside ends its stream', () => {
    for (const replaced of [false, true]) {
      const { files, commit } = scene();
      commit('a');
      const path = `${SPOOL}/${streamOf(1)}/00000000000000000001.log`;
      const bytes = Buffer.from(files.bytes(path));
      files.unlink(path);
      if (replaced) files.plant(path, bytes);
      assert.deepEqual(commit('b'), ['succeeded 1:1 by 2', 'committed 2:1']);
      assert.deepEqual(uids(files), replaced ? ['a', 'b'] : ['b']);
    }
  });

  test('a stream id that is taken is not used', () => {
    const files = createSimulatedFiles();
    const first = scene(files);
    first.commit('a');
    const second = scene(files, [streamOf(1), streamOf(1), streamOf(7)]);
    assert.deepEqual(second.commit('b'), ['committed 7:1']);
    assert.throws(() => scene(files, [streamOf(1), streamOf(1), streamOf(1)]), { code: 'EBUSY' });
  });

  test('cannot begin where the disk takes nothing, and says why', () => {
    const files = createSimulatedFiles();
    files.limits.readOnly = true;
    assert.throws(() => scene(files), { code: 'EROFS' });
  });

  test('stops without a stream where it says how far it came', () => {
    const { files, core, commit, said } = scene();
    commit('a');
    files.fail('sync', { code: 'EIO', always: true });
    commit('b');
    core.stop();
    assert.equal(short(said.at(-1) ?? assert.fail()), 'stopped 1:1 false');
  });

  test('fills ahead between commits, until there is nothing to do', () => {
    const { core } = scene();
    let slices = 0;
    while (core.idle()) slices += 1;
    assert.ok(slices > 0 && slices < 100);
  });
});
