/** Puts the records of one stream in order, and finds where the chain holds. */
import type { Range } from './verify-report.ts';
import type { RecordStore } from './verify-store.ts';

export interface Chain {
  /** One record a sequence, in order. */
  readonly records: Uint32Array;
  readonly sequences: Float64Array;
  /** Different bodies, those that lost against another of the same sequence too. */
  readonly different: number;
  /** Sequences that have more than one body. */
  readonly rivals: readonly { readonly sequence: number; readonly count: number }[];
  /** Indexes before which sequences are missing. */
  readonly holes: readonly number[];
  /** Indexes of records that do not cite the one before. */
  readonly broken: readonly number[];
  /** Unbroken stretches, as indexes. */
  readonly runs: readonly Range[];
}

/** Different bodies of one sequence that are told apart; more are told as so many. */
const RIVALS_MAX = 16;

/**
 * @param slice the stream's records by sequence, duplicates too
 * @param attested hashes (hex) that good checkpoints name, by sequence
 */
export function chainOf(
  store: RecordStore,
  slice: Uint32Array,
  attested: ReadonlyMap<number, string>,
): Chain {
  const records = new Uint32Array(slice.length);
  const rivals = new Map<number, number[]>();
  let length = 0;
  let different = 0;
  for (let start = 0; start < slice.length;) {
    const first = slice[start] ?? 0;
    const sequence = store.sequence(first);
    let bodies: number[] | undefined;
    let next = start + 1;
    for (; next < slice.length && store.sequence(slice[next] ?? 0) === sequence; next += 1) {
      const record = slice[next] ?? 0;
      bodies ??= [first];
      if (bodies.length < RIVALS_MAX && !bodies.some((body) => store.same(body, record))) bodies.push(record);
    }
    if (bodies !== undefined && bodies.length > 1) rivals.set(length, bodies);
    different += bodies?.length ?? 1;
    records[length++] = first;
    start = next;
  }
  const chosen = records.subarray(0, length);
  choose(store, chosen, rivals, attested);
  const sequences = Float64Array.from(chosen, (record) => store.sequence(record));
  const told = [...rivals].map(([index, bodies]) => ({
    sequence: sequences[index] ?? 0,
    count: bodies.length,
  }));
  return { records: chosen, sequences, different, rivals: told, ...linksOf(store, chosen, sequences) };
}

/** The index of a sequence, -1 where it is not here. */
export function indexOf({ sequences }: Pick<Chain, 'sequences'>, sequence: number): number {
  let [low, high] = [0, sequences.length - 1];
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const found = sequences[middle] ?? 0;
    if (found === sequence) return middle;
    if (found < sequence) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

/**
 * Of rivals, the one that is signed counts, else the one that the successor cites: from the end backwards. The last
 * has no successor: there the one that cites the record before.
 */
function choose(
  store: RecordStore,
  chosen: Uint32Array,
  rivals: ReadonlyMap<number, readonly number[]>,
  attested: ReadonlyMap<number, string>,
): void {
  for (const [index, bodies] of [...rivals].toReversed()) {
    const first = bodies[0] ?? 0;
    const signed = attested.get(store.sequence(first));
    const successor = chosen[index + 1];
    chosen[index] =
      bodies.find((body) => store.hash(body) === signed) ??
      bodies.find((body) => successor !== undefined && store.follows(successor, body)) ??
      first;
  }
  const last = chosen.length - 1;
  const before = chosen[last - 1];
  const next =
    before === undefined ? undefined : rivals.get(last)?.find((body) => store.follows(body, before));
  if (next !== undefined) chosen[last] = next;
}

function linksOf(
  store: RecordStore,
  chosen: Uint32Array,
  sequences: Float64Array,
): Pick<Chain, 'holes' | 'broken' | 'runs'> {
  const holes: number[] = [];
  const broken: number[] = [];
  const runs: Range[] = [];
  let from = 0;
  for (let index = 1; index < chosen.length; index += 1) {
    if (sequences[index] !== (sequences[index - 1] ?? 0) + 1) holes.push(index);
    else if (!store.follows(chosen[index] ?? 0, chosen[index - 1] ?? 0)) broken.push(index);
    else continue;
    runs.push({ from, to: index - 1 });
    from = index;
  }
  runs.push({ from, to: chosen.length - 1 });
  return { holes, broken, runs };
}
