/** Rounds in which everything that is compared takes its turn, so that a noisy minute hits all alike. */
import { summarise } from './statistics.ts';
import type { Series } from './statistics.ts';

export interface RoundOptions {
  readonly rounds: number;
  /** How long one contender is measured in one round. */
  readonly slotMs: number;
}

/** @returns what each contender got in each round, in the order of the contenders */
export async function inRounds<C, R>(
  contenders: readonly C[],
  rounds: number,
  measure: (contender: C) => Promise<R>,
): Promise<R[][]> {
  const results: R[][] = contenders.map(() => []);
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < contenders.length; turn += 1) {
      // Another one begins each round: whoever follows a heavy one is not always the same.
      const index = (turn + round) % contenders.length;
      const contender = contenders[index];
      if (contender !== undefined) results[index]?.push(await measure(contender));
    }
  }
  return results;
}

/** Before the first round: what is compiled while it is measured is measured too low. */
export const WARM_UP_MS = 1500;

/** So many callers, each of which waits for its answer before it asks again. */
export async function closedLoop(
  callers: number,
  durationMs: number,
  call: (caller: number) => Promise<void>,
): Promise<Series> {
  const latenciesUs: number[] = [];
  const startMs = performance.now();
  const endMs = startMs + durationMs;
  const run = async (caller: number): Promise<void> => {
    let beforeMs = performance.now();
    while (beforeMs < endMs) {
      await call(caller);
      const afterMs = performance.now();
      latenciesUs.push((afterMs - beforeMs) * 1000);
      beforeMs = afterMs;
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => run(caller)));
  return summarise(latenciesUs, (performance.now() - startMs) / 1000);
}
