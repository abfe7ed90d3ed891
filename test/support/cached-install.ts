/** What package managers install for tests, kept outside the clone: a second clone, or a second run, finds it ready. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BuildError } from './cached-build.ts';

const TIMEOUT_MS = 300_000;

export interface Install {
  /** One for each different content: see `cacheDirectory`. */
  readonly directory: string;
  /** A path in it that is there once all of it is. */
  readonly result: string;
  /** Fills an empty directory. */
  readonly fill: (work: string) => void;
}

/** @returns the path of the result */
export function installOnce({ directory, result, fill }: Install): string {
  const path = join(directory, result);
  if (existsSync(path)) return path;
  const work = `${directory}-work-${process.pid}`;
  try {
    mkdirSync(dirname(directory), { recursive: true });
    fill(work);
    renameSync(work, directory);
  } catch (error) {
    // Whole or not there; where another process was first, its is as good.
    if (!existsSync(path)) throw error;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return path;
}

/** Throws BuildError with what the command said. */
export function runInstaller(command: string, args: readonly string[], cwd?: string): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8', timeout: TIMEOUT_MS, cwd });
  if (status !== 0)
    throw new BuildError(`${[command, ...args].join(' ')} failed: ${error?.message ?? stderr}`);
}
