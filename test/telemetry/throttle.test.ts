import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createThrottle, MESSAGES_MAX, REPEAT_WINDOW_MS } from '../../src/telemetry/throttle.ts';
import { hear } from './heard.ts';

function throttleAt(options = {}) {
  const heard = hear();
  const clock = { ms: 0 };
  return { heard, clock, throttle: createThrottle(heard.diagnostics, { now: () => clock.ms, ...options }) };
}

test('the same message is said once and its repeats are counted', () => {
  const { heard, throttle } = throttleAt();
  for (let i = 0; i < 38; i++) throttle.say('warn', 'k', 'collector down');
  throttle.say('error', 'other', 'something else');
  assert.deepEqual(heard.lines, ['warn collector down', 'error something else']);
  throttle.flush();
  throttle.flush();
  assert.deepEqual(heard.lines.slice(2), ['warn collector down … repeated 37 times']);
});

for (const [windowMs, expected] of [
  [undefined, REPEAT_WINDOW_MS],
  [10, 10],
] as const) {
  test(`after a window of ${expected} ms it is said again, with the count`, () => {
    const { heard, clock, throttle } = throttleAt(windowMs === undefined ? {} : { windowMs });
    throttle.say('warn', 'k', 'down');
    clock.ms = expected - 1;
    throttle.say('warn', 'k', 'down');
    assert.equal(heard.lines.length, 1);
    clock.ms = expected;
    throttle.say('warn', 'k', 'down');
    assert.deepEqual(heard.lines[1], 'warn down … repeated 1 time');
  });
}

for (const messagesMax of [MESSAGES_MAX, 2]) {
  test(`over ${messagesMax} messages the oldest is closed with its count`, () => {
    const { heard, throttle } = throttleAt({ messagesMax });
    throttle.say('warn', '0', 'first');
    throttle.say('warn', '0', 'first');
    for (let i = 1; i < messagesMax; i++) throttle.say('warn', `${i}`, `text ${i}`);
    assert.ok(!heard.text().includes('repeated'));
    throttle.say('warn', 'one more', 'one more');
    assert.equal(heard.lines.at(-1), 'warn first … repeated 1 time');
    throttle.say('warn', '0', 'first');
    assert.equal(heard.lines.at(-1), 'warn first');
  });
}
