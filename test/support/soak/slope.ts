/** How fast something grows, told robustly. Pure. */

export interface Point {
  readonly minutes: number;
  readonly value: number;
}

export interface Slope {
  /** Units of the value in a minute. */
  readonly perMinute: number;
  /** 95 % limits: with no true growth, one in forty runs has a `low` above zero. */
  readonly low: number;
  readonly high: number;
}

/** Standard normal distribution, 97.5 %. */
const Z = 1.96;

/**
 * Theil and Sen's slope: the median of the slopes between all pairs of points. A burst of up to 29 % of wild points does
 * not move it. Its limits are Sen's, from the variance of Kendall's S.
 * @param points at least three, at different times
 */
export function slopeOf(points: readonly Point[]): Slope {
  const slopes: number[] = [];
  for (const [index, later] of points.entries()) {
    for (const earlier of points.slice(0, index)) {
      slopes.push((later.value - earlier.value) / (later.minutes - earlier.minutes));
    }
  }
  slopes.sort((a, b) => a - b);
  const count = points.length;
  const spread = Z * Math.sqrt((count * (count - 1) * (2 * count + 5)) / 18);
  const at = (index: number): number =>
    slopes[Math.max(0, Math.min(slopes.length - 1, Math.round(index)))] ?? Number.NaN;
  return {
    perMinute: (at(Math.floor((slopes.length - 1) / 2)) + at(Math.ceil((slopes.length - 1) / 2))) / 2,
    low: at((slopes.length - spread) / 2 - 1),
    high: at((slopes.length + spread) / 2),
  };
}
