/** When a record is set aside, and when it is not. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ExportResult } from '@opentelemetry/core';
import { bodyHash } from '../../src/event/stamp.ts';
import { DEAD_LETTERS_MAX } from '../../src/export/pump-options.ts';
import { eventually } from '../support/eventually.ts';
import { chainOf, createMemoryStream, STREAM } from './memory-stream.ts';
import { startScene } from './pump-scene.ts';
import { DOWN, REFUSED, scripted, SUCCESS, upTo } from './scripted-exporter.ts';

describe('a refusal', () => {
  /** Refuses each batch that holds one of these. */
  const refusing =
    (...bad: readonly number[]) =>
    (sequences: number[]): ExportResult =>
      sequences.some((sequence) => bad.includes(sequence)) ? REFUSED : SUCCESS;

  test('of one record among many sets aside that one only, and the rest arrives in order', async (t) => {
    const bodies = chainOf(40);
    const { exporter, accepted } = scripted(refusing(23));
    const scene = startScene(t, { streams: [createMemoryStream(bodies)], exporter: () => exporter });
    await scene.drained();
    assert.deepEqual(
      [...new Set(accepted)],
      upTo(40).filter((sequence) => sequence !== 23),
    );
    assert.equal(scene.letters.length, 1);
    const letter = scene.letters[0]!;
    assert.equal(letter.body, bodies[22]);
    assert.equal(letter.hash, bodyHash(letter.body));
    assert.deepEqual(
      [letter.exporter, letter.stream, letter.sequence, letter.why],
      ['otlp', STREAM, 23, 'bad record'],
    );
    assert.equal(scene.pump.status().deadLettered, 1);
  });

  test('of everything is the set-up: nothing is set aside, and it is tried again slowly', async (t) => {
    let refuses = false;
    const bodies = chainOf(20);
    const stream = createMemoryStream(bodies.slice(0, 4));
    const { exporter, accepted } = scripted(() => (refuses ? REFUSED : SUCCESS));
    const scene = startScene(t, { streams: [stream], exporter: () => exporter });
    await scene.drained();
    refuses = true;
    stream.append(bodies.slice(4));
    scene.pump.wake();
    await eventually('slow', () => scene.timers.passed.filter((delayMs) => delayMs === 180_000).length > 3);
    assert.match(scene.pump.status().alarm ?? '', /it is the set-up that is wrong/);
    refuses = false;
    await scene.drained();
    assert.deepEqual([...new Set(accepted)], upTo(20));
    assert.deepEqual(scene.letters, []);
  });

  test('of the first record ever, with nothing known to be good, waits', async (t) => {
    let refuses = true;
    const { exporter, accepted } = scripted(() => (refuses ? REFUSED : SUCCESS));
    const scene = startScene(t, { streams: [createMemoryStream(chainOf(3))], exporter: () => exporter });
    await eventually('slow', () => scene.timers.passed.includes(180_000));
    refuses = false;
    await scene.drained();
    assert.deepEqual(accepted, [1, 2, 3]);
    assert.deepEqual(scene.letters, []);
  });

  test('of the first record is proven with a record that is known to be good', async (t) => {
    const bodies = chainOf(3);
    const stream = createMemoryStream(bodies);
    const known = createMemoryStream(bodies).reader.next(3, 1e9).records[2]!;
    const { exporter, accepted } = scripted(refusing(1));
    const scene = startScene(t, {
      streams: [stream],
      exporter: () => exporter,
      knownGood: () => ({ record: known, origin: stream.origin }),
    });
    await scene.drained();
    assert.deepEqual(
      scene.letters.map(({ sequence }) => sequence),
      [1],
    );
    assert.deepEqual(
      [...new Set(accepted)].toSorted((a, b) => a - b),
      [2, 3],
    );
  });

  test('that ends while it is being looked into sets nothing aside', async (t) => {
    const bodies = chainOf(2);
    const stream = createMemoryStream(bodies.slice(0, 1));
    const { exporter, calls } = scripted((_, call) => (call === 1 ? REFUSED : SUCCESS));
    const scene = startScene(t, { streams: [stream], exporter: () => exporter });
    await scene.drained();
    stream.append(bodies.slice(1));
    scene.pump.wake();
    await scene.drained();
    assert.deepEqual(calls, [[1], [2], [1], [2]]);
    assert.deepEqual(scene.letters, []);
  });

  test('whose probe meets an outage proves nothing', async (t) => {
    let outage = true;
    const { exporter, calls } = scripted((sequences, call) => {
      if (sequences.includes(2)) return REFUSED;
      if (call > 1 && outage) {
        outage = false;
        return DOWN;
      }
      return SUCCESS;
    });
    const bodies = chainOf(2);
    const stream = createMemoryStream(bodies.slice(0, 1));
    const scene = startScene(t, { streams: [stream], exporter: () => exporter });
    await scene.drained();
    stream.append(bodies.slice(1));
    scene.pump.wake();
    await scene.drained();
    // Once more refused and once more probed after the outage.
    assert.deepEqual(calls, [[1], [2], [1], [2], [1], [2]]);
    assert.equal(scene.letters.length, 1);
  });

  test(`sets aside ${DEAD_LETTERS_MAX} records an hour at most; the next one waits for the hour to pass`, async (t) => {
    const bad = Array.from({ length: DEAD_LETTERS_MAX + 1 }, (_, index) => index * 2 + 2);
    const { exporter, accepted } = scripted(refusing(...bad));
    const scene = startScene(t, { streams: [createMemoryStream(chainOf(30))], exporter: () => exporter });
    // The clock jumps, so a look may come when the next one has been set aside already.
    await eventually('the limit', () => scene.letters.length >= DEAD_LETTERS_MAX);
    await scene.drained();
    const times = scene.letters.map(({ at }) => Date.parse(at));
    assert.deepEqual(
      scene.letters.map(({ sequence }) => sequence),
      bad,
    );
    assert.ok(times.at(-1)! - times[0]! >= 3_600_000);
    assert.match(scene.heard.text(), /10 records were set aside within the hour, so this one waits/);
    assert.deepEqual(
      [...new Set(accepted)],
      upTo(30).filter((sequence) => !bad.includes(sequence)),
    );
  });

  test('whose letter cannot be written is tried again; the cursor does not pass the record', async (t) => {
    const bodies = chainOf(2);
    const stream = createMemoryStream(bodies);
    let tries = 0;
    const { exporter } = scripted(refusing(2));
    const scene = startScene(t, {
      streams: [stream],
      exporter: () => exporter,
      onDeadLetter: async () => {
        tries += 1;
        assert.equal(stream.cursor.position()?.sequence, 1);
        if (tries < 3) throw new Error('ENOSPC');
      },
    });
    await scene.drained();
    assert.equal(tries, 3);
    assert.equal(stream.durable()?.sequence, 2);
  });

  test('of what cannot be made into a LogRecord is set aside like any other', async (t) => {
    const bodies = [...chainOf(2), 'not a body'];
    const { exporter, accepted } = scripted(() => SUCCESS);
    const scene = startScene(t, { streams: [createMemoryStream(bodies)], exporter: () => exporter });
    await scene.drained();
    assert.deepEqual([...new Set(accepted)], [1, 2]);
    assert.match(scene.letters[0]?.why ?? '', /cannot be made into a LogRecord/);
  });
});
