/** Records of a spool as the SDK's serializers and exporters take them, batch by batch. */
import { SCHEMA_URL, SCOPE_NAME } from '../event/vocabulary.ts';
import { originOf, SpooledLogRecord } from '../export/spooled-log-record.ts';
import type { StreamIdentity } from '../spool/segment.ts';
import { readSpoolStream } from './records-spool.ts';
import type { SpoolStream } from './records-spool.ts';

/** As the SDK's own batches. */
export const BATCH_RECORDS_MAX = 512;
const BATCH_CHARS_MAX = 4 * 1024 * 1024;

export interface Selection {
  /** First and last sequence, both included; undefined is open. */
  readonly from: number | undefined;
  readonly to: number | undefined;
}

export interface Batch {
  readonly records: SpooledLogRecord[];
  readonly from: number;
  readonly to: number;
}

/** What a stream has in a selection, and what of it could not be read. */
export function* bodiesOf(
  stream: SpoolStream,
  { from = 1, to = Infinity }: Selection,
  onDamage: (text: string) => void,
): Generator<{ readonly body: string; readonly sequence: number }> {
  let expected = from;
  for (const line of readSpoolStream(stream)) {
    if (line.kind === 'damage') onDamage(`${line.path}: bytes ${line.offset} to ${line.end} are damaged`);
    if (line.kind !== 'record' || line.sequence === undefined) continue;
    const { body, sequence } = line;
    if (sequence < from || sequence > to) continue;
    if (sequence > expected && (expected > 1 || from > 1)) {
      onDamage(`${stream.stream}: ${expected} to ${sequence - 1} are not in the spool`);
    }
    expected = sequence + 1;
    yield { body, sequence };
  }
  if (Number.isFinite(to) && expected <= to)
    onDamage(`${stream.stream}: ${expected} to ${to} are not in the spool`);
}

/** Who recorded; of a stream whose headers are all damaged, what is known without them. */
export function originOfStream({ header }: SpoolStream): StreamIdentity {
  return header ?? { resource: {}, scope: { name: SCOPE_NAME, version: '', schemaUrl: SCHEMA_URL } };
}

/** The same as LogRecords; a body that is none goes to `onDamage`. */
export function* batchesOf(
  stream: SpoolStream,
  selection: Selection,
  onDamage: (text: string) => void,
): Generator<Batch> {
  const origin = originOf(originOfStream(stream));
  let records: SpooledLogRecord[] = [];
  let range = { from: 0, to: 0 };
  let chars = 0;
  for (const { body, sequence } of bodiesOf(stream, selection, onDamage)) {
    const record = new SpooledLogRecord(body, origin);
    try {
      record.content();
    } catch {
      onDamage(`${stream.stream} ${sequence}: not the body of a record`);
      continue;
    }
    if (
      records.length === BATCH_RECORDS_MAX ||
      (records.length > 0 && chars + body.length > BATCH_CHARS_MAX)
    ) {
      yield { records, ...range };
      records = [];
      chars = 0;
    }
    range = { from: records.length === 0 ? sequence : range.from, to: sequence };
    records.push(record);
    chars += body.length;
  }
  if (records.length > 0) yield { records, ...range };
}
