import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { property, assert as holds, double, integer } from 'fast-check';
import {
  BACKOFF_MS,
  backoffMs,
  RETRY_AFTER_MS_MAX,
  retryAfterMs,
  SLOW_BACKOFF_MS,
  slowBackoffMs,
} from '../../src/export/backoff.ts';

const NOW_MS = Date.UTC(2026, 10, 22, 9);

describe('the time before the next attempt', () => {
  const random = double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  test('is never shorter than half a second nor longer than half a minute', () => {
    holds(
      property(integer({ min: 0, max: 10_000 }), random, (failures, value) => {
        const delayMs = backoffMs(failures, () => value);
        assert.ok(delayMs >= BACKOFF_MS.min && delayMs <= BACKOFF_MS.max);
        const slowMs = slowBackoffMs(() => value);
        assert.ok(slowMs >= SLOW_BACKOFF_MS.min && slowMs <= SLOW_BACKOFF_MS.max);
      }),
    );
  });

  test('may double with each failure in a row, and always begins at the least', () => {
    const longest = [1, 2, 3, 4, 5, 6, 7].map((failures) => backoffMs(failures, () => 1));
    assert.deepEqual(longest, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    assert.equal(
      backoffMs(9, () => 0),
      BACKOFF_MS.min,
    );
  });
});

describe('Retry-After', () => {
  for (const [header, expected] of [
    ['60', 60_000],
    [' 2 ', 2000],
    ['0', undefined],
    ['', undefined],
    [undefined, undefined],
    ['-5', undefined],
    ['1.5', undefined],
    ['1e3', undefined],
    ['soon', undefined],
    ['60, 60', undefined],
    ['300', RETRY_AFTER_MS_MAX],
    ['301', RETRY_AFTER_MS_MAX],
    ['99999999999999999999999', RETRY_AFTER_MS_MAX],
    ['Sun, 22 Nov 2026 09:00:30 GMT', 30_000],
    ['Sunday, 22-Nov-26 09:00:30 GMT', 30_000],
    ['Sun, 22 Nov 2026 08:59:59 GMT', undefined],
    ['Sun, 22 Nov 2099 09:00:00 GMT', RETRY_AFTER_MS_MAX],
    ['Sun, not a date', undefined],
    ['2026-11-22T09:00:30Z', undefined],
  ] as const) {
    test(`${JSON.stringify(header)} asks for ${expected ?? 'nothing'}`, () => {
      assert.equal(retryAfterMs(header, NOW_MS), expected);
    });
  }
});
