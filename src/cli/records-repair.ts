/** `records repair`: names what is damaged in a spool, and copies it aside. Nothing in the spool is touched. */
import * as fs from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { VerdictError } from '../errors.ts';
import { createVerifier } from '../event/verify.ts';
import { rangeText } from '../event/verify-report.ts';
import type { FindingKind } from '../event/verify-report.ts';
import { printable } from '../telemetry/diagnostics.ts';
import { spoolDirectory, write } from './records-options.ts';
import { listSpool, readSpoolStream } from './records-spool.ts';
import type { SpoolLine, SpoolStream } from './records-spool.ts';
import type { Io } from './verb.ts';

const OPTIONS = {
  spool: { type: 'string' },
  aside: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const;

const COPY_BYTES = 1024 * 1024;

/** What is wrong with the spool itself; that a stream has no end yet, or no signature, is not. */
const DAMAGE: ReadonlySet<FindingKind> = new Set([
  'changed',
  'conflicting',
  'missing',
  'contradicted',
  'beyond_end',
  'uid_reused',
  'unreadable',
  'reformatted',
]);

interface Damage {
  readonly stream: string;
  readonly text: string;
  /** Where the bytes were copied to. */
  readonly copy?: string;
}

/** @returns 1 where anything is damaged */
export async function repairSpool(args: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const directory = spoolDirectory(values.spool, io);
  const aside =
    values.aside === undefined ? join(dirname(directory), 'damaged') : resolve(io.cwd, values.aside);
  const streams = listSpool(directory);
  const damages = streams.flatMap((stream) => damagesOf(stream, aside));
  if (values.json) await write(io.stdout, `${JSON.stringify({ directory, damages }, undefined, 2)}\n`);
  else {
    for (const { stream, text, copy } of damages) {
      const where = copy === undefined ? '' : ` (copied to ${copy})`;
      await write(io.stdout, `${printable(`${stream}: ${text}${where}`)}\n`);
    }
    const found =
      damages.length === 0
        ? 'no damage'
        : `${damages.length} damages; what is intact is delivered all the same`;
    await write(io.stdout, `${streams.length} streams, ${found}.\n`);
  }
  return damages.length === 0 ? 0 : 1;
}

function damagesOf(stream: SpoolStream, aside: string): Damage[] {
  const damages: Damage[] = [];
  // Retention frees the beginning of a stream.
  const verifier = createVerifier({ expect: { from: 'any' } });
  for (const line of readSpoolStream(stream)) {
    if (line.kind === 'record') verifier.add(line.body);
    else if (line.kind === 'damage') {
      const text = `${line.path}: bytes ${line.offset} to ${line.end} are damaged`;
      damages.push({ stream: stream.stream, text, copy: copyAside(line, stream.stream, aside) });
    }
  }
  for (const { kind, stream: named, range, text } of verifier.report().findings) {
    if (!DAMAGE.has(kind)) continue;
    const where = range === undefined ? '' : `${rangeText(range)}: `;
    damages.push({ stream: named ?? stream.stream, text: `${where}${text}` });
  }
  return damages;
}

/** Durable when it returns; a copy of an earlier run is left as it is. Throws file_unreadable. */
function copyAside(line: Exclude<SpoolLine, { kind: 'record' }>, stream: string, aside: string): string {
  const segment = /(\d+)\.log$/.exec(line.path)?.[1] ?? '0';
  const copy = join(aside, `${stream}-${segment}-${line.offset}-${line.end}.bin`);
  try {
    fs.mkdirSync(aside, { recursive: true, mode: 0o700 });
    if (fs.existsSync(copy)) return copy;
    const { O_RDONLY, O_NOFOLLOW } = fs.constants;
    const from = fs.openSync(line.path, O_RDONLY | O_NOFOLLOW);
    try {
      copyRange(from, `${copy}.part`, line.offset, line.end);
    } finally {
      fs.closeSync(from);
    }
    fs.renameSync(`${copy}.part`, copy);
    return copy;
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new VerdictError('file_unreadable', { file: line.path, detail }, { cause: error });
  }
}

function copyRange(from: number, path: string, start: number, end: number): void {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = fs.constants;
  const to = fs.openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
  try {
    const buffer = Buffer.allocUnsafe(COPY_BYTES);
    for (let at = start; at < end;) {
      const read = fs.readSync(from, buffer, 0, Math.min(buffer.length, end - at), at);
      if (read === 0) break;
      fs.writeFileSync(to, buffer.subarray(0, read));
      at += read;
    }
    fs.fsyncSync(to);
  } finally {
    fs.closeSync(to);
  }
}
