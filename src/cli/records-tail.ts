/** `records tail`: the records of a spool as they are, and as they come. */
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { stopSignal } from './process.ts';
import { formattedRecord } from '../format/record.ts';
import type { FormattedRecord, RecordOrigin } from '../format/record.ts';
import { painter, renderAny } from './record-view.ts';
import type { Paint } from './record-view.ts';
import { originOfStream } from './records-batch.ts';
import { chooseStreams, formatOf, write } from './records-options.ts';
import { readSegment } from './records-spool.ts';
import type { SpoolStream } from './records-spool.ts';
import type { Io } from './verb.ts';

const FOLLOW_MS = 250;

const OPTIONS = {
  spool: { type: 'string' },
  stream: { type: 'string' },
  follow: { type: 'boolean', default: false },
  format: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const;

/** How far a stream has been shown: a whole segment is not read again for one record. */
interface Place {
  readonly segment: number;
  readonly offset: number;
}

/**
 * Shows all there is; with --follow also what comes, until a signal.
 * @param stopped replaced in tests
 */
export async function tailRecords(
  args: readonly string[],
  io: Io,
  stopped: () => AbortSignal = () => stopSignal(),
): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const paint = painter(io.stdout.isTTY === true && (io.env['NO_COLOR'] ?? '') === '');
  const name = values.json ? 'json' : values.format;
  const format = name === undefined ? undefined : formatOf(name);
  const show = async (body: string, origin: RecordOrigin): Promise<void> => {
    try {
      const record = formattedRecord(body, origin);
      await write(io.stdout, format === undefined ? render(record, paint) : `${format.encode(record)}\n`);
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
      io.stderr.write('a record that cannot be read\n');
    }
  };
  const shown = new Map<string, Place>();
  const stop = values.follow ? stopped() : AbortSignal.abort();
  do {
    for (const stream of chooseStreams(values, io)) await showNew(stream, shown, show);
    if (!stop.aborted) await sleep(FOLLOW_MS, undefined, { signal: stop }).catch(() => {});
  } while (!stop.aborted);
  return 0;
}

async function showNew(
  stream: SpoolStream,
  shown: Map<string, Place>,
  show: (body: string, origin: RecordOrigin) => Promise<void>,
): Promise<void> {
  const { segment, offset } = shown.get(stream.stream) ?? { segment: 0, offset: 0 };
  const origin = originOfStream(stream);
  for (const first of stream.segments.filter((first) => first >= segment)) {
    for (const line of readSegment(stream, first, first === segment ? offset : 0)) {
      if (line.kind !== 'record') continue;
      shown.set(stream.stream, { segment: first, offset: line.end });
      await show(line.body, origin);
    }
  }
}

function render({ content }: FormattedRecord, paint: Paint): string {
  return renderAny(content.eventName, content.attributes, content.traceId, paint);
}
