/** What a series of measurements comes down to. Pure. */

export interface Series {
  /** Median and 99th percentile of one operation, microseconds. */
  readonly p50Us: number;
  readonly p99Us: number;
  readonly perSecond: number;
}

/** @param latenciesUs of each operation, in any order */
export function summarise(latenciesUs: readonly number[], seconds: number): Series {
  const sorted = Float64Array.from(latenciesUs).sort();
  return {
    p50Us: percentile(sorted, 0.5),
    p99Us: percentile(sorted, 0.99),
    perSecond: latenciesUs.length / seconds,
  };
}

/** Nearest rank. @param sorted ascending */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** The median of each number over the rounds: one slow round of a shared machine does not count. */
export function medianSeries(rounds: readonly Series[]): Series {
  return {
    p50Us: median(rounds.map(({ p50Us }) => p50Us)),
    p99Us: median(rounds.map(({ p99Us }) => p99Us)),
    perSecond: median(rounds.map(({ perSecond }) => perSecond)),
  };
}

/** The median of the rounds' own ratios: both sides of each were measured at nearly the same moment. */
export function ratio<T>(ours: readonly T[], theirs: readonly T[], of: (item: T) => number): number {
  return median(
    ours.flatMap((item, round) => {
      const other = theirs[round];
      return other === undefined ? [] : [of(item) / of(other)];
    }),
  );
}
