import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SETTLE_MS, watchFiles } from '../../../src/service/reload/file-watch.ts';
import type { Look } from '../../../src/service/reload/reloader.ts';

function open(everyMs: number | undefined, answers: (Look | Error)[] = []) {
  const looks: boolean[] = [];
  const timers: { delayMs: number; run: () => void }[] = [];
  const failures: unknown[] = [];
  let busy = 0;
  const watch = watchFiles({
    reloader: {
      async look(asked) {
        looks.push(asked);
        busy += 1;
        assert.equal(busy, 1, 'looks overlap');
        await new Promise((resolve) => setImmediate(resolve));
        busy -= 1;
        const answer = answers.shift() ?? 'settled';
        if (answer instanceof Error) throw answer;
        return answer;
      },
    },
    everyMs,
    after(delayMs, run) {
      const timer = { delayMs, run };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer), 1);
    },
    failed: (error) => void failures.push(error),
  });
  /** Lets the next timer fire, and the look that it begins end. */
  const fire = async (): Promise<number | undefined> => {
    const timer = timers.shift();
    timer?.run();
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    return timer?.delayMs;
  };
  return { watch, looks, timers, failures, fire };
}

describe('a watch', () => {
  test('looks again soon when something is new, and else as often as it is told', async () => {
    const { fire, looks } = open(5_000, ['settled', 'unsettled', 'settled']);
    assert.deepEqual(
      [await fire(), await fire(), await fire(), await fire()],
      [5_000, 5_000, SETTLE_MS, 5_000],
    );
    assert.deepEqual(looks, [false, false, false, false]);
  });

  test('is never slower to look again than it is told to be', async () => {
    const { fire } = open(100, ['unsettled']);
    assert.deepEqual([await fire(), await fire()], [100, 100]);
  });

  test('goes on after a look that failed', async () => {
    const { fire, failures } = open(100, [new Error('oops')]);
    assert.deepEqual([await fire(), await fire()], [100, 100]);
    assert.deepEqual(failures, [new Error('oops')]);
  });

  test('that is off looks only when asked, one look at a time', async () => {
    const { watch, timers, looks } = open(undefined);
    await Promise.all([watch.now(), watch.now()]);
    assert.deepEqual([looks, timers], [[true, true], []]);
  });

  test('that has stopped looks no more', async () => {
    const { watch, timers, looks, fire } = open(100);
    watch.stop();
    assert.deepEqual(timers, []);
    await watch.now();
    await fire();
    assert.deepEqual(looks, []);
  });

  test('that is stopped while it looks sets no timer', async () => {
    const { watch, timers } = open(100);
    timers.shift()?.run();
    watch.stop();
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(timers, []);
  });
});
