/** Calls by several ways, measured in rounds and set beside one of them. */
import { cpuUsOf } from './cpu.ts';
import { closedLoop, inRounds, WARM_UP_MS } from './rounds.ts';
import type { SectionOptions } from './section.ts';
import { medianSeries, ratio } from './statistics.ts';
import type { Series } from './statistics.ts';
import { count, ms, table, times } from './table.ts';

export interface Contender {
  readonly name: string;
  readonly call: () => Promise<void>;
  /** The process between client and upstream, where there is one. */
  readonly pid?: number | undefined;
}

export interface Comparison {
  readonly contenders: readonly Contender[];
  /** Index of the contender that the others are measured by. */
  readonly base: number;
  readonly callers: readonly number[];
}

interface Round extends Series {
  readonly calls: number;
  /** CPU time of the contender's process; NaN where it is not known. */
  readonly cpuUs: number;
}

const WARM_UP_CALLERS = 32;
/** By calls and not by time, because a busy machine compiles late: until then a call costs up to twice as much. */
const WARM_UP_CALLS = 10_000;

/** @returns a table */
export async function compareCalls(options: SectionOptions, comparison: Comparison): Promise<string> {
  const { contenders, base, callers } = comparison;
  const baseName = contenders[base]?.name ?? '';
  for (const contender of contenders) await warmUp(contender);
  const rows: string[][] = [];
  for (const each of callers) {
    const results = await inRounds(contenders, options.rounds, (contender) =>
      measure(contender, each, options.slotMs),
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
        cpuPerCall(own),
        index === base ? '' : `${p50Us < baseP50Us ? '-' : '+'}${ms(Math.abs(p50Us - baseP50Us))}`,
        index === base ? '' : times(ratio(own, baseRounds, (series) => series.perSecond)),
      ]);
    }
  }
  return table(
    [
      'callers',
      'p50 ms',
      'p99 ms',
      'calls/s',
      'CPU us/call',
      `p50 ms to ${baseName}`,
      `RATIO calls/s to ${baseName}`,
    ],
    rows,
  );
}

async function warmUp(contender: Contender): Promise<void> {
  for (let calls = 0; calls < WARM_UP_CALLS;) {
    calls += (await measure(contender, WARM_UP_CALLERS, WARM_UP_MS)).calls;
  }
}

async function measure({ call, pid }: Contender, callers: number, durationMs: number): Promise<Round> {
  let calls = 0;
  const beforeUs = cpuUsOf(pid);
  const series = await closedLoop(callers, durationMs, async () => {
    await call();
    calls += 1;
  });
  return { ...series, calls, cpuUs: cpuUsOf(pid) - beforeUs };
}

/** Over all rounds, because the system counts CPU time in steps that are coarse for one. */
function cpuPerCall(rounds: readonly Round[]): string {
  const sum = (of: (round: Round) => number): number => rounds.reduce((total, round) => total + of(round), 0);
  const cpuUs = sum((round) => round.cpuUs) / sum((round) => round.calls);
  return Number.isNaN(cpuUs) ? '' : count(cpuUs);
}
