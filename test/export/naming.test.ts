import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { adoptionText } from '../../src/event/verify.ts';
import { ARRAY_ITEMS_MAX } from '../../src/event/vocabulary.ts';
import { Naming } from '../../src/export/naming.ts';
import type { AdoptedStream } from '../../src/spool/adoption.ts';

const HASH = 'a'.repeat(64);

function dead(count: number, sequence = 1): AdoptedStream[] {
  return Array.from({ length: count }, (_, index) => {
    const stream = `0190aaaa-0000-7000-8000-${String(index).padStart(12, '0')}`;
    return {
      stream,
      segments: [],
      end: { stream, sequence, hash: HASH },
      damages: [],
      tornBytes: 0,
      tornLines: 0,
      openDecisions: [],
      settledElsewhere: [],
      header: undefined,
      marked: false,
      lock: { release() {} },
    };
  });
}

describe('a stream that was taken over', () => {
  for (const over of [0, 1]) {
    test(`is named, also with ${ARRAY_ITEMS_MAX - 1 + over} others`, () => {
      const streams = dead(ARRAY_ITEMS_MAX + over);
      const records = new Naming().take(streams);
      assert.equal(records.length, 1 + over);
      assert.ok(records.every((texts) => texts.length <= ARRAY_ITEMS_MAX));
      assert.deepEqual(
        records.flat(),
        streams.map(({ end }) => adoptionText(end)),
      );
    });
  }

  test('is not marked before a record has named it, and then once', () => {
    const naming = new Naming();
    const streams = dead(ARRAY_ITEMS_MAX + 2);
    const [first = [], second = []] = naming.take(streams);
    assert.deepEqual(naming.markable(), []);
    naming.named(second);
    assert.deepEqual(naming.markable(), streams.slice(ARRAY_ITEMS_MAX));
    assert.deepEqual(naming.markable(), []);
    naming.named([...first, ...second, 'another program’s']);
    assert.deepEqual(naming.markable(), streams.slice(0, ARRAY_ITEMS_MAX));
  });

  test('is marked without a name where it died before its first record', () => {
    const naming = new Naming();
    const streams = dead(1, 0);
    assert.deepEqual(naming.take(streams), []);
    assert.deepEqual(naming.markable(), streams);
  });

  test('is tried again when its mark could not be written', () => {
    const naming = new Naming();
    const streams = dead(1);
    for (const texts of naming.take(streams)) naming.named(texts);
    naming.again(naming.markable());
    assert.deepEqual(naming.markable(), streams);
  });
});
