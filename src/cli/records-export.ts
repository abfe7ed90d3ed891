/** `records export`: the records of a spool, one a line, in any format. */
import { parseArgs } from 'node:util';
import { printable } from '../telemetry/diagnostics.ts';
import { formattedRecord } from '../format/record.ts';
import type { Format } from '../format/record.ts';
import { bodiesOf, originOfStream } from './records-batch.ts';
import type { Selection } from './records-batch.ts';
import { checkRange, chooseStreams, formatOf, sequenceOf, write } from './records-options.ts';
import type { SpoolStream } from './records-spool.ts';
import type { Io } from './verb.ts';

const OPTIONS = {
  format: { type: 'string' },
  spool: { type: 'string' },
  stream: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
} as const;

/** @returns 1 where something asked for could not be read; what could be is written all the same */
export async function exportRecords(args: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const format = formatOf(values.format);
  const selection = { from: sequenceOf('from', values.from), to: sequenceOf('to', values.to) };
  checkRange(selection.from, selection.to);
  let damages = 0;
  const onDamage = (text: string): void => {
    damages += 1;
    io.stderr.write(`${printable(text)}\n`);
  };
  for (const stream of chooseStreams(values, io)) {
    for (const line of linesOf(format, stream, selection, onDamage)) await write(io.stdout, `${line}\n`);
  }
  return damages === 0 ? 0 : 1;
}

function* linesOf(
  format: Format,
  stream: SpoolStream,
  selection: Selection,
  onDamage: (text: string) => void,
): Generator<string> {
  const origin = originOfStream(stream);
  for (const { body, sequence } of bodiesOf(stream, selection, onDamage)) {
    let line;
    try {
      line = format.encode(formattedRecord(body, origin));
    } catch {
      onDamage(`${stream.stream} ${sequence}: not the body of a record`);
      continue;
    }
    yield line;
  }
}
