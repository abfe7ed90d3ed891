import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createUidSource, newUid } from '../../src/event/uid.ts';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const fill = (byte: number) => (bytes: Uint8Array) => void bytes.fill(byte);

test('a uid is a UUIDv7 that begins with its time', () => {
  const uid = createUidSource()(0x0192_3456_789a);
  assert.match(uid, UUID_V7);
  assert.ok(uid.startsWith('01923456-789a-7'), uid);
});

const clocks: [name: string, ms: (step: number) => number][] = [
  ['stands still', () => 1000],
  ['runs backwards', (step) => 1_000_000 - step],
  ['is NaN', () => Number.NaN],
  ['is before the epoch', () => -5],
  ['is beyond 48 bits', () => 2 ** 60],
];

for (const [name, ms] of clocks) {
  test(`uids increase strictly when the clock ${name}`, () => {
    const source = createUidSource();
    const uids = Array.from({ length: 2000 }, (_, step) => source(ms(step)));
    assert.deepEqual(uids.toSorted(), uids);
    assert.equal(new Set(uids).size, uids.length);
    for (const uid of uids) assert.match(uid, UUID_V7);
  });
}

test('when the random part of a millisecond is used up, the time goes on by one', () => {
  const source = createUidSource();
  assert.equal(source(1, fill(0xff)), '00000000-0001-7fff-bfff-ffffffffffff');
  assert.equal(source(1, fill(0)), '00000000-0002-7000-8000-000000000000');
  assert.equal(source(1, fill(0)), '00000000-0002-7000-8000-000000000001');
});

test('the uids of the process increase strictly', () => {
  const first = newUid(Date.now());
  assert.ok(newUid(0) > first);
});
