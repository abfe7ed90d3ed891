import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { halve } from '../../src/event/halves.ts';
import { adoptStreams } from '../../src/spool/adoption.ts';
import { readCatalogue } from '../../src/spool/catalogue.ts';
import { createCommitter } from '../../src/spool/committer.ts';
import type { Committer, CommitterOptions, Entry } from '../../src/spool/committer.ts';
import { writeMark } from '../../src/spool/mark.ts';
import type { Citation } from '../../src/spool/position.ts';
import { recoveredPosition, recoverStream } from '../../src/spool/recovery.ts';
import { SEGMENT_BYTES_MIN } from '../../src/spool/segment.ts';
import { DECISION, OUTCOME } from '../event/sample.ts';
import { createSimulatedFiles, seededRandom } from '../support/simulated-files.ts';
import type { SimulatedFiles } from '../support/simulated-files.ts';
import { runs } from '../support/runs.ts';
import { imageFiles, makeStream, pathOf, readOut } from '../support/spool-image.ts';
import type { Image } from '../support/spool-image.ts';
import { entry, IDENTITY, SPOOL, uidOf } from '../support/spooled.ts';

const A = '019aaaaa-0000-7000-8000-00000000000a';
const B = '019bbbbb-0000-7000-8000-00000000000b';
const C = '019ccccc-0000-7000-8000-00000000000c';

/** Different remains of the disk after a power cut. */
const CRASHES = Math.min(runs(3), 100);

function open(files: SimulatedFiles, streamId: string, rest: Partial<CommitterOptions> = {}): Committer {
  const identityOfStream = IDENTITY;
  const options = { files, directory: SPOOL, streamId, identityOfStream, segmentBytes: SEGMENT_BYTES_MIN };
  return createCommitter({ ...options, ...rest });
}

function adopt(files: SimulatedFiles, own: readonly string[] = []) {
  return adoptStreams({ files, directory: SPOOL, own });
}

function uids(files: SimulatedFiles, stream: string): string[] {
  const { citations } = readCatalogue(files, SPOOL);
  return [...readOut(files, { stream, citations }).bodies.values()].map(uidOf);
}

describe('adoption', () => {
  test('takes what is dead, oldest first, and leaves what lives and what is ours', () => {
    const files = createSimulatedFiles();
    for (const id of [B, A]) assert.ok(open(files, id).commit([entry(`of ${id}`)]).ok);
    files.kill();
    open(files, C);
    const { adopted, busy, failed, gaps } = adopt(files, [B]);
    assert.deepEqual(
      adopted.map(({ stream, end }) => `${stream} ${end.sequence}`),
      [`${A} 1`],
    );
    assert.deepEqual(busy, [C]);
    assert.deepEqual([...failed, ...gaps], []);
    assert.deepEqual(adopt(files).busy, [A, C]);
    assert.deepEqual(
      adopt(files).adopted.map(({ stream }) => stream),
      [],
    );
  });

  test('syncs the tail before it reads it, and gives up a stream whose tail cannot be synced', () => {
    const files = createSimulatedFiles();
    open(files, A).commit([entry('a')]);
    files.kill();
    files.fail('sync', { code: 'EIO' });
    assert.deepEqual(
      adopt(files).failed.map(({ stream }) => stream),
      [A],
    );
    const before = files.operations.length;
    assert.equal(adopt(files).adopted.length, 1);
    const steps = files.operations.slice(before).map(({ name }) => name);
    const synced = steps.indexOf('syncDirectory');
    assert.ok(steps.indexOf('sync') < synced && synced < steps.lastIndexOf('read'));
  });

  test('writes nothing', () => {
    const files = createSimulatedFiles();
    open(files, A).commit([entry('a')]);
    files.kill();
    const before = files.operations.length;
    adopt(files);
    const names = new Set(files.operations.slice(before).map(({ name }) => name));
    for (const name of ['write', 'create', 'rename', 'unlink'] as const) assert.ok(!names.has(name), name);
  });

  test('hands back the calls of which no outcome is known, with their trace where a record has it', () => {
    const files = createSimulatedFiles();
    const allowed = (uid: string): Entry => {
      const attributes = {
        ...DECISION.attributes,
        'verdict.decision.effect': 'allow',
        'log.record.uid': uid,
      };
      return { ...halve({ ...DECISION, attributes }), opens: uid };
    };
    const outcome = (uid: string): Entry => ({
      ...halve({ ...OUTCOME, attributes: { ...OUTCOME.attributes, 'verdict.decision.uid': uid } }),
      closes: uid,
    });
    const committer = open(files, A);
    committer.commit([allowed('u1'), allowed('u2'), allowed('u3'), outcome('u2'), halve(DECISION)]);
    for (let at = 0; at < 10; at += 1) committer.commit([entry(`e${at}`, 8192)]);
    committer.commit([allowed('u4'), allowed('u5'), outcome('u1'), outcome('u4')]);
    assert.ok(committer.position().segment > 1);
    assert.deepEqual(committer.openDecisions(), ['u3', 'u5']);
    files.kill();
    const { traceId, spanId } = DECISION.trace ?? assert.fail();
    assert.deepEqual(adopt(files).unknownOutcomes, [
      { decisionUid: 'u3' },
      { decisionUid: 'u5', traceId, spanId },
    ]);
    // The header that named the older ones is lost: the records before it say it too.
    const last = files.paths().findLast((path) => /\d\.log$/.test(path)) ?? '';
    const bytes = Buffer.from(files.bytes(last));
    bytes[5] = 0x58;
    files.unlink(last);
    files.plant(last, bytes);
    const uncertain = recoverStream(files, SPOOL, A, []).openDecisions;
    assert.deepEqual(
      uncertain.map(({ decisionUid }) => decisionUid),
      ['u3', 'u5'],
    );
  });

  test('a call has one outcome, though the stream that decided it could be read only after the one that has it', () => {
    const files = createSimulatedFiles();
    const attributes = {
      ...DECISION.attributes,
      'verdict.decision.effect': 'allow',
      'log.record.uid': 'u1',
    };
    const first = open(files, A);
    first.commit([{ ...halve({ ...DECISION, attributes }), opens: 'u1' }]);
    const { stream, sequence, hash } = first.position();
    const second = open(files, B, {
      predecessor: { stream, sequence, hash },
      openDecisions: first.openDecisions(),
    });
    const done = { ...OUTCOME.attributes, 'verdict.decision.uid': 'u1' };
    second.commit([{ ...halve({ ...OUTCOME, attributes: done }), closes: 'u1' }]);
    files.kill();
    files.fail('open', { code: 'EIO', path: `${A}/00000000000000000001.log`, always: true });
    const [early = assert.fail()] = adopt(files).adopted;
    assert.equal(early.stream, B);
    const position = recoveredPosition(early) ?? assert.fail();
    writeMark(files, `${SPOOL}/${B}`, { end: early.end, segment: position.segment, offset: position.offset });
    files.mend();
    const { adopted, unknownOutcomes } = adopt(files, [B]);
    assert.deepEqual(
      adopted.map((one) => one.stream),
      [A],
    );
    assert.deepEqual(unknownOutcomes, []);
  });

  test('ends a stream where its successor says, whatever lies behind, and sees that before it adopts', () => {
    const files = createSimulatedFiles();
    const first = open(files, A);
    assert.ok(first.commit([entry('a1'), entry('a2')]).ok);
    files.fail('sync', { code: 'EIO' });
    assert.ok(!first.commit([entry('void')]).ok);
    const { stream, sequence, hash } = first.position();
    // The void record is whole in the file, and the system may still write it out.
    assert.deepEqual(uids(files, A), ['a1', 'a2', 'void']);
    // The successor's id sorts first, as after a step back of the clock.
    const id = '019aaaaa-0000-7000-8000-000000000001';
    const second = open(files, id, { predecessor: { stream, sequence, hash } });
    assert.ok(second.commit([entry('b1')]).ok);
    files.kill();
    const { adopted, gaps } = adopt(files);
    assert.deepEqual(
      adopted.map((one) => `${one.stream} ${one.end.sequence} ${one.end.hash === hash}`),
      [`${A} 2 true`, `${id} 1 false`],
    );
    assert.deepEqual(gaps, []);
    assert.deepEqual(uids(files, A), ['a1', 'a2']);
    assert.deepEqual(uids(files, id), ['b1']);
  });

  test('does not bring back what is void when the header that says so is lost', () => {
    const made = makeStream({ stream: A, segments: [[1, 1, 1]], sealed: false });
    const hash = made.records[1]?.hash ?? '';
    const predecessor: Citation = { stream: A, sequence: 2, hash };
    const successor = makeStream({ stream: B, segments: [[1]], sealed: false, predecessor });
    const image: Image = new Map([...made.image, ...successor.image]);
    for (const at of [undefined, 3, 200]) {
      if (at !== undefined) image.get(pathOf(1, B))?.fill(0x58, at, at + 1);
      const files = imageFiles(image);
      const { citations } = readCatalogue(files, SPOOL);
      assert.equal(citations.length, 1);
      const out = readOut(files, { stream: A, citations });
      assert.deepEqual(out.order, [1, 2]);
      assert.deepEqual(out.damages, []);
      assert.deepEqual(readOut(files, { stream: B, citations }).order, [1]);
    }
  });

  test('names what a successor vouches for and the file no longer has', () => {
    const made = makeStream({ stream: A, segments: [[1, 1]], sealed: false });
    const citations = [{ stream: A, sequence: 4, hash: 'f'.repeat(64) }];
    const out = readOut(imageFiles(made.image), { stream: A, citations });
    assert.deepEqual(out.order, [1, 2]);
    assert.deepEqual([...out.damaged], [3, 4]);
    assert.equal(out.recovered.end.sequence, 4);
  });

  test('keeps what was acknowledged through a power cut at any operation, in order and without a hole', () => {
    for (let cut = 1; cut <= 60; cut += 1) {
      const files = createSimulatedFiles();
      const durable: string[] = [];
      files.cutAt(cut);
      try {
        const committer = open(files, A);
        for (let at = 0; at < 30; at += 2) {
          const names = [`r${at}`, `r${at + 1}`];
          if (!committer.commit(names.map((name) => entry(name, 6000))).ok) break;
          durable.push(...names);
          committer.prepareNext();
        }
      } catch {
        // The cut came before the stream had begun.
      }
      for (let seed = 1; seed <= CRASHES; seed += 1) {
        const after = files.crash(seededRandom(seed * 1000 + cut));
        const { adopted, gaps, failed } = adopt(after);
        assert.deepEqual([...gaps, ...failed], []);
        if (adopted.length === 0) continue;
        const found = uids(after, A);
        assert.deepEqual(found.slice(0, durable.length), durable);
        assert.deepEqual(
          found,
          found.map((_, index) => `r${index}`),
        );
      }
    }
  });
});

describe('the catalogue', () => {
  test('is empty where there is no spool, and passes over what is no stream', () => {
    const files = createSimulatedFiles();
    assert.deepEqual(readCatalogue(files, SPOOL), { streams: [], citations: [] });
    files.makeDirectory(`${SPOOL}/dead-letter`);
    files.makeDirectory(`${SPOOL}/${A.toUpperCase()}`);
    assert.deepEqual(readCatalogue(files, SPOOL).streams, []);
  });

  test('knows segments, sizes, identity and cursors of each stream', () => {
    const files = createSimulatedFiles();
    open(files, A).commit([entry('a')]);
    files.plant(`${SPOOL}/${A}/cursor.otlp`, Buffer.alloc(1024));
    const [stream] = readCatalogue(files, SPOOL).streams;
    assert.deepEqual(stream?.header?.resource, IDENTITY.resource);
    assert.deepEqual(stream?.exporters, ['otlp']);
    assert.equal(stream?.bytes, files.bytes(`${SPOOL}/${A}/00000000000000000001.log`).length);
    assert.deepEqual(
      stream?.segments.map(({ first }) => first),
      [1],
    );
  });

  test('is not held up by streams that name each other as predecessors', () => {
    const image: Image = new Map();
    const cite = (stream: string): Citation => ({ stream, sequence: 1, hash: '0'.repeat(64) });
    for (const [stream, other] of [
      [A, B],
      [B, A],
    ] as const) {
      const made = makeStream({ stream, segments: [[1]], sealed: false, predecessor: cite(other) });
      for (const [path, bytes] of made.image) image.set(path, bytes);
    }
    assert.equal(readCatalogue(imageFiles(image), SPOOL).streams.length, 2);
  });

  test('shows the other streams when one cannot be read', () => {
    const files = createSimulatedFiles();
    for (const id of [A, B]) open(files, id).commit([entry('x')]);
    files.kill();
    files.fail('open', { code: 'EACCES', path: `${A}/00000000000000000001.log`, always: true });
    const { adopted, failed } = adopt(files);
    assert.deepEqual(
      adopted.map(({ stream }) => stream),
      [B],
    );
    assert.deepEqual(
      failed.map(({ stream }) => stream),
      [A],
    );
  });
});
