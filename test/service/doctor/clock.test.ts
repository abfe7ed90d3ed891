import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findClock, skewMs } from '../../../src/service/doctor/clock.ts';
import { bytesText, countText, timeText } from '../../../src/service/doctor/quantities.ts';

const NOW = 1_800_000_000_000;

describe('the skew against a Date header', () => {
  for (const [theirs, sent, answered, expected] of [
    // A header of whole seconds, cut off: theirs may be up to a second later than it says.
    [NOW, NOW, NOW + 20, 0],
    [NOW, NOW + 999, NOW + 999, 0],
    [NOW, NOW + 1500, NOW + 1600, 500],
    // What lies between the request and its answer is nobody's skew.
    [NOW, NOW - 8000, NOW + 10, 0],
    [NOW, NOW - 8000, NOW - 7000, -7000],
    [NOW, NOW + 61_000, NOW + 61_100, 60_000],
  ] as const) {
    test(`sent ${sent - NOW} and answered ${answered - NOW} ms beside it: ${expected}`, () => {
      assert.equal(skewMs({ theirsMs: theirs, sentMs: sent, answeredMs: answered }), expected);
    });
  }
});

describe('a clock', () => {
  const at = (theirsMs: number) => ({ endpoint: 'http://c/v1/logs', theirsMs, sentMs: NOW, answeredMs: NOW });
  const found = (options: Partial<Parameters<typeof findClock>[0]>) =>
    findClock({ readings: [], newestMs: undefined, nowMs: NOW, ...options }).map(
      ({ level, found }) => `${level} ${found}`,
    );

  test('that agrees is good, and one that does not is a warning, with how much and which way', () => {
    assert.deepEqual(found({ readings: [at(NOW - 5000)] }), ['ok agrees with its Date header']);
    assert.deepEqual(found({ readings: [at(NOW - 61_000)] }), [
      'warn this clock is 1.0 min ahead of its Date header',
    ]);
    assert.deepEqual(found({ readings: [at(NOW + 90_000)] }), [
      'warn this clock is 1.5 min behind its Date header',
    ]);
  });

  test('that is behind the last record was set back', () => {
    assert.deepEqual(found({ newestMs: NOW + 1000 }), ['ok no record is later than now']);
    const [warning = ''] = found({ newestMs: NOW + 7_200_000 });
    assert.equal(warning, 'warn the last record is 2.0 h ahead of this clock, which was set back');
    assert.deepEqual(found({}), []);
  });
});

test('quantities read as people write them', () => {
  assert.deepEqual([0, 1023, 1536, 10 * 1024 ** 3, 5 * 1024 ** 5].map(bytesText), [
    '0 B',
    '1023 B',
    '1.5 KiB',
    '10 GiB',
    '5120 TiB',
  ]);
  assert.deepEqual([0, 12.4, 999, 1000, 90_000, 7_200_000, 259_200_000].map(timeText), [
    '0 ms',
    '12 ms',
    '999 ms',
    '1.0 s',
    '1.5 min',
    '2.0 h',
    '3.0 d',
  ]);
  assert.deepEqual(
    [0, 1, 2].map((count) => countText(count, 'file')),
    ['0 files', '1 file', '2 files'],
  );
});
