/** Section `format`: CPU time of one record in each format, beside the SDK's serializer of OTLP/JSON. */
import { JsonLogsSerializer } from '@opentelemetry/otlp-transformer';
import { firstLink, stamp } from '../../src/event/stamp.ts';
import { originOf, SpooledLogRecord } from '../../src/export/spooled-log-record.ts';
import { FORMATS } from '../../src/format/formats.ts';
import { formattedRecord } from '../../src/format/record.ts';
import type { FormattedRecord } from '../../src/format/record.ts';
import { IDENTITY, makeRecord } from './records.ts';
import { inRounds, WARM_UP_MS } from './rounds.ts';
import type { Section } from './section.ts';
import { median } from './statistics.ts';
import { count, table } from './table.ts';

/** Different ones, so that nothing is kept from one to the next. */
const RECORDS = 1000;
const STREAM = '019aaaaa-0000-7000-8000-000000000001';

interface Contender {
  readonly name: string;
  /** @returns bytes of UTF-8 */
  readonly run: (record: FormattedRecord) => number;
}

export const formatSection: Section = {
  name: 'format',
  async run({ rounds, slotMs }) {
    const records = chain();
    const origin = originOf(IDENTITY);
    const contenders: Contender[] = [
      ...FORMATS.map(({ name, encode }) => ({
        name,
        run: (record: FormattedRecord) => Buffer.byteLength(encode(record)),
      })),
      {
        name: "otlp-json, the SDK's serializer, which reads the body first",
        run: ({ body }) =>
          JsonLogsSerializer.serializeRequest([new SpooledLogRecord(body, origin)])?.length ?? 0,
      },
      {
        name: 'reading a body, which all of them need',
        run: ({ body }) => formattedRecord(body, IDENTITY).body.length,
      },
    ];
    for (const contender of contenders) measure(contender, records, WARM_UP_MS / contenders.length);
    const results = await inRounds(contenders, rounds, (contender) =>
      Promise.resolve(measure(contender, records, slotMs)),
    );
    const rows = contenders.map(({ name }, index) => {
      const own = results[index] ?? [];
      const cpuUs = median(own.map((result) => result.cpuUs));
      return [name, cpuUs.toFixed(2), count(1e6 / cpuUs), count(median(own.map((result) => result.bytes)))];
    });
    const head = ['format', 'CPU us/record', 'records/s of one core', 'bytes/record'];
    return (
      'One denial of an ordinary tool call, from the record as the pump has it to a line.\n' +
      `Aims: json under 5 us, the others under 25 us.\n\n${table(head, rows)}`
    );
  },
};

/** CPU time of this process, so that others on the machine do not count. */
function measure(
  { run }: Contender,
  records: readonly FormattedRecord[],
  durationMs: number,
): { readonly cpuUs: number; readonly bytes: number } {
  const endMs = performance.now() + durationMs;
  const before = process.cpuUsage();
  let [done, bytes] = [0, 0];
  do {
    for (const record of records) bytes += run(record);
    done += records.length;
  } while (performance.now() < endMs);
  const { user, system } = process.cpuUsage(before);
  return { cpuUs: (user + system) / done, bytes: bytes / done };
}

function chain(): FormattedRecord[] {
  let link = firstLink(STREAM);
  return Array.from({ length: RECORDS }, () => {
    const { body, next } = stamp(link, makeRecord().record);
    link = next;
    return formattedRecord(body, IDENTITY);
  });
}
