/** The part of verdict.yaml that says how records are kept. */
import { join, resolve } from 'node:path';
import { KEEP_MS_DEFAULT, SPOOL_BYTES_DEFAULT } from '../spool/retention.ts';
import { stateDirectory } from './places.ts';
import { parseBytes, parseDurationMs } from './quantity.ts';
import type { ConfigFile } from './schema.ts';

export interface SpoolConfig {
  /** `none`: the SDK's batch processor, best effort. */
  readonly durability: 'sync' | 'os' | 'none';
  readonly directory: string;
  readonly bytesMax: number;
  readonly keepMs: number;
}

export const SPOOL_BYTES_MIN = 64 * 1024 ** 2;
export const SPOOL_BYTES_MAX = 64 * 1024 ** 4;
export const KEEP_MS_MAX = 400 * 86_400_000;

export function defaultSpool(env: Readonly<Record<string, string | undefined>>): SpoolConfig {
  return {
    durability: 'sync',
    directory: join(stateDirectory(env), 'spool'),
    bytesMax: SPOOL_BYTES_DEFAULT,
    keepMs: KEEP_MS_DEFAULT,
  };
}

export interface Assembly {
  readonly base: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly fault: (pointer: string, message: string) => void;
}

export function spoolOf({ spool = {} }: ConfigFile, { base, env, fault }: Assembly): SpoolConfig {
  const fallback = defaultSpool(env);
  const bytesMax = spool.max_bytes === undefined ? fallback.bytesMax : parseBytes(spool.max_bytes);
  if (bytesMax === undefined || bytesMax < SPOOL_BYTES_MIN || bytesMax > SPOOL_BYTES_MAX) {
    fault('/spool/max_bytes', 'must be a size from 64MiB to 64TiB, for example 10GiB');
  }
  const keepMs = spool.keep === undefined ? fallback.keepMs : parseDurationMs(spool.keep);
  if (keepMs === undefined || keepMs > KEEP_MS_MAX) {
    fault('/spool/keep', 'must be a time up to 400d, for example 72h');
  }
  return {
    durability: spool.durability ?? fallback.durability,
    directory: spool.directory === undefined ? fallback.directory : resolve(base, spool.directory),
    bytesMax: bytesMax ?? fallback.bytesMax,
    keepMs: keepMs ?? fallback.keepMs,
  };
}
