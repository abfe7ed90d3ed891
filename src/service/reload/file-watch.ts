/** Looks at files again and again, one look at a time. */
import type { Look, Reloader } from './reloader.ts';

/** Until the second look at files that have changed: longer than a program takes between two writes of a small file. */
export const SETTLE_MS = 1_000;

/** Runs once after so many milliseconds, unless the returned function is called before. */
export type After = (delayMs: number, run: () => void) => () => void;

export interface FileWatchOptions {
  readonly reloader: Reloader;
  /** undefined: only when asked. */
  readonly everyMs: number | undefined;
  readonly after: After;
  /** Told of a look that failed, which it never should. */
  readonly failed: (error: unknown) => void;
}

export interface FileWatch {
  /** Looks now, and takes what is there. Resolves when that has come into force, or been refused. Never rejects. */
  now(): Promise<void>;
  stop(): void;
}

export function watchFiles({ reloader, everyMs, after, failed }: FileWatchOptions): FileWatch {
  let stopped = false;
  let callOff = (): void => {};
  let looking: Promise<Look> = Promise.resolve('settled');

  const look = (asked: boolean): Promise<Look> => {
    looking = looking
      .then(() => (stopped ? 'settled' : reloader.look(asked)))
      .catch((error: unknown) => {
        failed(error);
        return 'settled';
      });
    return looking;
  };
  const next = (delayMs: number): void => {
    if (stopped || everyMs === undefined) return;
    callOff = after(delayMs, () => void lookAgain(everyMs));
  };
  const lookAgain = async (everyMs: number): Promise<void> => {
    const found = await look(false);
    next(found === 'settled' ? everyMs : Math.min(everyMs, SETTLE_MS));
  };
  next(everyMs ?? 0);
  return {
    async now() {
      await look(true);
    },
    stop() {
      stopped = true;
      callOff();
    },
  };
}

/** Keeps no process alive. */
export const unhurried: After = (delayMs, run) => {
  const timer = setTimeout(run, delayMs).unref();
  return () => clearTimeout(timer);
};
