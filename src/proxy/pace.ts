/** Makes whoever comes too often wait for the next second, so that nothing is lost and nobody else is held up. */

/** Of one source in a second. */
export const PACE_PER_SECOND = 100;
/** Sources that are told apart; the ones after them are one. */
export const PACE_SOURCES_MAX = 1000;
const WINDOW_MS = 1000;

export interface PaceOptions {
  readonly nowMs: () => number;
  /** Runs something later. */
  readonly later: (delayMs: number, run: () => void) => void;
}

export interface Pace {
  /** Undefined where it is this one's turn at once, else a promise of it. */
  turn(source: string): Promise<void> | undefined;
  /** Forgets who has not come for a while. */
  tidy(): void;
}

interface Window {
  startMs: number;
  taken: number;
}

export function createPace({ nowMs, later }: PaceOptions): Pace {
  const windows = new Map<string, Window>();
  const isOver = ({ startMs }: Window): boolean => nowMs() - startMs >= WINDOW_MS;

  /** @returns milliseconds until one may ask again; 0: it is one's turn */
  const ask = (source: string): number => {
    const key = windows.has(source) || windows.size < PACE_SOURCES_MAX ? source : 'others';
    const known = windows.get(key);
    const window = known === undefined || isOver(known) ? { startMs: nowMs(), taken: 0 } : known;
    windows.set(key, window);
    if (window.taken >= PACE_PER_SECOND) return window.startMs + WINDOW_MS - nowMs();
    window.taken += 1;
    return 0;
  };
  const wait = async (source: string, firstMs: number): Promise<void> => {
    for (let delayMs = firstMs; delayMs > 0; delayMs = ask(source)) {
      const { promise, resolve } = Promise.withResolvers<void>();
      later(delayMs, resolve);
      await promise;
    }
  };
  return {
    turn(source) {
      const delayMs = ask(source);
      return delayMs > 0 ? wait(source, delayMs) : undefined;
    },
    tidy() {
      for (const [source, window] of windows) if (isOver(window)) windows.delete(source);
    },
  };
}
