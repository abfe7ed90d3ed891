/**
 * What was rotated: named by the time at which it was, gzipped in the background, and removed when it is one too many.
 * A kill at any moment leaves the plain file, the gzipped one, or for a moment both: never neither, and what is only
 * half gzipped has a name of its own.
 */
import { dirname, join, parse } from 'node:path';
import { codeOf } from '../../spool/system-error.ts';
import type { Diagnostics } from '../../telemetry/diagnostics.ts';
import type { LogFiles } from './log-files.ts';

const GZIPPED = '.gz';
const HALF_GZIPPED = '.gz.tmp';

/** `decisions.jsonl` was `decisions-2026-11-26T20-00-00.000Z.jsonl` when it was rotated at that time. */
export function rotatedPath(path: string, atMs: number): string {
  const { dir, name, ext } = parse(path);
  return join(dir, `${name}-${new Date(atMs).toISOString().replaceAll(':', '-')}${ext}`);
}

export interface Archive {
  /** Moves the file out of the way, durably. */
  rotate(nowMs: number): Promise<void>;
  /** Gzips and removes in the background what there is to gzip and to remove. */
  tidy(): void;
  /** Resolves when nothing is done in the background any more; what is half done is done at the next start. */
  stop(): Promise<void>;
}

export interface ArchiveOptions {
  readonly path: string;
  readonly files: LogFiles;
  readonly isGzipped: boolean;
  /** Rotated files that are kept; undefined: all. */
  readonly keep: number | undefined;
  readonly diagnostics: Diagnostics;
}

export function createArchive(options: ArchiveOptions): Archive {
  const { path, files, diagnostics } = options;
  const directory = dirname(path);
  const stopping = new AbortController();
  let tidying: Promise<void> | undefined;
  let again = false;
  let lastMs = 0;

  const run = async (): Promise<void> => {
    while (again && !stopping.signal.aborted) {
      again = false;
      try {
        await tidyOnce(options, stopping.signal);
      } catch (error) {
        if (stopping.signal.aborted) return;
        diagnostics.warn(`what was rotated of ${path} could not be gzipped or removed: ${String(error)}`);
      }
    }
  };
  return {
    async rotate(nowMs) {
      const others = (await files.list(directory)).map((name) => rotatedAtMs(path, name) ?? 0);
      // Whatever the clock says: names sort as the files were written, and none is used twice.
      lastMs = Math.max(nowMs, lastMs + 1, ...others.map((ms) => ms + 1));
      await files.rename(path, rotatedPath(path, lastMs));
      await files.syncDirectory(directory);
    },
    tidy() {
      again = true;
      tidying ??= run().finally(() => (tidying = undefined));
    },
    async stop() {
      stopping.abort();
      await tidying;
    },
  };
}

async function tidyOnce(
  { path, files, isGzipped, keep }: ArchiveOptions,
  signal: AbortSignal,
): Promise<void> {
  const directory = dirname(path);
  const names = new Set(await files.list(directory));
  const at = (name: string): string => join(directory, name);
  const remove = async (name: string): Promise<void> => {
    await files.unlink(at(name)).catch(ignoreMissing);
    names.delete(name);
  };
  for (const name of names) if (isRotated(path, name, HALF_GZIPPED)) await remove(name);
  const plain = [...names].filter((name) => isRotated(path, name, '')).toSorted();
  for (const name of isGzipped ? plain : []) {
    const whole = `${name}${GZIPPED}`;
    // It gets this name only when it is whole and on stable storage.
    if (!names.has(whole)) {
      await files.compress(at(name), at(`${name}${HALF_GZIPPED}`), signal);
      await files.rename(at(`${name}${HALF_GZIPPED}`), at(whole));
      await files.syncDirectory(directory);
      names.add(whole);
    }
    await remove(name);
  }
  if (keep === undefined) return;
  const rotated = [...names].filter((name) => isRotated(path, name, '') || isRotated(path, name, GZIPPED));
  for (const name of rotated.toSorted().slice(0, Math.max(0, rotated.length - keep))) await remove(name);
}

const TIME = /^(\d{4}-\d\d-\d\dT\d\d)-(\d\d)-(\d\d\.\d{3}Z)$/;

/** Whether a name is that of a file that was rotated out of `path`; other files there are nobody's to touch. */
function isRotated(path: string, name: string, ending: string): boolean {
  return timeIn(path, name, ending) !== undefined;
}

/** undefined for what was not rotated out of `path`. */
function rotatedAtMs(path: string, name: string): number | undefined {
  const text = timeIn(path, name, '') ?? timeIn(path, name, GZIPPED);
  return text === undefined ? undefined : Date.parse(text.replace(TIME, '$1:$2:$3'));
}

function timeIn(path: string, name: string, ending: string): string | undefined {
  const { name: stem, ext } = parse(path);
  const [before, after] = [`${stem}-`, `${ext}${ending}`];
  if (!name.startsWith(before) || !name.endsWith(after)) return undefined;
  const text = name.slice(before.length, name.length - after.length);
  return TIME.test(text) ? text : undefined;
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error;
}
