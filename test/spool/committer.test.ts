import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { halve } from '../../src/event/halves.ts';
import { bodyHash, ZERO_HASH } from '../../src/event/stamp.ts';
import { createCommitter, isSpoolable, SEAL_BYTES_MAX } from '../../src/spool/committer.ts';
import type { Committer, CommitterOptions, Entry } from '../../src/spool/committer.ts';
import { LINE_BYTES_MAX } from '../../src/spool/line.ts';
import { parseHeader, parseSeal, SEGMENT_BYTES_MIN } from '../../src/spool/segment.ts';
import { createSimulatedFiles } from '../support/simulated-files.ts';
import type { SimulatedFiles } from '../support/simulated-files.ts';
import { DECISION } from '../event/sample.ts';
import { entry, IDENTITY, linesAt, recordsOf, SPOOL, STREAM } from '../support/spooled.ts';

interface Scene {
  readonly files: SimulatedFiles;
  readonly committer: Committer;
}

function scene(options: Partial<CommitterOptions> = {}, files = createSimulatedFiles()): Scene {
  const committer = createCommitter({
    files,
    directory: SPOOL,
    streamId: STREAM,
    identityOfStream: IDENTITY,
    segmentBytes: SEGMENT_BYTES_MIN,
    ...options,
  });
  return { files, committer };
}

const FIRST = `${SPOOL}/${STREAM}/00000000000000000001.log`;

function entries(count: number, bytes = 100): Entry[] {
  return Array.from({ length: count }, (_, index) => entry(`e${index}`, bytes));
}

function must(committer: Committer, batch: readonly Entry[]): void {
  const result = committer.commit(batch);
  assert.ok(result.ok, result.ok ? '' : String(result.error));
}

function refused(committer: Committer, batch: readonly Entry[], fatal: boolean): unknown {
  const before = committer.position();
  const result = committer.commit(batch);
  assert.ok(!result.ok);
  assert.equal(result.fatal, fatal, String(result.error));
  assert.equal(committer.position().sequence, before.sequence);
  assert.equal(committer.position().hash, before.hash);
  return result.error;
}

describe('a stream', () => {
  test('begins with a durable header, and its records chain from zeros', () => {
    const { files, committer } = scene();
    const result = committer.commit([{ ...halve(DECISION) }, entry('b')]);
    assert.ok(result.ok);
    assert.equal(result.first, 1);
    assert.equal(result.position.sequence, 2);
    const lines = linesAt(files, FIRST);
    assert.deepEqual(parseHeader(lines[0]?.json ?? ''), {
      stream: STREAM,
      firstSequence: 1,
      previousHash: ZERO_HASH,
      predecessor: undefined,
      ...IDENTITY,
      open: [],
    });
    const bodies = recordsOf(files, STREAM);
    assert.equal(bodies.length, 2);
    assert.match(bodies[0] ?? '', new RegExp(`"verdict.stream.previous_hash":"${ZERO_HASH}"`));
    assert.match(
      bodies[1] ?? '',
      new RegExp(`"verdict.stream.previous_hash":"${bodyHash(bodies[0] ?? '')}"`),
    );
    assert.equal(result.position.hash, bodyHash(bodies[1] ?? ''));
    assert.equal(result.position.offset, lines.at(-1)?.end);
  });

  test('names in each line what was durable before its commit', () => {
    const { files, committer } = scene();
    must(committer, entries(2));
    must(committer, entries(1));
    const [header, a, b, c] = linesAt(files, FIRST);
    assert.deepEqual(
      [header, a, b, c].map((line) => line?.durableBefore),
      [0, header?.end, header?.end, b?.end],
    );
  });

  test('syncs once a commit, after all writes and before it says so', () => {
    const { files, committer } = scene();
    const from = files.operations.length;
    must(committer, entries(50));
    assert.deepEqual(
      files.operations.slice(from).map(({ name }) => name),
      ['write', 'sync'],
    );
  });

  test('has header, name and directory durable before the first record', () => {
    const { files, committer } = scene();
    must(committer, entries(1));
    const names = files.operations.map(({ name, path }) => `${name} ${path.split('/').at(-1)}`);
    const at = (name: string): number => names.indexOf(name);
    assert.deepEqual(
      names.slice(at('create next.log')).filter((name) => !name.startsWith('list')),
      [
        'create next.log',
        'write next.log',
        'sync next.log',
        'rename next.log',
        `syncDirectory ${STREAM}`,
        'write next.log',
        'sync next.log',
      ],
    );
  });

  test('cites its predecessor, and chains from it', () => {
    const predecessor = { stream: STREAM.replace(/.$/, '0'), sequence: 7, hash: 'cd'.repeat(32) };
    const { files, committer } = scene({ predecessor, openDecisions: ['u1', 'u2'] });
    must(committer, [{ ...entry('x'), closes: 'u1' }]);
    const header = parseHeader(linesAt(files, FIRST)[0]?.json ?? '');
    assert.deepEqual(header?.predecessor, predecessor);
    assert.deepEqual(header?.open, ['u1', 'u2']);
    assert.equal(header?.previousHash, predecessor.hash);
    assert.match(recordsOf(files, STREAM)[0] ?? '', /previous_hash":"cdcd/);
    assert.deepEqual(committer.openDecisions(), ['u2']);
  });

  test('takes no batch of nothing to the disk', () => {
    const { files, committer } = scene();
    const from = files.operations.length;
    assert.deepEqual(committer.commit([]), { ok: true, position: committer.position(), first: 1 });
    assert.equal(files.operations.length, from);
  });

  test('ends with a seal, and takes nothing more', () => {
    const { files, committer } = scene();
    must(committer, entries(3));
    assert.equal(committer.close(), true);
    const seal = linesAt(files, FIRST).at(-1);
    const { sequence, hash, offset } = committer.position();
    assert.deepEqual(parseSeal(seal?.json ?? ''), { stream: STREAM, lastSequence: sequence, hash, count: 3 });
    assert.equal(offset, seal?.end);
    refused(committer, entries(1), true);
    assert.equal(committer.close(), false);
  });

  test('stays locked after its end until it is released', () => {
    const { files, committer } = scene();
    committer.close();
    const lock = `${SPOOL}/${STREAM}/lock.sqlite`;
    assert.equal(files.lock(lock), undefined);
    committer.release();
    assert.ok(files.lock(lock));
  });
});

describe('a stream that cannot begin', () => {
  const CASES: readonly [string, (files: SimulatedFiles) => void, string][] = [
    ['no room', (files) => (files.limits.freeBytes = 10), 'ENOSPC'],
    ['no handles', (files) => (files.limits.openFilesMax = 0), 'EMFILE'],
    ['a failed rename', (files) => files.fail('rename', { code: 'EIO' }), 'EIO'],
  ];
  for (const [name, spoil, code] of CASES) {
    test(`${name}: throws ${code} and leaves nothing behind`, () => {
      const files = createSimulatedFiles();
      files.makeDirectory(SPOOL);
      spoil(files);
      assert.throws(() => scene({}, files), { code });
      assert.deepEqual(files.list(SPOOL), []);
    });
  }

  test('a failed sync: throws and leaves nothing behind', () => {
    const files = createSimulatedFiles();
    files.fail('sync', { code: 'EIO' });
    assert.throws(() => scene({}, files), { name: 'SyncError' });
    assert.deepEqual(files.list(SPOOL), []);
  });

  test('a stream that is there already is not touched', () => {
    const { files, committer } = scene();
    must(committer, entries(2));
    const before = files.bytes(FIRST);
    assert.throws(() => scene({}, files), { code: 'EBUSY' });
    files.kill();
    assert.throws(() => scene({}, files), { code: 'EEXIST' });
    assert.deepEqual(files.bytes(FIRST), before);
    assert.ok(files.lock(`${SPOOL}/${STREAM}/lock.sqlite`), 'the lock is free again');
  });
});

describe('rotation', () => {
  test('seals, begins the next segment under its first sequence, and loses no record', () => {
    const { files, committer } = scene();
    for (let index = 0; index < 40; index += 1) {
      must(committer, [{ ...entry(`r${index}`, 5000), opens: `u${index}` }]);
      while (committer.prepareNext());
    }
    committer.close();
    const segments = files.list(`${SPOOL}/${STREAM}`).filter((name) => /^\d/.test(name));
    assert.ok(segments.length >= 3, segments.join(' '));
    assert.equal(recordsOf(files, STREAM).length, 40);
    for (const name of segments) {
      const path = `${SPOOL}/${STREAM}/${name}`;
      const lines = linesAt(files, path);
      const header = parseHeader(lines[0]?.json ?? '');
      const seal = parseSeal(lines.at(-1)?.json ?? '');
      assert.equal(header?.firstSequence, Number.parseInt(name, 10));
      assert.equal(header?.open.length, Number.parseInt(name, 10) - 1);
      assert.equal(seal?.count, lines.length - 2);
      assert.ok(files.bytes(path).length <= SEGMENT_BYTES_MIN);
    }
  });

  test('a batch larger than a segment is kept whole, in a segment of its own', () => {
    const { files, committer } = scene();
    must(committer, entries(1));
    must(committer, entries(30, 5000));
    must(committer, entries(1));
    const segments = files.list(`${SPOOL}/${STREAM}`).filter((name) => /^\d/.test(name));
    assert.deepEqual(
      segments.map((name) => Number.parseInt(name, 10)),
      [1, 2, 32],
    );
    assert.equal(recordsOf(files, STREAM).length, 32);
  });

  test('a segment without records is never full, whatever comes', () => {
    const { files, committer } = scene();
    must(committer, entries(30, 5000));
    committer.close();
    assert.equal(committer.position().segment, 1);
    assert.equal(files.operations.filter(({ name }) => name === 'rename').length, 1);
    assert.equal(recordsOf(files, STREAM).length, 30);
  });

  test('a batch that fits to the byte stays, one byte more begins a segment', () => {
    for (const more of [0, 1]) {
      const { files, committer } = scene();
      must(committer, entries(1, 1000));
      const { offset } = committer.position();
      must(committer, entries(1));
      const line = committer.position().offset - offset;
      const left = SEGMENT_BYTES_MIN - SEAL_BYTES_MAX - committer.position().offset;
      must(committer, entries(1, 100 + left - line + more));
      const names = files.list(`${SPOOL}/${STREAM}`).filter((name) => /^\d/.test(name));
      assert.equal(names.length, 1 + more);
    }
  });

  test('an open list is held to its limit, the oldest go', () => {
    const { files, committer } = scene();
    const many = Array.from({ length: 10_001 }, (_, index) => ({ ...entry('x', 1), opens: `u${index}` }));
    must(committer, many);
    must(committer, entries(1));
    const name = files.list(`${SPOOL}/${STREAM}`).findLast((each) => /^\d/.test(each));
    const header = parseHeader(linesAt(files, `${SPOOL}/${STREAM}/${name}`)[0]?.json ?? '');
    assert.equal(header?.open.length, 10_000);
    assert.equal(header?.open[0], 'u1');
  });
});

describe('a record that is no line', () => {
  const CASES: readonly [string, Entry][] = [
    ['a line end', { head: '{"a":"\n",', tail: '}' }],
    ['a tab', { head: '{', tail: ',"z":"\t"}' }],
    ['too many bytes', { head: `{"a":"${'é'.repeat(LINE_BYTES_MAX / 2)}",`, tail: '}' }],
  ];
  for (const [name, bad] of CASES) {
    test(`${name}: refused with its batch before anything is written; the stream goes on`, () => {
      const { files, committer } = scene();
      assert.ok(!isSpoolable(bad));
      const from = files.operations.length;
      assert.ok(refused(committer, [entry('a'), bad], false) instanceof RangeError);
      assert.equal(files.operations.length, from);
      must(committer, [entry('a')]);
    });
  }

  test('the largest that is spoolable is committed', () => {
    const { committer } = scene();
    const largest = { head: `{"a":"${'x'.repeat(LINE_BYTES_MAX - 512 - 9)}",`, tail: '}' };
    assert.ok(isSpoolable(largest));
    assert.ok(!isSpoolable({ ...largest, tail: '}}' }));
    must(committer, [largest]);
  });
});
