/** Calls by several ways, measured in rounds and set beside one of them. */
import { cpuUsOf, familyCpuUsOf } from './cpu.ts';
import { closedLoop, inRounds, WARM_UP_MS } from './rounds.ts';
import type { SectionOptions } from './section.ts';
import { median, medianSeries, ratio } from './statistics.ts';
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

export interface Round extends Series {
  readonly calls: number;
  /** CPU time of the contender's process; NaN where it is not known. */
  readonly cpuUs: number;
  /** The same with the processes that it has started. */
  readonly familyCpuUs: number;
}

const WARM_UP_CALLERS = 32;

/** @returns a table */
export async function compareCalls(options: SectionOptions, comparison: Comparison): Promise<string> {
  const { contenders, base, callers } = comparison;
  const baseName = contenders[base]?.name ?? '';
  await warmUp(options, contenders);
  const rows: string[][] = [];
  for (const each of callers) {
    const results = await measureCalls(options, contenders, each);
    const baseRounds = results[base] ?? [];
    for (const [index, { name }] of contenders.entries()) {
      const own = results[index] ?? [];
      rows.push([
        ...rowOf(`${each} ${name}`, own),
        perCall(own, (round) => round.cpuUs),
        index === base ? '' : signedMs(addedUs(own, baseRounds, (series) => series.p50Us)),
        index === base ? '' : times(ratio(own, baseRounds, (series) => series.perSecond)),
      ]);
    }
  }
  return table([...ROW_HEAD, 'CPU us/call', `p50 ms to ${baseName}`, `RATIO calls/s to ${baseName}`], rows);
}

/** What stands above the cells of `rowOf`. */
export const ROW_HEAD = ['callers', 'p50 ms', 'p99 ms', 'calls/s'] as const;

export function rowOf(name: string, rounds: readonly Round[]): string[] {
  const { p50Us, p99Us, perSecond } = medianSeries(rounds);
  return [name, ms(p50Us), ms(p99Us), count(perSecond)];
}

/** How much longer one takes than another, in the middle of the rounds, microseconds. */
export function addedUs(
  own: readonly Round[],
  base: readonly Round[],
  of: (series: Series) => number,
): number {
  return median(
    own.flatMap((round, index) => (base[index] === undefined ? [] : of(round) - of(base[index]))),
  );
}

/** Milliseconds with their sign. */
export function signedMs(us: number): string {
  return `${us < 0 ? '-' : '+'}${ms(Math.abs(us))}`;
}

export async function warmUp(
  { warmUpCalls }: SectionOptions,
  contenders: readonly Contender[],
): Promise<void> {
  for (const contender of contenders) {
    for (let calls = 0; calls < warmUpCalls;) {
      calls += (await measure(contender, WARM_UP_CALLERS, WARM_UP_MS)).calls;
    }
  }
}

/** @returns the rounds of each contender, in their order */
export function measureCalls(
  { rounds, slotMs }: SectionOptions,
  contenders: readonly Contender[],
  callers: number,
): Promise<Round[][]> {
  return inRounds(contenders, rounds, (contender) => measure(contender, callers, slotMs));
}

async function measure({ call, pid }: Contender, callers: number, durationMs: number): Promise<Round> {
  let calls = 0;
  const before = { cpuUs: cpuUsOf(pid), familyCpuUs: familyCpuUsOf(pid) };
  const series = await closedLoop(callers, durationMs, async () => {
    await call();
    calls += 1;
  });
  return {
    ...series,
    calls,
    cpuUs: cpuUsOf(pid) - before.cpuUs,
    familyCpuUs: familyCpuUsOf(pid) - before.familyCpuUs,
  };
}

/** Over all rounds, because the system counts CPU time in steps that are coarse for one. */
export function perCall(rounds: readonly Round[], of: (round: Round) => number): string {
  const cpuUs = costOf(rounds, of);
  return Number.isNaN(cpuUs) ? '' : count(cpuUs);
}

/** Microseconds of a call; NaN where they are not known. */
export function costOf(rounds: readonly Round[], of: (round: Round) => number): number {
  const sum = (of: (round: Round) => number): number => rounds.reduce((total, round) => total + of(round), 0);
  return sum(of) / sum((round) => round.calls);
}
