/** The part of verdict.yaml that says how changes of files come into force. */
import { parseDurationMs } from './quantity.ts';

/** How often files are looked at. */
export const WATCH_MS_DEFAULT = 5_000;
export const WATCH_MS_MIN = 100;
export const WATCH_MS_MAX = 3_600_000;

export const WATCH_WORDS = 'must be a time from 100ms to 1h, for example 5s, or off';

/** @returns milliseconds; `off`: files are read when that is asked for; undefined where it is neither */
export function parseWatch(text: string): number | 'off' | undefined {
  if (text === 'off') return 'off';
  const ms = parseDurationMs(text);
  return ms !== undefined && ms >= WATCH_MS_MIN && ms <= WATCH_MS_MAX ? ms : undefined;
}

export const RELOAD_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  properties: { watch: { type: 'string' } },
} as const;

/** After the schema has passed it. */
export interface ReloadEntry {
  readonly watch?: string;
}

export function watchOf(
  { watch }: ReloadEntry,
  fault: (pointer: string, message: string) => void,
): number | 'off' {
  const parsed = watch === undefined ? WATCH_MS_DEFAULT : parseWatch(watch);
  if (parsed === undefined) fault('/reload/watch', WATCH_WORDS);
  return parsed ?? WATCH_MS_DEFAULT;
}
