/** Judges one stream: its chain, its holes, its signatures, its end. */
import { chainOf, indexOf } from './verify-chain.ts';
import type { Chain } from './verify-chain.ts';
import type { PublicKey } from './signing.ts';
import { CHECKPOINT_IDLE_MS } from './checkpoint.ts';
import { FINDINGS_MAX, rangeText, RANGES_MAX } from './verify-report.ts';
import type { EndKind, FindingKind, Findings, Range, StreamReport } from './verify-report.ts';
import { FLAG } from './verify-store.ts';
import type { RecordStore } from './verify-store.ts';

/** A checkpoint over a stream, wherever it stands. */
export interface CheckpointFacts {
  /** Where it stands. */
  readonly by: string;
  readonly at: number;
  /** What it says: 0 and empty where it says nothing that can be read. */
  readonly sequence: number;
  readonly hash: string;
  readonly signature: string;
  readonly keyId: string;
}

export interface JudgedCheckpoint extends CheckpointFacts {
  readonly state: 'good' | 'bad' | 'unknown_key' | 'not_checked';
}

export interface Gap {
  readonly by: string;
  readonly at: number;
  readonly range: Range | undefined;
  readonly reason: string;
  readonly exporter: string | undefined;
}

export interface Adoption {
  readonly by: string;
  readonly at: number;
  readonly end?: { readonly sequence: number; readonly hash: string };
}

/** The end of a stream as another one proves it, at `by`'s record `at`. */
export interface End {
  readonly kind: 'successor' | 'adopted';
  readonly by: string;
  readonly at: number;
  readonly sequence: number;
  readonly hash: string;
}

/** What was gathered of one stream while reading; also of one that is only told of. */
export interface StreamFacts {
  readonly stream: string;
  readonly index: number;
  readonly names: Set<string>;
  severityMin: number;
  /** Keys that it announces, by id. */
  readonly keys: Map<string, PublicKey>;
  rotated: boolean;
  readonly checkpoints: CheckpointFacts[];
  readonly gaps: Gap[];
  readonly adoptions: Adoption[];
}

export interface StreamContext {
  readonly store: RecordStore;
  readonly findings: Findings;
  readonly facts: StreamFacts;
  readonly checkpoints: readonly JudgedCheckpoint[];
  readonly ends: readonly End[];
  /** First sequence that must be here; `any` is the first that is. */
  readonly from: number | 'any';
  /** Last sequence that is judged. */
  readonly to: number | undefined;
  readonly keysGiven: readonly PublicKey[];
  readonly nowMs: number | undefined;
}

/** How old the last signed record of a living stream may be: an idle checkpoint signs the one before it. */
const FRESH_MS = 2.5 * CHECKPOINT_IDLE_MS;
/** Holes from which on a set looks filtered and not damaged. */
const FILTERED_HOLES = 2;
const ALLOW_SEVERITY = 9;
/** What an exporter with `effects` sends. */
const PICKED: ReadonlySet<string> = new Set(['verdict.decision', 'verdict.approval']);

/** @returns the report, and the records that count, in order */
export function judgeStream(
  context: StreamContext,
  slice: Uint32Array,
): { report: StreamReport; chain: Chain } {
  const { store, facts, checkpoints, keysGiven } = context;
  const good = checkpoints.filter(({ state }) => state === 'good');
  const chain = chainOf(store, slice, new Map(good.map(({ sequence, hash }) => [sequence, hash])));
  for (const { sequence, count } of chain.rivals) {
    find(context, 'conflicting', one(sequence), `there are ${count} different records of this sequence`);
  }
  const contradicted = judgePlaces(context, chain);
  judgeKeys(context);
  const signed = new Set(
    good
      .map(({ sequence }) => indexOf(chain, sequence))
      .filter((index) => index >= 0 && !contradicted.has(index)),
  );
  judgeLinks(context, chain, signed);
  if (keysGiven.length > 0) judgeSigned(context, chain, signed);
  judgeHoles(context, chain);
  const end = judgeEnd(context, chain, signed);
  const last = chain.records.length - 1;
  const report: StreamReport = {
    stream: facts.stream,
    ok: true,
    records: chain.different,
    duplicates: slice.length - chain.different,
    proven: chain.runs
      .slice(0, RANGES_MAX)
      .map(({ from, to }) => ({ from: at(chain, from), to: at(chain, to) })),
    ...(keysGiven.length > 0 && { signedTo: signed.size === 0 ? 0 : at(chain, maxOf(signed)) }),
    end,
    keys: [...keyIds(context)],
    ...timesOf(store.timeMs(chain.records[0] ?? 0), store.timeMs(chain.records[last] ?? 0)),
  };
  return { report, chain };
}

function judgeLinks(context: StreamContext, chain: Chain, signed: ReadonlySet<number>): void {
  for (const index of chain.broken) {
    const sequence = at(chain, index);
    // A signature settles which of the two it was.
    if (signed.has(index - 1)) {
      const text = `it does not cite the hash of record ${sequence - 1}, which is signed`;
      find(context, 'changed', one(sequence), text);
    } else {
      const text = `its hash is not the one that record ${sequence} cites: one of the two was changed`;
      find(context, 'changed', one(sequence - 1), text);
    }
  }
}

/** Holds every place that somebody names against the record that is here. @returns indexes that do not fit */
function judgePlaces(context: StreamContext, chain: Chain): Set<number> {
  const wrong = new Set<number>();
  const contradict = (place: { readonly sequence: number; readonly hash: string }, where: string): void => {
    const index = indexOf(chain, place.sequence);
    if (index < 0 || context.store.hash(chain.records[index] ?? 0) === place.hash) return;
    wrong.add(index);
    find(context, 'contradicted', one(place.sequence), `it is not the record that ${where} names`);
  };
  for (const checkpoint of context.checkpoints) {
    const where = `the checkpoint at ${checkpoint.by} ${checkpoint.at}`;
    if (checkpoint.state === 'bad') {
      const range = checkpoint.sequence > 0 ? one(checkpoint.sequence) : undefined;
      find(context, 'bad_signature', range, `key ${checkpoint.keyId} did not sign ${where}`);
    } else if (checkpoint.state !== 'unknown_key') contradict(checkpoint, where);
  }
  for (const end of context.ends) contradict(end, `the ${end.kind} ${end.by}`);
  return wrong;
}

function keyIds({ facts, checkpoints }: StreamContext): Set<string> {
  const own = checkpoints.filter(({ by }) => by === facts.stream).map(({ keyId }) => keyId);
  return new Set([...facts.keys.keys(), ...own]);
}

function judgeKeys(context: StreamContext): void {
  const { facts, checkpoints, keysGiven } = context;
  const ids = keyIds(context);
  if (ids.size > 1 && !facts.rotated) {
    const text = `it names the keys ${[...ids].join(', ')}, and no record says that the key was rotated`;
    find(context, 'key_changed', undefined, text);
  }
  if (keysGiven.length === 0) return;
  const given = new Set(keysGiven.map(({ id }) => id));
  for (const id of new Set([...ids, ...checkpoints.map(({ keyId }) => keyId)])) {
    if (!given.has(id)) find(context, 'unknown_key', undefined, `key ${id} is not among those given`);
  }
}

/** Each unbroken run must be signed up to its end, but for the checkpoints that sign it. */
function judgeSigned(context: StreamContext, chain: Chain, signed: ReadonlySet<number>): void {
  const signers = new Set(
    context.checkpoints
      .filter(({ state, by }) => state === 'good' && by === context.facts.stream)
      .filter(({ sequence }) => signed.has(indexOf(chain, sequence)))
      .map((checkpoint) => checkpoint.at),
  );
  let open: Range | undefined;
  for (const run of chain.runs) {
    const range = unsignedOf(
      chain,
      run,
      (index) => signed.has(index),
      (sequence) => signers.has(sequence),
    );
    if (range === undefined) continue;
    if (open !== undefined && open.to === range.from - 1) open = { from: open.from, to: range.to };
    else {
      tellUnsigned(context, open);
      open = range;
    }
  }
  tellUnsigned(context, open);
}

function unsignedOf(
  chain: Chain,
  run: Range,
  isSigned: (index: number) => boolean,
  isSigner: (sequence: number) => boolean,
): Range | undefined {
  let range: Range | undefined;
  for (let index = run.to; index >= run.from && !isSigned(index); index -= 1) {
    const sequence = at(chain, index);
    if (!isSigner(sequence)) range = { from: sequence, to: range?.to ?? sequence };
  }
  return range;
}

function tellUnsigned(context: StreamContext, range: Range | undefined): void {
  if (range === undefined) return;
  const to = Math.min(range.to, context.to ?? Infinity);
  find(context, 'unsigned', { from: range.from, to }, 'no good checkpoint vouches for this');
}

function judgeHoles(context: StreamContext, chain: Chain): void {
  const { facts } = context;
  const holes = holesOf(context, chain);
  for (const [index, { range, where }] of holes.entries()) {
    // Of a million holes only the first are shown.
    const gaps = index < FINDINGS_MAX ? facts.gaps : [];
    const told = gaps.filter((gap) => gap.range && gap.range.from <= range.to && gap.range.to >= range.from);
    find(context, 'missing', range, `missing${where}${explanation(told)}`);
  }
  if (!isFiltered(facts, holes.length)) return;
  const text = `only ${[...facts.names].join(', ')} of severity ${facts.severityMin} and up are here: where records are filtered nothing can be proven`;
  find(context, 'filtered', undefined, text);
}

/**
 * Every stream begins with a lifecycle record and has a checkpoint within a minute: where there are decisions only,
 * they were picked out. Else one hole may be a loss; with several it is the kinds that are here that tell.
 */
function isFiltered({ names, severityMin }: StreamFacts, holes: number): boolean {
  if (holes === 0 || names.size === 0) return false;
  if ([...names].every((name) => PICKED.has(name))) return true;
  return holes >= FILTERED_HOLES && !(names.has('verdict.checkpoint') && severityMin <= ALLOW_SEVERITY);
}

function holesOf(context: StreamContext, chain: Chain): { readonly range: Range; readonly where: string }[] {
  const { from, to } = context;
  const [first, last] = [at(chain, 0), at(chain, chain.records.length - 1)];
  const holes = chain.holes.map((index) => ({
    range: { from: at(chain, index - 1) + 1, to: at(chain, index) - 1 },
    where: '',
  }));
  if (from !== 'any' && first > from) {
    holes.unshift({ range: { from, to: first - 1 }, where: ' at the beginning' });
  }
  const known = to ?? lastNamed(context);
  if (known > last) holes.push({ range: { from: last + 1, to: known }, where: ' at the end' });
  return holes;
}

/** The last record that somebody says there was. */
function lastNamed({ ends, checkpoints }: StreamContext): number {
  const believed = checkpoints.filter(({ state }) => state === 'good' || state === 'not_checked');
  return maxOf([...ends, ...believed].map(({ sequence }) => sequence));
}

function explanation(gaps: readonly Gap[]): string {
  if (gaps.length === 0) return ', and nothing explains it';
  const texts = gaps.slice(0, 3).map(({ by, at, range, reason, exporter }) => {
    const what = range === undefined ? '' : ` of ${rangeText(range)}`;
    return `record ${at} of ${by} tells of the loss${what}: ${reason}${exporter === undefined ? '' : ` (${exporter})`}`;
  });
  return `; ${texts.join('; ')}${gaps.length > texts.length ? '; and more' : ''}`;
}

function judgeEnd(context: StreamContext, chain: Chain, signed: ReadonlySet<number>): EndKind {
  const { store, ends, to } = context;
  const last = chain.records.length - 1;
  const over = [...ends].sort((a, b) => a.sequence - b.sequence)[0];
  if (over !== undefined && over.sequence < at(chain, last)) {
    const text = `the stream had ended at ${over.sequence}: ${over.by} says so`;
    find(context, 'beyond_end', { from: over.sequence + 1, to: at(chain, last) }, text);
  }
  const stop = chain.records.findLastIndex((record) => store.has(record, FLAG.stop));
  const isLate = (record: number, index: number): boolean =>
    index > stop && !store.has(record, FLAG.checkpoint);
  const late = stop < 0 ? -1 : chain.records.findIndex(isLate);
  if (late >= 0) {
    const range = { from: at(chain, late), to: at(chain, chain.records.findLastIndex(isLate)) };
    find(context, 'beyond_end', range, `the stream had been stopped at ${at(chain, stop)}`);
  }
  if (to !== undefined) return 'expected';
  if (stop >= 0) return 'stop';
  if (over !== undefined) return over.kind;
  if (isLiving(context, chain, signed)) return 'living';
  find(
    context,
    'no_end',
    one(at(chain, last)),
    'nothing shows that this was the last record: no stop, no successor, no fresh checkpoint',
  );
  return 'none';
}

/**
 * By the time of the record that was signed, never by that of the checkpoint itself, which nothing signs: otherwise
 * whoever cuts off the end could set it to now.
 */
function isLiving(
  { store, nowMs, keysGiven, checkpoints }: StreamContext,
  chain: Chain,
  signed: ReadonlySet<number>,
): boolean {
  if (nowMs === undefined) return false;
  const places =
    keysGiven.length > 0 ? signed : new Set(checkpoints.map(({ sequence }) => indexOf(chain, sequence)));
  const record = chain.records[maxOf(places)];
  return record !== undefined && Math.abs(nowMs - store.timeMs(record)) <= FRESH_MS;
}

function find(context: StreamContext, kind: FindingKind, range: Range | undefined, text: string): void {
  const { from, to, facts, findings } = context;
  if (range !== undefined && (range.from > (to ?? Infinity) || range.to < (from === 'any' ? 0 : from)))
    return;
  findings.add({ kind, stream: facts.stream, ...(range && { range }), text });
}

function at(chain: Chain, index: number): number {
  return chain.sequences[index] ?? 0;
}

function one(sequence: number): Range {
  return { from: sequence, to: sequence };
}

function maxOf(indexes: Iterable<number>): number {
  let max = -1;
  for (const index of indexes) max = Math.max(max, index);
  return max;
}

function timesOf(firstMs: number, lastMs: number): { firstTime?: string; lastTime?: string } {
  if (Number.isNaN(firstMs) || Number.isNaN(lastMs)) return {};
  return { firstTime: new Date(firstMs).toISOString(), lastTime: new Date(lastMs).toISOString() };
}
