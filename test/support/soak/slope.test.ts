import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seededRandom } from '../simulated-inode.ts';
import { slopeOf, type Point } from './slope.ts';

/** What is not growth: up to so much more or less. */
const NOISE = 1000;

function series(perMinute: number, random: (end: number) => number, count = 25): Point[] {
  return Array.from({ length: count }, (_, index) => {
    const minutes = index / 6;
    return { minutes, value: 50_000 + perMinute * minutes + random(2 * NOISE) - NOISE };
  });
}

describe('a slope', () => {
  test('is that of points on a line, and sure of it', () => {
    const points = [0, 1, 2, 3, 4].map((minutes) => ({ minutes, value: 7 * minutes - 3 }));
    assert.deepEqual(slopeOf(points), { perMinute: 7, low: 7, high: 7 });
  });

  test('lies within its limits, which hold nothing when nothing grows, in nearly every run', () => {
    const random = seededRandom(7);
    const runs = Array.from({ length: 400 }, () => slopeOf(series(0, random)));
    for (const { low, perMinute, high } of runs) assert.ok(low <= perMinute && perMinute <= high);
    const alarms = runs.filter(({ low }) => low > 0).length;
    assert.ok(alarms <= 20, `${alarms} of 400 runs saw growth where there is none`);
  });

  test('is seen where there is one', () => {
    const random = seededRandom(8);
    const missed = Array.from({ length: 100 }, () => slopeOf(series(2000, random))).filter(
      ({ low }) => low < 1000,
    );
    assert.equal(missed.length, 0);
  });

  test('is not moved by a few wild points', () => {
    const points = series(0, seededRandom(9)).map((point, index) =>
      index % 5 === 0 ? { ...point, value: point.value + index * 100_000 } : point,
    );
    const { low, perMinute } = slopeOf(points);
    assert.ok(low < 0 && Math.abs(perMinute) < NOISE, String(perMinute));
  });
});
