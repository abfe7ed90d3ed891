/** Time for tests: what would be waited for happens in the next turn, and the clock jumps. */
import type { Timers } from '../../src/export/timers.ts';

export interface JumpingTimers extends Timers {
  /** Delays that have passed, in milliseconds. */
  readonly passed: readonly number[];
  /** Lets every timer that is held with this delay run out; says how many. */
  expire(delayMs: number): number;
}

/** @param held delays that pass only when `expire` is called: deadlines and watchdogs */
export function createJumpingTimers(...held: readonly number[]): JumpingTimers {
  const passed: number[] = [];
  const waiting = new Set<{ readonly delayMs: number; readonly run: () => void }>();
  let nowMs = Date.UTC(2026, 10, 22, 9);

  return {
    passed,
    nowMs: () => nowMs,
    after(delayMs, run) {
      const timer = { delayMs, run };
      waiting.add(timer);
      if (!held.includes(delayMs)) {
        setImmediate(() => {
          if (!waiting.delete(timer)) return;
          passed.push(delayMs);
          nowMs += delayMs;
          run();
        });
      }
      return () => void waiting.delete(timer);
    },
    expire(delayMs) {
      const due = [...waiting].filter((timer) => timer.delayMs === delayMs);
      nowMs += due.length === 0 ? 0 : delayMs;
      for (const timer of due) {
        waiting.delete(timer);
        timer.run();
      }
      return due.length;
    },
  };
}
