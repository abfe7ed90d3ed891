/** Section `commit`: a record made durable by the spool's writer, beside a bare write + fdatasync. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { halve } from '../../src/event/halves.ts';
import { startSpoolWriter } from '../../src/spool/writer.ts';
import type { BareKind, BareOptions } from './disk.ts';
import { IDENTITY, makeRecord } from './records.ts';
import { closedLoop, inRounds, WARM_UP_MS } from './rounds.ts';
import type { Section } from './section.ts';
import { medianSeries, ratio } from './statistics.ts';
import type { Series } from './statistics.ts';
import { count, ms, table, times } from './table.ts';

const CALLERS = [1, 32, 256];
/** What a line of the spool has beside the body: tabs, offset, CRC, LF. */
const FRAME_BYTES = 18;

export const commitSection: Section = {
  name: 'commit',
  async run({ rounds, slotMs, directory, say }) {
    const writer = await startSpoolWriter({
      directory: `${directory}/spool`,
      durability: 'sync',
      identity: IDENTITY,
      onTrouble: say,
      onSucceeded: () => say('the stream was succeeded by another'),
    });
    const worker = new Worker(new URL('./bare-worker.ts', import.meta.url));
    const bytes = Buffer.byteLength(bodyText()) + FRAME_BYTES;
    const spool = (callers: number, durationMs: number): Promise<Series> =>
      closedLoop(callers, durationMs, () => {
        const { uid, record } = makeRecord();
        writer.append(uid, halve(record), false);
        return writer.recorded(uid);
      });
    const bare = async (kind: BareKind, records: number): Promise<Series> => {
      const options: BareOptions = { directory, durationMs: slotMs, records, recordBytes: bytes, kind };
      // oxlint-disable-next-line unicorn/require-post-message-target-origin
      worker.postMessage(options);
      const [series] = (await once(worker, 'message')) as [Series];
      return series;
    };
    await spool(256, WARM_UP_MS);
    await spool(1, WARM_UP_MS);
    const rows: string[][] = [];
    for (const callers of CALLERS) {
      const contenders = [
        { name: 'spool', run: () => spool(callers, slotMs) },
        { name: 'bare, growing file', run: () => bare('append', callers) },
        { name: 'bare, file filled before', run: () => bare('filled', callers) },
      ];
      const results = await inRounds(contenders, rounds, ({ run }) => run());
      for (const [index, { name }] of contenders.entries()) {
        const own = results[index] ?? [];
        const { p50Us, p99Us, perSecond } = medianSeries(own);
        const ours = results[0] ?? [];
        rows.push([
          `${callers} ${name}`,
          ms(p50Us),
          ms(p99Us),
          count(perSecond),
          index === 0 ? '' : times(ratio(ours, own, (series) => series.p50Us)),
          index === 0 ? '' : times(ratio(ours, own, (series) => series.perSecond)),
        ]);
      }
    }
    await worker.terminate();
    await writer.stop(10_000);
    const head = ['callers', 'p50 ms', 'p99 ms', 'records/s', 'RATIO p50, spool to it', 'RATIO records/s'];
    return (
      `A record of ${bytes} bytes, appended and durable. The bare loop writes what all callers wait for, and syncs.\n` +
      `Aims: at 1 caller p50 at most 2x the bare loop's; at 256 at least 15,000 records/s.\n\n${table(head, rows)}`
    );
  },
};

function bodyText(): string {
  const { head, tail } = halve(makeRecord().record);
  // The place: three members with a UUID, a hash and a number.
  return `${head}${'p'.repeat(180)}${tail}`;
}
