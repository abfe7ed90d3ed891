/** Options that several `records` verbs take. */
import { resolve } from 'node:path';
import { VerdictError } from '../errors.ts';
import { FORMAT_NAMES, formatNamed } from '../format/formats.ts';
import type { Format } from '../format/record.ts';
import { isStreamId } from '../spool/segment.ts';
import { defaultSpoolDirectory, listSpool } from './records-spool.ts';
import type { SpoolStream } from './records-spool.ts';
import type { Io } from './verb.ts';

export interface SpoolChoice {
  readonly spool?: string | undefined;
  readonly stream?: string | undefined;
}

/** @returns the streams chosen; throws usage where the one named is not there, file_unreadable without a spool */
export function chooseStreams({ spool, stream }: SpoolChoice, io: Io): SpoolStream[] {
  const directory = spoolDirectory(spool, io);
  const streams = listSpool(directory);
  if (stream === undefined) return streams;
  const chosen = streams.filter((each) => each.stream === streamOf(stream));
  if (chosen.length === 0)
    throw new VerdictError('usage', { detail: `${directory} holds no stream ${stream}` });
  return chosen;
}

export function spoolDirectory(given: string | undefined, io: Io): string {
  return given === undefined ? defaultSpoolDirectory(io.env) : resolve(io.cwd, given);
}

/** Throws usage for what is no stream's id. */
export function streamOf(given: string): string {
  if (isStreamId(given)) return given;
  throw new VerdictError('usage', { detail: `--stream must be the UUID of a stream, in lower case` });
}

/** Throws usage for what is no format. */
export function formatOf(given: string | undefined): Format {
  const format = given === undefined ? undefined : formatNamed(given);
  if (format !== undefined) return format;
  throw new VerdictError('usage', { detail: `give --format and one of ${FORMAT_NAMES.join(', ')}` });
}

/** Throws usage for what is no sequence. */
export function sequenceOf(option: string, given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const sequence = Number(given);
  if (/^\d+$/.test(given) && Number.isSafeInteger(sequence) && sequence >= 1) return sequence;
  throw new VerdictError('usage', { detail: `--${option} must be a sequence: a whole number from 1` });
}

/** Both given: throws usage where they are the wrong way round. */
export function checkRange(from: number | undefined, to: number | undefined): void {
  if (from !== undefined && to !== undefined && from > to) {
    throw new VerdictError('usage', { detail: '--from must not be greater than --to' });
  }
}

/** Writes without outrunning the reader: a million records must not pile up in memory. */
export async function write(stream: NodeJS.WritableStream, text: string): Promise<void> {
  if (!stream.write(text)) await new Promise((resolve) => stream.once('drain', resolve));
}
