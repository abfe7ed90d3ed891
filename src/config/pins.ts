/** The part of verdict.yaml that says which tools are pinned, and how strictly. */
import { resolve } from 'node:path';
import { PIN_MODES, type PinMode } from '../proxy/pins/pins.ts';

export const PIN_SCHEMA = { enum: PIN_MODES } as const;

export const PINS_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  properties: { file: { type: 'string', minLength: 1 }, mode: PIN_SCHEMA },
} as const;

export interface PinsEntry {
  readonly file?: string;
  readonly mode?: PinMode;
}

/** What of verdict.yaml speaks of pins. */
interface PinsPart {
  readonly pins?: PinsEntry;
  readonly servers: Readonly<Record<string, { readonly pin?: PinMode }>>;
}

export interface PinsConfig {
  /** Where the definitions are that somebody has looked at. */
  readonly file: string;
  /** By server. */
  readonly modes: ReadonlyMap<string, PinMode>;
}

export const LOCK_FILE = 'tools.lock.json';

/** To name a file means it: then what is not as it is pinned there is denied, unless a mode says otherwise. */
export function pinsOf({ pins, servers }: PinsPart, base: string): PinsConfig {
  const mode = pins === undefined ? 'off' : (pins.mode ?? 'strict');
  return {
    file: resolve(base, pins?.file ?? LOCK_FILE),
    modes: new Map(Object.entries(servers).map(([name, server]) => [name, server.pin ?? mode])),
  };
}
