/** What streams say of each other: who goes on from whom, who took over whom, and who is not here at all. */
import { ZERO_HASH } from './stamp.ts';
import type { Findings, Range, StreamReport } from './verify-report.ts';
import type { RecordStore } from './verify-store.ts';
import type { End, StreamFacts } from './verify-stream.ts';

export interface Crossing {
  readonly store: RecordStore;
  readonly streams: ReadonlyMap<string, StreamFacts>;
  /** Sorted records by the stream's index. */
  readonly slices: ReadonlyMap<number, Uint32Array>;
  readonly findings: Findings;
  /** Whether streams and beginnings that are not here are a finding. */
  readonly whole: boolean;
}

/** Finds the ends that other streams prove, by stream; and what is told of but not here. */
export function judgeCrossing(crossing: Crossing): Map<string, End[]> {
  const ends = new Map<string, End[]>();
  const add = (stream: string, end: End): void => void ends.set(stream, [...(ends.get(stream) ?? []), end]);
  addSuccessors(crossing, add);
  for (const facts of crossing.streams.values()) {
    for (const adoption of facts.adoptions) {
      const end = adoption.end ?? lastCheckpointBy(facts, adoption.by);
      if (end !== undefined) add(facts.stream, { kind: 'adopted', by: adoption.by, at: adoption.at, ...end });
    }
    if (crossing.whole && !crossing.slices.has(facts.index)) {
      const by = [...facts.adoptions, ...facts.checkpoints, ...facts.gaps][0]?.by ?? '';
      const text = `no record of this stream is here, but stream ${by} tells of it`;
      crossing.findings.add({ kind: 'absent', stream: facts.stream, ...rangeOf(facts), text });
    }
  }
  return ends;
}

/** Of a stream that is only told of: from its first record to the last one that somebody names. */
function rangeOf({ adoptions, checkpoints }: StreamFacts): { readonly range?: Range } {
  const named = [
    ...adoptions.map(({ end }) => end?.sequence ?? 0),
    ...checkpoints.map((one) => one.sequence),
  ];
  const to = Math.max(...named, 0);
  return to === 0 ? {} : { range: { from: 1, to } };
}

function addSuccessors(crossing: Crossing, add: (stream: string, end: End) => void): void {
  const { store, streams, findings, whole } = crossing;
  const cited = citedHashes(crossing);
  if (cited.size === 0) return;
  const names = [...streams.keys()];
  for (let record = 0; record < store.count && cited.size > 0; record += 1) {
    const hash = store.hash(record);
    const sequence = store.sequence(record);
    for (const by of cited.get(hash) ?? []) {
      add(names[store.stream(record)] ?? '', { kind: 'successor', by, at: 1, sequence, hash });
    }
    cited.delete(hash);
  }
  if (!whole) return;
  const text = 'it goes on from a record of another stream, and that record is not here';
  for (const stream of [...cited.values()].flat()) {
    findings.add({ kind: 'predecessor', stream, range: { from: 1, to: 1 }, text });
  }
}

/** The streams that begin by citing another, by the hash that they cite. */
function citedHashes({ store, streams, slices }: Crossing): Map<string, string[]> {
  const cited = new Map<string, string[]>();
  for (const { stream, index } of streams.values()) {
    const first = slices.get(index)?.[0];
    if (first === undefined || store.sequence(first) !== 1) continue;
    const hash = store.previousHash(first);
    if (hash !== ZERO_HASH) cited.set(hash, [...(cited.get(hash) ?? []), stream]);
  }
  return cited;
}

/** Who adopts a stream signs its end; that names the place where the adoption itself does not. */
function lastCheckpointBy(facts: StreamFacts, by: string): { sequence: number; hash: string } | undefined {
  let last;
  for (const checkpoint of facts.checkpoints) {
    if (checkpoint.by === by && by !== facts.stream && checkpoint.sequence >= (last?.sequence ?? 1)) {
      last = { sequence: checkpoint.sequence, hash: checkpoint.hash };
    }
  }
  return last;
}

/** Finds uids that stand at two places: a record that was put in a second time. */
export function judgeUids(
  store: RecordStore,
  chosen: readonly Uint32Array[],
  reports: readonly StreamReport[],
  findings: Findings,
): void {
  const uids = new BigUint64Array(chosen.reduce((total, records) => total + records.length, 0));
  let at = 0;
  for (const records of chosen) for (const record of records) uids[at++] = store.uid(record);
  uids.sort();
  const twice = new Set<bigint>();
  for (let next = 1; next < uids.length; next += 1) {
    const uid = uids[next];
    if (uid !== undefined && uid === uids[next - 1]) twice.add(uid);
  }
  if (twice.size === 0) return;
  const text = 'its uid also stands at another place';
  for (const [index, records] of chosen.entries()) {
    const stream = reports[index]?.stream ?? '';
    for (const record of records) {
      if (!twice.has(store.uid(record))) continue;
      const sequence = store.sequence(record);
      findings.add({ kind: 'uid_reused', stream, range: { from: sequence, to: sequence }, text });
    }
  }
}
