/** Section `delivery`: from the spool to a receiver, beside the SDK's own processor and exporter with the same records. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fillStream } from './fill.ts';
import type { Drained } from './meter.ts';
import { startProgram, startScript, stopAll } from './programs.ts';
import { forgetReceived, readReceived } from './received.ts';
import { inRounds } from './rounds.ts';
import type { Section } from './section.ts';
import { median, ratio } from './statistics.ts';
import { count, table, times } from './table.ts';

const RECORDS = 100_000;

interface Run extends Drained {
  readonly received: number;
}

export const deliverySection: Section = {
  name: 'delivery',
  async run({ rounds, records = RECORDS, directory }) {
    const spool = join(directory, 'spool');
    const position = fillStream(spool, records);
    const receiver = await startProgram('receiver');
    const url = `http://127.0.0.1:${receiver.port}/v1/logs`;
    const plan = JSON.stringify({ name: 'bench', kind: 'otlp', endpoint: { url }, required: true });
    const drain = async (program: string, ...args: readonly string[]): Promise<Run> => {
      removeCursors(join(spool, position.stream));
      await forgetReceived(receiver.port);
      const running = startScript(program, spool, JSON.stringify(position), ...args);
      const { code } = await running.ended;
      if (code !== 0) throw new Error(`${program} ended with ${code}: ${running.stderr()}`);
      const line = running.stdout();
      const drained =
        line === '' ? { perSecond: Number.NaN, cpuUs: Number.NaN } : (JSON.parse(line) as Drained);
      return { ...drained, received: (await readReceived(receiver.port)).records };
    };
    const contenders = [
      { name: 'spool', run: () => drain('drain-spool', plan) },
      { name: 'SDK, each batch flushed', run: () => drain('drain-sdk', url, 'flushed') },
    ];
    const results = await inRounds(contenders, rounds, ({ run }) => run());
    const burst = await drain('drain-sdk', url, 'burst');
    await stopAll([receiver]);
    const [ours = [], theirs = []] = results;
    const rows = contenders.map(({ name }, index) => {
      const own = results[index] ?? [];
      return [
        name,
        count(median(own.map(({ perSecond }) => perSecond))),
        median(own.map(({ cpuUs }) => cpuUs)).toFixed(1),
        count(records - Math.min(...own.map(({ received }) => received))),
        index === 0 ? times(ratio(ours, theirs, ({ perSecond }) => perSecond)) : '',
        index === 0 ? times(ratio(ours, theirs, ({ cpuUs }) => cpuUs)) : '',
      ];
    });
    rows.push(['SDK, bursts of 4,096', '', '', count(records - burst.received), '', '']);
    const head = ['', 'records/s', 'CPU us/record', 'dropped', 'RATIO records/s', 'RATIO CPU'];
    return (
      `${count(records)} records, OTLP JSON, to a receiver in its own process. CPU is that of the whole sending process; ` +
      'reading, checking and parsing the spool is in ours, and not in the SDK’s.\n' +
      `Aim: CPU at most 2x the SDK’s, with nothing dropped.\n\n${table(head, rows)}`
    );
  },
};

/** Delivers it all once more. */
export function removeCursors(streamDirectory: string): void {
  for (const name of readdirSync(streamDirectory)) {
    if (name.startsWith('cursor.')) rmSync(join(streamDirectory, name));
  }
}
