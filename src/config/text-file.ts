/** Text files that people write, read whole. */
import { readFileSync, statSync, type Stats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { VerdictError } from '../errors.ts';

/** Gives the text of a file. Throws `file_unreadable`. */
export type ReadText = (file: string) => string;

export function readTextFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw unreadable(file, error);
  }
}

/** What a look at a file found: its text, or why there is none. */
export type Seen =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly error: VerdictError };

/** Bytes of a file that is read again and again. */
export const WATCHED_BYTES_MAX = 16 * 1024 * 1024;

/** Looks at a file. Never throws. */
export function lookAtFileNow(file: string): Seen {
  try {
    return unfit(file, statSync(file)) ?? { ok: true, text: readFileSync(file, 'utf8') };
  } catch (error) {
    return { ok: false, error: unreadable(file, error) };
  }
}

/** The same without holding anything up: a network file system may take its time. Never rejects. */
export async function lookAtFile(file: string): Promise<Seen> {
  try {
    return unfit(file, await stat(file)) ?? { ok: true, text: await readFile(file, 'utf8') };
  } catch (error) {
    return { ok: false, error: unreadable(file, error) };
  }
}

function unfit(file: string, found: Stats): Seen | undefined {
  const refused = (detail: string): Seen => ({
    ok: false,
    error: new VerdictError('file_unreadable', { file, detail }),
  });
  if (found.isDirectory()) return refused('it is a directory');
  // A pipe gives its text once, and would have nothing to say at the second look.
  if (!found.isFile()) return refused('it is no plain file');
  return found.size > WATCHED_BYTES_MAX ? refused(`it is larger than ${WATCHED_BYTES_MAX} bytes`) : undefined;
}

function unreadable(file: string, error: unknown): VerdictError {
  return new VerdictError('file_unreadable', { file, detail: reasonOf(error) }, { cause: error });
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'permission denied';
  if (code === 'EISDIR') return 'it is a directory';
  return error instanceof Error ? error.message : String(error);
}
