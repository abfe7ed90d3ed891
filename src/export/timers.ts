/** Time as delivery sees it, so that a test need not wait. */
export interface Timers {
  /** Runs once after so many milliseconds, unless the returned function is called before. */
  after(delayMs: number, run: () => void): () => void;
  /** Milliseconds since the Unix epoch. */
  nowMs(): number;
}

export const systemTimers: Timers = {
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  nowMs: () => Date.now(),
};
