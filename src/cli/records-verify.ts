/** `records verify`: from inputs of any kind to a report and an exit code. */
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { VerdictError } from '../errors.ts';
import { parsePublicKey } from '../event/signing.ts';
import type { PublicKey } from '../event/signing.ts';
import { createVerifier } from '../event/verify.ts';
import type { Expectation } from '../event/verify.ts';
import { reportLines } from '../event/verify-report.ts';
import { printable } from '../telemetry/diagnostics.ts';
import { healingLines } from './records-healing.ts';
import { readRecords } from './records-input.ts';
import type { RecordSink } from './records-input.ts';
import { checkRange, sequenceOf, streamOf, write } from './records-options.ts';
import { listSpool, readSpoolStream } from './records-spool.ts';
import type { Io } from './verb.ts';

/** Progress is told no more often. */
const PROGRESS_MS = 500;
/** The clock is read once in so many records. */
const PROGRESS_RECORDS = 1024;
const KEY_FILE_BYTES_MAX = 4096;

const OPTIONS = {
  key: { type: 'string', multiple: true },
  stream: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const;

/** @returns 0 only where all is proven, else 1 */
export async function verifyRecords(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
  if (positionals.length === 0) {
    throw new VerdictError('usage', { detail: 'name files, a spool directory, or - for standard input' });
  }
  const expect: Expectation = {
    from: values.from === 'any' ? 'any' : sequenceOf('from', values.from),
    to: sequenceOf('to', values.to),
  };
  checkRange(expect.from === 'any' ? undefined : expect.from, expect.to);
  const verifier = createVerifier({
    publicKeys: (values.key ?? []).map((given) => publicKeyOf(given, io)),
    expect,
    only: values.stream === undefined ? undefined : streamOf(values.stream),
    nowMs: Date.now(),
  });
  const notes: string[] = [];
  const sink = withProgress(verifier, io);
  for (const input of positionals) await readInput(input, sink, notes, io);
  sink.done();
  const report = verifier.report();
  if (values.json) await write(io.stdout, `${JSON.stringify({ ...report, notes }, undefined, 2)}\n`);
  else {
    for (const note of notes) io.stderr.write(`${printable(note)}\n`);
    // What the spool itself lacks it cannot send.
    const healing = positionals.every((input) => isDirectory(input, io)) ? [] : healingLines(report);
    for (const line of [...reportLines(report), ...healing]) await write(io.stdout, `${printable(line)}\n`);
  }
  return report.ok ? 0 : 1;
}

function publicKeyOf(given: string, io: Io): PublicKey {
  const direct = parsePublicKey(given);
  if (direct !== undefined) return direct;
  const file = resolve(io.cwd, given);
  let text: string;
  try {
    text = statSync(file).size > KEY_FILE_BYTES_MAX ? '' : readFileSync(file, 'latin1');
  } catch {
    throw new VerdictError('usage', {
      detail: `--key ${given} is neither a public key nor a file that can be read`,
    });
  }
  const key = parsePublicKey(text);
  if (key !== undefined) return key;
  throw new VerdictError('usage', {
    detail: `--key ${given} holds no Ed25519 public key (base64 or PEM; never give the private one)`,
  });
}

async function readInput(input: string, sink: RecordSink, notes: string[], io: Io): Promise<void> {
  if (input === '-') {
    await readRecords('standard input', bytesOf(io.stdin), sink);
    return;
  }
  const path = resolve(io.cwd, input);
  try {
    if (isDirectory(input, io)) readSpool(path, sink, notes);
    else await readRecords(input, createReadStream(path), sink);
  } catch (error) {
    if (error instanceof VerdictError) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    throw new VerdictError('file_unreadable', { file: input, detail }, { cause: error });
  }
}

function isDirectory(input: string, io: Io): boolean {
  return (
    input !== '-' && (statSync(resolve(io.cwd, input), { throwIfNoEntry: false })?.isDirectory() ?? false)
  );
}

function readSpool(path: string, sink: RecordSink, notes: string[]): void {
  const streams = listSpool(path);
  if (streams.length === 0) notes.push(`${path} holds no stream`);
  for (const stream of streams) {
    for (const line of readSpoolStream(stream)) {
      if (line.kind === 'record') sink.add(line.body, undefined, stream.directory);
      else {
        const text = `${line.path}: bytes ${line.offset} to ${line.end}`;
        if (line.kind === 'damage') sink.unreadable(`${text} are damaged`);
        else notes.push(`${text} are a commit that was cut short before anybody was told of it`);
      }
    }
  }
}

/** A stream with an encoding set gives text. */
async function* bytesOf(stream: NodeJS.ReadableStream): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) yield typeof chunk === 'string' ? Buffer.from(chunk, 'utf8') : chunk;
}

function withProgress(sink: RecordSink, io: Io): RecordSink & { done(): void } {
  if (io.stderr.isTTY !== true) return { ...sink, done: () => {} };
  let count = 0;
  let toldMs = Date.now();
  let told = false;
  return {
    add(body, attributes, where) {
      sink.add(body, attributes, where);
      count += 1;
      if (count % PROGRESS_RECORDS !== 0 || Date.now() - toldMs < PROGRESS_MS) return;
      toldMs = Date.now();
      told = true;
      io.stderr.write(`\r${count.toLocaleString('en')} records read`);
    },
    unreadable: (text) => sink.unreadable(text),
    done: () => void (told && io.stderr.write('\r\u001b[K')),
  };
}
