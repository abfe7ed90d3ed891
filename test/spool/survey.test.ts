import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { eventTime } from '../../src/event/clock.ts';
import { halve } from '../../src/event/halves.ts';
import {
  createCommitter,
  type Committer,
  type CommitterOptions,
  type Entry,
} from '../../src/spool/committer.ts';
import { openCursor } from '../../src/spool/cursor.ts';
import { LOCK_NAME, SEGMENT_BYTES_MIN } from '../../src/spool/segment.ts';
import { surveySpool, type SurveyedStream } from '../../src/spool/survey.ts';
import { DECISION } from '../event/sample.ts';
import { createSimulatedFiles, type SimulatedFiles } from '../support/simulated-files.ts';
import { IDENTITY, SPOOL } from '../support/spooled.ts';

const A = '019aaaaa-0000-7000-8000-00000000000a';
const B = '019bbbbb-0000-7000-8000-00000000000b';
const START_MS = Date.parse('2026-11-22T09:00:00Z');

/** A record of the second, of about 20 KiB where it is large, so that three fill a segment. */
function at(second: number, large = false): Entry {
  const time = eventTime(BigInt(START_MS + second * 1000) * 1_000_000n).rfc3339;
  const padding = large ? { 'user.id': 'x'.repeat(20_000) } : {};
  return halve({ ...DECISION, attributes: { ...DECISION.attributes, ...padding, 'verdict.time': time } });
}

function open(files: SimulatedFiles, streamId: string, rest: Partial<CommitterOptions> = {}): Committer {
  const identityOfStream = IDENTITY;
  const options = { files, directory: SPOOL, streamId, identityOfStream, segmentBytes: SEGMENT_BYTES_MIN };
  return createCommitter({ ...options, ...rest });
}

/** Where an exporter would be after so many records. */
function acknowledge(files: SimulatedFiles, stream: string, place: ReturnType<Committer['position']>): void {
  const cursor = openCursor(files, `${SPOOL}/${stream}`, 'otlp');
  cursor.advance(place);
  cursor.flush();
  cursor.close();
}

const survey = (files: SimulatedFiles, exporters: readonly string[] = ['otlp']): SurveyedStream[] =>
  surveySpool({ files, directory: SPOOL, exporters });

const after = (ms: number | undefined) => (ms === undefined ? undefined : (ms - START_MS) / 1000);

describe('a survey', () => {
  test('counts what an exporter has not had, and how old the first of it is', () => {
    const files = createSimulatedFiles();
    const committer = open(files, A);
    committer.commit([at(1), at(2)]);
    acknowledge(files, A, committer.position());
    committer.commit([at(3), at(4), at(5)]);
    const [stream] = survey(files, ['otlp', 'new']);
    assert.equal(stream?.lastSequence, 5);
    assert.deepEqual([after(stream.oldestMs), after(stream.newestMs)], [1, 5]);
    assert.deepEqual(
      stream.backlogs.map(({ exporter, records, oldestMs }) => [exporter, records, after(oldestMs)]),
      [
        ['otlp', 3, 3],
        ['new', 5, 1],
      ],
    );
    acknowledge(files, A, committer.position());
    assert.deepEqual(survey(files)[0]?.backlogs, [{ exporter: 'otlp', records: 0, oldestMs: undefined }]);
  });

  test('finds the first of it in the next segment, and the last record before room that is still empty', () => {
    const files = createSimulatedFiles();
    const committer = open(files, A);
    let between: ReturnType<Committer['position']> | undefined;
    for (let second = 1; second <= 7; second += 1) {
      assert.ok(committer.commit([at(second, true)]).ok);
      while (committer.prepareNext());
      if (second === 3) between = committer.position();
    }
    assert.ok(between !== undefined);
    acknowledge(files, A, between);
    const [stream] = survey(files);
    assert.deepEqual([stream?.lastSequence, after(stream?.newestMs)], [7, 7]);
    assert.deepEqual([stream?.backlogs[0]?.records, after(stream?.backlogs[0]?.oldestMs)], [4, 4]);
    assert.ok(
      stream !== undefined && stream.writtenBytes > 7 * 20_000 && stream.writtenBytes <= stream.bytes,
    );
  });

  test('tells who lives, and leaves locks as they were', () => {
    const files = createSimulatedFiles();
    open(files, A).commit([at(1)]);
    files.kill();
    open(files, B).commit([at(2)]);
    const owned = () => survey(files).map(({ stream, owned }) => [stream, owned]);
    const expected = [
      [A, false],
      [B, true],
    ];
    assert.deepEqual([owned(), owned()], [expected, expected]);
    files.unlink(`${SPOOL}/${A}/${LOCK_NAME}`);
    assert.deepEqual(owned(), expected);
    assert.ok(!files.list(`${SPOOL}/${A}`).includes(LOCK_NAME));
  });

  test('does not count what lies behind the end that a successor cites', () => {
    const files = createSimulatedFiles();
    const first = open(files, A);
    first.commit([at(1), at(2)]);
    const { stream, sequence, hash } = first.position();
    first.commit([at(3)]);
    open(files, B, { predecessor: { stream, sequence, hash } }).commit([at(4)]);
    assert.deepEqual(
      survey(files).map(({ lastSequence, newestMs }) => [lastSequence, after(newestMs)]),
      [
        [2, 2],
        [1, 4],
      ],
    );
  });

  test('of an empty spool is empty', () => assert.deepEqual(survey(createSimulatedFiles()), []));
});
