/** Calls by several ways, measured in rounds and set beside one of them. */
import { closedLoop, inRounds, WARM_UP_MS } from './rounds.ts';
import type { SectionOptions } from './section.ts';
import { medianSeries, ratio } from './statistics.ts';
import { count, ms, table, times } from './table.ts';

export interface Comparison {
  readonly contenders: readonly { readonly name: string; readonly call: () => Promise<void> }[];
  /** Index of the contender that the others are measured by. */
  readonly base: number;
  readonly callers: readonly number[];
}

const WARM_UP_CALLERS = 32;

/** @returns a table */
export async function compareCalls(options: SectionOptions, comparison: Comparison): Promise<string> {
  const { contenders, base, callers } = comparison;
  const baseName = contenders[base]?.name ?? '';
  for (const { call } of contenders) await closedLoop(WARM_UP_CALLERS, WARM_UP_MS, call);
  const rows: string[][] = [];
  for (const each of callers) {
    const results = await inRounds(contenders, options.rounds, ({ call }) =>
      closedLoop(each, options.slotMs, call),
    );
    const baseRounds = results[base] ?? [];
    const baseP50Us = medianSeries(baseRounds).p50Us;
    for (const [index, { name }] of contenders.entries()) {
      const own = results[index] ?? [];
      const { p50Us, p99Us, perSecond } = medianSeries(own);
      rows.push([
        `${each} ${name}`,
        ms(p50Us),
        ms(p99Us),
        count(perSecond),
        index === base ? '' : `${p50Us < baseP50Us ? '-' : '+'}${ms(Math.abs(p50Us - baseP50Us))}`,
        index === base ? '' : times(ratio(own, baseRounds, (series) => series.perSecond)),
      ]);
    }
  }
  return table(
    ['callers', 'p50 ms', 'p99 ms', 'calls/s', `p50 ms to ${baseName}`, `RATIO calls/s to ${baseName}`],
    rows,
  );
}
