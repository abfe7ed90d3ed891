import type { Timers } from './timers.ts';

/** An exporter may take so many times its own timeout; then it is taken for dead. */
export const WATCHDOG_TIMEOUTS = 2;

/**
 * What the work resolves with, or `late` once the time is up; the work goes on behind it, and what becomes of it
 * then is nobody's concern. Rejects only as the work does in time.
 */
export function inTime<T, L>(work: Promise<T>, late: L, limitMs: number, timers: Timers): Promise<T | L> {
  return new Promise((resolve, reject) => {
    const cancel = timers.after(limitMs, () => resolve(late));
    work.then(resolve, reject).finally(cancel);
  });
}
