import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPace, PACE_PER_SECOND, PACE_SOURCES_MAX } from '../../src/proxy/pace.ts';

function open() {
  const clock = { ms: 0 };
  const later: number[] = [];
  const pace = createPace({ nowMs: () => clock.ms, later: (delayMs) => void later.push(delayMs) });
  const spend = (source: string): void => {
    for (let turn = 0; turn < PACE_PER_SECOND; turn += 1) assert.equal(pace.turn(source), undefined);
  };
  return { pace, clock, later, spend };
}

test('as many as the limit says have their turn at once, and the next one in the next second', () => {
  const { pace, clock, later, spend } = open();
  spend('a');
  clock.ms = 400;
  assert.ok(pace.turn('a'));
  assert.deepEqual(later, [600]);
  assert.equal(pace.turn('b'), undefined);
  clock.ms = 1000;
  assert.equal(pace.turn('a'), undefined);
});

test('sources beyond as many as are told apart share one pace, until others are forgotten', () => {
  const { pace, clock, spend } = open();
  for (let source = 0; source < PACE_SOURCES_MAX; source += 1) pace.turn(`source ${source}`);
  spend('one more');
  assert.ok(pace.turn('and another'));
  clock.ms = 1000;
  pace.tidy();
  spend('one more');
  assert.equal(pace.turn('and another'), undefined);
});
