/** `records export`: the records of a spool as lines of bodies or as OTLP/JSON. */
import { parseArgs } from 'node:util';
import { JsonLogsSerializer } from '@opentelemetry/otlp-transformer';
import { VerdictError } from '../errors.ts';
import { printable } from '../telemetry/diagnostics.ts';
import { batchesOf, bodiesOf } from './records-batch.ts';
import type { Selection } from './records-batch.ts';
import { checkRange, chooseStreams, sequenceOf, write } from './records-options.ts';
import type { SpoolStream } from './records-spool.ts';
import type { Io } from './verb.ts';

const OPTIONS = {
  format: { type: 'string' },
  spool: { type: 'string' },
  stream: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
} as const;

type OnDamage = (text: string) => void;

const FORMATS: Readonly<Record<string, (s: SpoolStream, w: Selection, d: OnDamage) => Iterable<string>>> = {
  json: jsonLines,
  'otlp-json': otlpLines,
};

/** @returns 1 where something asked for could not be read; what could be is written all the same */
export async function exportRecords(args: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const { format = '' } = values;
  const lines = Object.hasOwn(FORMATS, format) ? FORMATS[format] : undefined;
  if (lines === undefined)
    throw new VerdictError('usage', { detail: 'give --format json or --format otlp-json' });
  const selection = { from: sequenceOf('from', values.from), to: sequenceOf('to', values.to) };
  checkRange(selection.from, selection.to);
  let damages = 0;
  const onDamage = (text: string): void => {
    damages += 1;
    io.stderr.write(`${printable(text)}\n`);
  };
  for (const stream of chooseStreams(values, io)) {
    for (const line of lines(stream, selection, onDamage)) await write(io.stdout, `${line}\n`);
  }
  return damages === 0 ? 0 : 1;
}

function* jsonLines(stream: SpoolStream, selection: Selection, onDamage: OnDamage): Generator<string> {
  for (const { body } of bodiesOf(stream, selection, onDamage)) yield body;
}

/** One export request a line: what a collector's OTLP-JSON file receiver reads. */
function* otlpLines(stream: SpoolStream, selection: Selection, onDamage: OnDamage): Generator<string> {
  for (const { records } of batchesOf(stream, selection, onDamage)) {
    yield Buffer.from(JsonLogsSerializer.serializeRequest(records) ?? []).toString('utf8');
  }
}
