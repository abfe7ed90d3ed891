import type { Diagnostics } from './diagnostics.ts';

/** How long the same message is only counted after it was said. */
export const REPEAT_WINDOW_MS = 60_000;
/** Messages remembered at a time; over it, the oldest is closed. */
export const MESSAGES_MAX = 256;

export interface Throttle {
  /** Says the text, unless one with the same key was said within the window: then it is counted. */
  say(level: keyof Diagnostics, key: string, text: string): void;
  /** Says what was counted and not said yet. */
  flush(): void;
}

export interface ThrottleOptions {
  readonly windowMs?: number;
  readonly messagesMax?: number;
  /** Milliseconds on a clock that never goes back. */
  readonly now?: () => number;
}

interface Said {
  level: keyof Diagnostics;
  text: string;
  atMs: number;
  repeated: number;
}

/** A collector that is down fails every batch in the same way: it is said once a window, with a count. */
export function createThrottle(diagnostics: Diagnostics, options: ThrottleOptions = {}): Throttle {
  const { windowMs = REPEAT_WINDOW_MS, messagesMax = MESSAGES_MAX, now = () => performance.now() } = options;
  const said = new Map<string, Said>();

  const close = (entry: Said): void => {
    if (entry.repeated > 0) diagnostics[entry.level](withCount(entry.text, entry.repeated));
    entry.repeated = 0;
  };

  return {
    say(level, key, text) {
      const entry = said.get(key);
      const atMs = now();
      if (entry !== undefined && atMs - entry.atMs < windowMs) {
        Object.assign(entry, { level, text, repeated: entry.repeated + 1 });
        return;
      }
      diagnostics[level](entry === undefined ? text : withCount(text, entry.repeated));
      said.delete(key);
      said.set(key, { level, text, atMs, repeated: 0 });
      if (said.size > messagesMax) {
        const [oldest] = said;
        if (oldest !== undefined) {
          close(oldest[1]);
          said.delete(oldest[0]);
        }
      }
    },
    flush() {
      for (const entry of said.values()) close(entry);
    },
  };
}

function withCount(text: string, repeated: number): string {
  return repeated === 0 ? text : `${text} … repeated ${repeated} ${repeated === 1 ? 'time' : 'times'}`;
}
