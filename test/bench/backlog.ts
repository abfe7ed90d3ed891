/** Section `backlog`: the built `serve` starts over a spool in which very much waits, and delivers it. */
import { join } from 'node:path';
import { fillStream } from './fill.ts';
import { megabytes, memoryOf } from './memory.ts';
import { startProgram, startProxy, stopAll } from './programs.ts';
import { readReceived, received } from './received.ts';
import type { Section } from './section.ts';
import { count, table } from './table.ts';

const RECORDS = 1_000_000;
const QUIET_MS = 60_000;

export const backlogSection: Section = {
  name: 'backlog',
  async run({ records = RECORDS, directory, say }) {
    const { stream } = fillStream(join(directory, 'spool'), records);
    say(`${count(records)} records wait`);
    const receiver = await startProgram('receiver');
    const startMs = Date.now();
    const proxy = await startProxy({
      directory,
      durability: 'sync',
      upstream: 9,
      otlpPort: receiver.port,
    });
    const servingMs = Date.now() - startMs;
    const { firstMs = 0 } = await received(receiver.port, ({ records }) => records > 0, QUIET_MS);
    const early = memoryOf(proxy.child.pid);
    const all = ({ streams }: { streams: Readonly<Record<string, { readonly last: number }>> }): boolean =>
      (streams[stream]?.last ?? 0) >= records;
    await received(receiver.port, all, QUIET_MS);
    const { lastMs = 0, streams } = await readReceived(receiver.port);
    const late = memoryOf(proxy.child.pid);
    await stopAll([proxy, receiver]);
    const { skipped = 0, repeated = 0 } = streams[stream] ?? {};
    const rows = [
      ['start to serving', `${(servingMs / 1000).toFixed(2)} s`, ''],
      ['start to first record delivered', `${((firstMs - startMs) / 1000).toFixed(2)} s`, '< 5 s'],
      ['drained', `${count((records / (lastMs - firstMs)) * 1000)} records/s`, ''],
      ['resident memory at the first record', megabytes(early.nowBytes), ''],
      ['resident memory, most', megabytes(late.peakBytes), '< 200 MB'],
      ['skipped, repeated', `${skipped}, ${repeated}`, '0, 0'],
    ];
    return `${count(records)} records waiting, adopted by a fresh \`serve\`.\n\n${table(['', 'measured', 'aim'], rows)}`;
  },
};
