/** Where a record goes that one destination refuses and the others need not miss. */
import type { SpoolFile, SpoolFiles } from '../spool/files.ts';

/** Under the spool's directory. */
export const DEAD_LETTER_DIRECTORY = 'dead-letter';

export interface DeadLetter {
  readonly exporter: string;
  /** UUID. */
  readonly stream: string;
  readonly sequence: number;
  /** SHA-256 (hex) of the body. */
  readonly hash: string;
  /** What the destination said. */
  readonly why: string;
  /** RFC 3339. */
  readonly at: string;
  readonly body: string;
}

export function deadLetterName({ exporter, stream, sequence }: DeadLetter): string {
  return `${exporter}-${stream}-${sequence}.json`;
}

/**
 * Durable when it returns. A letter that is there already, of a run that died before its cursor was durable, is
 * replaced. Throws the system's error.
 */
export function writeDeadLetter(files: SpoolFiles, spoolDirectory: string, letter: DeadLetter): void {
  const directory = `${spoolDirectory}/${DEAD_LETTER_DIRECTORY}`;
  const path = `${directory}/${deadLetterName(letter)}`;
  const draft = `${path}.part`;
  files.makeDirectory(directory);
  if (files.list(directory).includes(`${deadLetterName(letter)}.part`)) files.unlink(draft);
  const file = files.open(draft, 'create');
  try {
    writeAll(file, Buffer.from(`${JSON.stringify(letter)}\n`));
    file.sync();
  } finally {
    file.close();
  }
  files.rename(draft, path);
  files.syncDirectory(directory);
  files.syncDirectory(spoolDirectory);
}

function writeAll(file: SpoolFile, bytes: Uint8Array): void {
  let written = 0;
  while (written < bytes.length) written += file.write(bytes.subarray(written), written);
}
