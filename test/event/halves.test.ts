import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { halve, join } from '../../src/event/halves.ts';
import { stamp } from '../../src/event/stamp.ts';
import type { Unstamped } from '../../src/event/stamp.ts';
import { KEYS } from '../../src/event/vocabulary.ts';
import type { Event, Scalar } from '../../src/event/vocabulary.ts';
import { anyCharacter } from '../support/any-text.ts';
import { DECISION, LIFECYCLE, OUTCOME } from './sample.ts';

const STREAM = '5b1a4f0e-8f5e-4a9b-9d39-0d9c3a6a00ff';
const PLACE = { stream: STREAM, sequence: 17, previousHash: 'ab'.repeat(32) };

function stamped(record: Unstamped, place = PLACE): string {
  return stamp({ ...place, streamId: place.stream }, record).body;
}

for (const record of [LIFECYCLE, DECISION, OUTCOME]) {
  test(`${record.name}: joined halves are the stamped body`, () => {
    assert.equal(join(halve(record), PLACE), stamped(record));
  });
}

test('no key of the vocabulary sorts in between the three of the place', () => {
  const between = KEYS.map(({ key }): string => key).filter(
    (key) => key > 'verdict.stream.id' && key < 'verdict.stream.sequence',
  );
  assert.deepEqual(between, ['verdict.stream.previous_hash']);
});

test('an unknown key in between the three is left out rather than the record', () => {
  const attributes = { ...DECISION.attributes, 'verdict.stream.k': 'x', 'verdict.stream.sequencf': 'kept' };
  const { 'verdict.stream.k': _, ...rest } = attributes;
  const body = join(halve({ ...DECISION, attributes }), PLACE);
  assert.equal(body, stamped({ ...DECISION, attributes: rest }));
  assert.match(body, /sequencf/);
});

test('what attributes claim of the place is overruled', () => {
  const attributes: Event = {
    ...DECISION.attributes,
    'verdict.stream.id': 'x',
    'verdict.stream.previous_hash': 'y',
    'verdict.stream.sequence': 'z',
  };
  assert.equal(join(halve({ ...DECISION, attributes }), PLACE), stamped(DECISION));
});

const PLACE_TEXT = '"verdict.stream.id":"","verdict.stream.previous_hash":"","verdict.stream.sequence":0';
const text = fc.oneof(
  fc.string({ unit: anyCharacter }),
  fc.constantFrom(PLACE_TEXT, `\\${PLACE_TEXT}`, '\ud800'),
);
const key = fc
  .oneof(
    fc.string({ unit: anyCharacter }),
    fc.constantFrom('__proto__', 'verdict.stream', 'verdict.stream.i', 'verdict.time', 'zz', PLACE_TEXT),
  )
  .filter((name) => name <= 'verdict.stream.id' || name >= 'verdict.stream.sequence');
const scalar: fc.Arbitrary<Scalar> = fc.oneof(text, fc.boolean(), fc.maxSafeInteger(), fc.array(text));

test('joined halves are the stamped body, whatever keys, values and places', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(key, scalar)), fc.uuid(), fc.maxSafeNat(), (members, stream, sequence) => {
      const record = { ...LIFECYCLE, attributes: Object.fromEntries(members) };
      const place = { ...PLACE, stream, sequence };
      assert.equal(join(halve(record), place), stamped(record, place));
    }),
  );
});

test('joined halves are the stamped body of records that the vocabulary knows', () => {
  const known = fc.constantFrom(...KEYS.map(({ key }): string => key));
  const trace = fc.option(fc.constant({ traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 }), {
    nil: undefined,
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(known, scalar)), trace, text, (members, trace, name) => {
      const service = { name, instanceId: 'i' };
      const record = { ...LIFECYCLE, trace, service, attributes: Object.fromEntries(members) };
      assert.equal(join(halve(record), PLACE), stamped(record));
    }),
  );
});
