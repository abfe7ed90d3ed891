/** Measures what a process spends on delivering, from when it runs smoothly to the last record; prints one JSON line. */

/** Before it, code is loaded and compiled, which is no cost of a record. */
const WARM_UP_SHARE = 0.1;

export interface Drained {
  readonly perSecond: number;
  /** User and system time of the whole process, microseconds per record. */
  readonly cpuUs: number;
}

export interface Meter {
  /** So many have been delivered by now. */
  done(records: number): void;
  /** Leaves the time from here to `resume` out. */
  pause(): void;
  resume(): void;
  /** Resolves when all have been delivered and the line is out. */
  readonly finished: Promise<void>;
}

export function createMeter(records: number): Meter {
  let start: { readonly records: number } | undefined;
  let finish: () => void = () => {};
  let spentMs = 0;
  let spentCpuUs = 0;
  let since = now();

  const pause = (): void => {
    const here = now();
    spentMs += here.ms - since.ms;
    spentCpuUs += here.cpuUs - since.cpuUs;
  };
  const resume = (): void => {
    since = now();
  };
  return {
    pause,
    resume,
    finished: new Promise((resolve) => (finish = resolve)),
    done(sofar) {
      if (start === undefined) {
        if (sofar < records * WARM_UP_SHARE) return;
        start = { records: sofar };
        spentMs = 0;
        spentCpuUs = 0;
        resume();
      }
      if (sofar < records) return;
      pause();
      const measured = records - start.records;
      const drained: Drained = { perSecond: (measured / spentMs) * 1000, cpuUs: spentCpuUs / measured };
      process.stdout.write(`${JSON.stringify(drained)}\n`, finish);
    },
  };
}

function now(): { readonly ms: number; readonly cpuUs: number } {
  const { user, system } = process.cpuUsage();
  return { ms: performance.now(), cpuUs: user + system };
}
