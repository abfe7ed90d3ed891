import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEventClock, createNow, eventTime, parseEventTime } from '../../src/event/clock.ts';

const NOON_NS = 1_795_338_000_123_456_789n;

test('a tick tells the same time in both forms', () => {
  assert.deepEqual(createEventClock(() => NOON_NS).tick(), {
    hrTime: [1_795_338_000, 123_456_789],
    rfc3339: '2026-11-22T09:00:00.123456789Z',
  });
});

test('nine digits are written where the nanoseconds are few', () => {
  assert.equal(eventTime(1_000_000_001n).rfc3339, '1970-01-01T00:00:01.000000001Z');
});

test('a clock that stands or goes back still ticks, by one nanosecond', () => {
  const readings = [NOON_NS, NOON_NS, NOON_NS - 5_000_000_000n, NOON_NS + 1n, NOON_NS + 10n];
  const clock = createEventClock(() => readings.shift() ?? 0n);
  const nanoseconds = Array.from({ length: 6 }, () => clock.tick().hrTime[1] - 123_456_789);
  assert.deepEqual(nanoseconds, [0, 1, 2, 3, 10, 11]);
});

test('the ticks of the real clock increase strictly and are of today', () => {
  const clock = createEventClock();
  const times = Array.from({ length: 1000 }, () => clock.tick().rfc3339);
  assert.deepEqual(times.toSorted(), times);
  assert.equal(new Set(times).size, times.length);
  assert.ok(Math.abs(Date.parse(times[0] ?? '') - Date.now()) < 60_000);
});

test('between the milliseconds of the wall clock the monotonic clock counts', () => {
  let monotonic = 5n;
  const now = createNow(
    () => 1000,
    () => monotonic,
  );
  assert.equal(now(), 1_000_000_000n);
  monotonic += 250_000n;
  assert.equal(now(), 1_000_250_000n);
});

const steps: [name: string, wallMs: number, expectedNs: bigint][] = [
  ['forward', 5000, 5_000_000_000n],
  ['back', 500, 500_000_000n],
  ['on with the monotonic clock by a rounding', 1000.9, 1_000_250_000n],
];

for (const [name, wallMs, expectedNs] of steps) {
  test(`the time follows a wall clock that goes ${name}`, () => {
    let wall = 1000;
    let monotonic = 5n;
    const now = createNow(
      () => wall,
      () => monotonic,
    );
    wall = wallMs;
    monotonic += 250_000n;
    assert.equal(now(), expectedNs);
  });
}

test('a written time is read back', () => {
  assert.deepEqual(parseEventTime(eventTime(NOON_NS).rfc3339), eventTime(NOON_NS).hrTime);
});

for (const text of [
  '',
  '2026-11-22T09:00:00Z',
  '2026-13-22T09:00:00.123456789Z',
  '2026-11-22T09:00:00.1234567890Z',
]) {
  test(`${JSON.stringify(text)} is not the time of a record`, () => {
    assert.throws(() => parseEventTime(text), TypeError);
  });
}
