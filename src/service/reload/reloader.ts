/**
 * From looks at files to values that come into force. A change is taken when two looks in turn find the same: what is
 * seen while a file is being written, or while half of several have been replaced, is not what anybody meant. Contents
 * are compared and not times, so that an editor's rename, a link that is turned elsewhere (as Kubernetes does) and a
 * network file system are all seen alike.
 */
import { createHash } from 'node:crypto';
import type { ReadText, Seen } from '../../config/text-file.ts';
import { VerdictError } from '../../errors.ts';

export interface ReloaderOptions<T> {
  /** Files that are always read. */
  readonly roots: readonly string[];
  /** Looks at a file that is known, without holding anything up. */
  readonly lookAt: (file: string) => Promise<Seen>;
  /** Looks at one that is named for the first time. */
  readonly firstLookAt: (file: string) => Seen;
  /** Makes a value of what `read` gives; what it does not read is not watched. Throws VerdictError. */
  readonly load: (read: ReadText) => T;
  /** Told of each value, in the turn in which it was made. @param asked whether somebody has asked for it */
  readonly take: (loaded: T, asked: boolean) => void;
  /** Told of files that make no value, once for each of their contents. */
  readonly refuse: (error: VerdictError) => void;
}

/** `settled`: nothing is new. `unsettled`: something is, and the next look will tell what. */
export type Look = 'settled' | 'unsettled';

export interface Reloader {
  /**
   * Looks at the files. Looks must not overlap.
   * @param asked takes what is found without a second look, and without a change
   */
  look(asked: boolean): Promise<Look>;
}

export function createReloader<T>(options: ReloaderOptions<T>): Reloader {
  const { roots, lookAt, take, refuse } = options;
  let paths: readonly string[] = roots;
  /** Of the files whose value, or whose faults, have been told. */
  let told: string | undefined;
  /** Of the files at the last look. */
  let last: string | undefined;

  return {
    async look(asked) {
      const files = new Map<string, Seen>();
      for (const path of paths) files.set(path, await lookAt(path));
      const digest = digestOf(files, paths);
      if (!asked && digest === told) return 'settled';
      if (!asked && digest !== last) {
        last = digest;
        return 'unsettled';
      }
      const before = files.size;
      const made = loadFrom(files, options);
      // Faults may keep us from reading where other files are named, and those are to be watched all the same.
      paths = made.ok ? [...new Set([...roots, ...made.read])] : [...files.keys()];
      last = digestOf(files, paths);
      // A file that is named for the first time has been seen once.
      if (!asked && files.size > before) return 'unsettled';
      told = last;
      if (made.ok) take(made.value, asked);
      else refuse(made.error);
      return 'settled';
    },
  };
}

type Made<T> =
  | { readonly ok: true; readonly value: T; readonly read: ReadonlySet<string> }
  | { readonly ok: false; readonly error: VerdictError };

/** @param files gets what is missing of them */
function loadFrom<T>(
  files: Map<string, Seen>,
  { load, firstLookAt }: Pick<ReloaderOptions<T>, 'load' | 'firstLookAt'>,
): Made<T> {
  const read = new Set<string>();
  try {
    const value = load((path) => {
      read.add(path);
      const seen = files.get(path) ?? firstLookAt(path);
      files.set(path, seen);
      if (!seen.ok) throw seen.error;
      return seen.text;
    });
    return { ok: true, value, read };
  } catch (error) {
    if (error instanceof VerdictError) return { ok: false, error };
    const detail = `the files could not be read: ${String(error)}`;
    return { ok: false, error: new VerdictError('config_invalid', { detail }, { cause: error }) };
  }
}

function digestOf(files: ReadonlyMap<string, Seen>, paths: readonly string[]): string {
  const hash = createHash('sha256');
  for (const path of paths.toSorted()) {
    const seen = files.get(path);
    const content = seen === undefined ? [] : seen.ok ? ['text', seen.text] : ['error', seen.error.message];
    hash.update(`${JSON.stringify([path, ...content])}\n`);
  }
  return hash.digest('hex');
}
