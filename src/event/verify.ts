/**
 * Verification over bodies from anywhere: any order, duplicates, several streams. It holds what proves a stream:
 * each record cites the hash of the one before, sequences have no hole, checkpoints are signed, the end is shown.
 */
import { isHash, differingKeys, placeOf, readBody, textOf, textsOf } from './verify-body.ts';
import type { BodyFacts, Members } from './verify-body.ts';
import { judgeCrossing, judgeUids } from './verify-crossing.ts';
import { isProbe } from './verify-probe.ts';
import { Findings } from './verify-report.ts';
import type { Finding, VerifyReport } from './verify-report.ts';
import { FLAG, RecordStore } from './verify-store.ts';
import { judgeStream } from './verify-stream.ts';
import type { Adoption, CheckpointFacts, End, Gap, StreamFacts } from './verify-stream.ts';
import { parsePublicKey, verifyPlace } from './signing.ts';
import type { PublicKey } from './signing.ts';

/** How the records must lie for the check to be good. */
export interface Expectation {
  /** First sequence of every stream; `any` takes each stream from its first record here. Default 1. */
  readonly from?: number | 'any' | undefined;
  /** Last sequence that is judged; then no end needs to be shown. Default: to the end. */
  readonly to?: number | undefined;
}

export interface VerifierOptions {
  /** Keys that may have signed; without any, signatures prove nothing and the report says so. */
  readonly publicKeys?: readonly PublicKey[] | undefined;
  readonly expect?: Expectation | undefined;
  /** Judges this stream only; the others are read for what they say of it. */
  readonly only?: string | undefined;
  /** Milliseconds since the Unix epoch. Without it no stream counts as still being written. */
  readonly nowMs?: number | undefined;
}

export interface Verifier {
  /**
   * Takes one body. Never throws.
   * @param attributes what the LogRecord beside it says, under the keys of the body
   * @param where where it comes from, for whoever must look for what cannot be read
   * @returns the stream that it names, undefined where it is none of a record
   */
  add(body: string, attributes?: Readonly<Record<string, unknown>>, where?: string): string | undefined;
  /** Counts something that should have been a record and cannot be read. */
  unreadable(text: string): void;
  /** Judges all that was added so far. */
  report(): VerifyReport;
}

interface Intake {
  readonly options: VerifierOptions;
  readonly store: RecordStore;
  readonly streams: Map<string, StreamFacts>;
  readonly findings: Finding[];
}

const NONE = new Uint32Array();

/** Of what is wrong with single records, so many are kept while reading. */
const EARLY_FINDINGS_MAX = 10_000;

export function createVerifier(options: VerifierOptions = {}): Verifier {
  const intake: Intake = { options, store: new RecordStore(), streams: new Map(), findings: [] };
  let dropped = 0;
  const find = (finding: Finding): void => {
    if (intake.findings.length < EARLY_FINDINGS_MAX) intake.findings.push(finding);
    else dropped += 1;
  };
  return {
    add(body, attributes, where) {
      const facts = readBody(body);
      if (facts === undefined) {
        const text = 'this is not the body of a record';
        find({ kind: 'unreadable', text: where === undefined ? text : `${where}: ${text}` });
        return undefined;
      }
      take(intake, facts);
      const place = { stream: facts.stream, range: { from: facts.sequence, to: facts.sequence } };
      if (!facts.canonical) {
        find({ kind: 'reformatted', ...place, text: 'the body was parsed and written again on its way' });
      }
      const keys = attributes === undefined ? [] : differingKeys(facts.members, attributes);
      if (keys.length > 0) {
        find({ kind: 'attributes', ...place, text: `attributes differ from the body: ${keys.join(', ')}` });
      }
      return facts.stream;
    },
    unreadable: (text) => find({ kind: 'unreadable', text }),
    report: () => judge(intake, dropped),
  };
}

function take({ store, streams }: Intake, facts: BodyFacts): void {
  const own = factsOf(streams, facts.stream);
  const { members } = facts;
  let flags = 0;
  own.names.add(facts.name);
  own.severityMin = Math.min(own.severityMin, facts.severity);
  if (facts.name === 'verdict.checkpoint') {
    flags = FLAG.checkpoint;
    takeCheckpoint(streams, facts);
  } else if (facts.name === 'verdict.lifecycle') {
    flags = lifecycleFlags(members);
    takeLifecycle(streams, own, facts);
  } else if (facts.name === 'verdict.gap') {
    takeGap(streams, facts);
  }
  store.add(own.index, facts, flags);
}

/** A probe that speaks of other streams is none: what it says would count, and nobody would ask who said it. */
function lifecycleFlags(members: Members): number {
  const state = members.get('verdict.lifecycle.state');
  if (state === 'stop') return FLAG.stop;
  return state === 'doctor' && !members.has('verdict.lifecycle.adopted') ? FLAG.doctor : 0;
}

function factsOf(streams: Map<string, StreamFacts>, stream: string): StreamFacts {
  const known = streams.get(stream);
  if (known !== undefined) return known;
  const fresh: StreamFacts = {
    stream,
    index: streams.size,
    names: new Set(),
    severityMin: Infinity,
    keys: new Map(),
    rotated: false,
    checkpoints: [],
    gaps: [],
    adoptions: [],
  };
  streams.set(stream, fresh);
  return fresh;
}

function takeCheckpoint(
  streams: Map<string, StreamFacts>,
  { stream: by, sequence: at, members }: BodyFacts,
): void {
  const stream = textOf(members, 'verdict.checkpoint.stream');
  const sequence = placeOf(members, 'verdict.checkpoint.sequence');
  const hash = textOf(members, 'verdict.checkpoint.hash');
  const facts: CheckpointFacts = {
    by,
    at,
    sequence: sequence ?? 0,
    hash: isHash(hash) ? hash : '',
    signature: textOf(members, 'verdict.checkpoint.signature') ?? '',
    keyId: textOf(members, 'verdict.checkpoint.key_id') ?? '',
  };
  factsOf(streams, stream ?? by).checkpoints.push(facts);
}

function takeLifecycle(streams: Map<string, StreamFacts>, own: StreamFacts, facts: BodyFacts): void {
  const { members } = facts;
  if (members.get('verdict.lifecycle.state') === 'key_rotated') own.rotated = true;
  const text = textOf(members, 'verdict.lifecycle.public_key');
  const key = text === undefined ? undefined : parsePublicKey(text);
  if (key !== undefined) own.keys.set(key.id, key);
  for (const item of textsOf(members, 'verdict.lifecycle.adopted')) {
    const { stream, ...adoption } = parseAdoption(item);
    factsOf(streams, stream).adoptions.push({ by: facts.stream, at: facts.sequence, ...adoption });
  }
}

/** An item of `verdict.lifecycle.adopted` that also tells how far the stream came, which proves its end. */
export function adoptionText(end: {
  readonly stream: string;
  readonly sequence: number;
  readonly hash: string;
}) {
  return `${end.stream} ${end.sequence} ${end.hash}`;
}

function parseAdoption(item: string): { stream: string } & Omit<Adoption, 'by' | 'at'> {
  const [stream = '', sequence, hash] = item.split(' ');
  const place = Number(sequence);
  if (!Number.isSafeInteger(place) || !isHash(hash)) return { stream };
  return { stream, end: { sequence: place, hash } };
}

function takeGap(streams: Map<string, StreamFacts>, { stream: by, sequence: at, members }: BodyFacts): void {
  const stream = textOf(members, 'verdict.gap.stream');
  if (stream === undefined) return;
  const from = placeOf(members, 'verdict.gap.from');
  const gap: Gap = {
    by,
    at,
    range: from === undefined ? undefined : { from, to: placeOf(members, 'verdict.gap.to') ?? from },
    reason: textOf(members, 'verdict.gap.reason') ?? 'unknown',
    exporter: textOf(members, 'verdict.gap.exporter'),
  };
  factsOf(streams, stream).gaps.push(gap);
}

function judge({ options, store, streams, findings: early }: Intake, dropped: number): VerifyReport {
  const findings = new Findings();
  const { publicKeys = [], expect = {}, only, nowMs } = options;
  const from = expect.from ?? 1;
  const whole = only === undefined && from !== 'any';
  const slices = slicesOf(store);
  const ends = judgeCrossing({ store, streams, slices, findings, whole });
  const probes = new Set(
    [...streams.values()]
      .filter((facts) => isProbe(store, slices.get(facts.index) ?? NONE, facts, ends.get(facts.stream)))
      .map(({ stream }) => stream),
  );
  const upTo = judgedStreams(streams, ends, options);
  for (const stream of probes) upTo.delete(stream);
  for (const finding of early)
    if (finding.stream === undefined || upTo.has(finding.stream)) findings.add(finding);
  if (dropped > 0)
    findings.add({ kind: 'unreadable', text: `${dropped} more records are unreadable or differ` });
  const judged = [...upTo].flatMap(([stream, to]) => {
    const facts = streams.get(stream);
    const slice = facts && slices.get(facts.index);
    if (facts === undefined || slice === undefined) return [];
    const checkpoints = facts.checkpoints.map((checkpoint) => ({
      ...checkpoint,
      state: stateOf(checkpoint, stream, publicKeys, streams),
    }));
    const found = { store, findings, facts, checkpoints, ends: ends.get(stream) ?? [] };
    return [judgeStream({ ...found, from, to, keysGiven: publicKeys, nowMs }, slice)];
  });
  const chains = judged.map(({ chain }) => chain.records);
  const reports = judged.map(({ report }) => report);
  judgeUids(store, chains, reports, findings);
  if (!reports.some(({ stream }) => only === undefined || stream === only)) {
    const text =
      only !== undefined && probes.has(only)
        ? `${only} is the one record that doctor sent, which proves nothing`
        : `there is no record${only === undefined ? '' : ` of ${only}`} here`;
    findings.add({ kind: 'nothing', text });
  }
  return {
    ok: findings.kept.length === 0,
    records: sum(reports.map(({ records }) => records)),
    duplicates: sum(reports.map(({ duplicates }) => duplicates)),
    probes: probes.size,
    signatures: publicKeys.length > 0 ? 'checked' : 'not_checked',
    streams: reports.map((report) => ({ ...report, ok: !findings.concerns(report.stream) })),
    findings: findings.kept,
    more: findings.more,
  };
}

/**
 * The streams to judge, each up to which sequence. With `only`, also those that show its end, as far as the record
 * that does: whoever cuts a stream short could else forge its successor.
 */
function judgedStreams(
  streams: ReadonlyMap<string, StreamFacts>,
  ends: ReadonlyMap<string, readonly End[]>,
  { only, expect }: VerifierOptions,
): Map<string, number | undefined> {
  if (only === undefined) return new Map([...streams.keys()].map((stream) => [stream, expect?.to]));
  const judged = new Map<string, number | undefined>([[only, expect?.to]]);
  if (expect?.to !== undefined) return judged;
  for (const { by, at } of ends.get(only) ?? []) {
    if (by !== only) judged.set(by, Math.max(at, judged.get(by) ?? 0));
  }
  return judged;
}

/** The sorted records of each stream, by the stream's index. */
function slicesOf(store: RecordStore): Map<number, Uint32Array> {
  const order = store.sorted();
  const slices = new Map<number, Uint32Array>();
  let start = 0;
  for (let at = 1; at <= order.length; at += 1) {
    const index = store.stream(order[start] ?? 0);
    if (at < order.length && store.stream(order[at] ?? 0) === index) continue;
    slices.set(index, order.subarray(start, at));
    start = at;
  }
  return slices;
}

/** Without keys given, a signature is held against the key that its own stream announces: better than nothing. */
function stateOf(
  checkpoint: CheckpointFacts,
  stream: string,
  given: readonly PublicKey[],
  streams: ReadonlyMap<string, StreamFacts>,
): 'good' | 'bad' | 'unknown_key' | 'not_checked' {
  const announced = streams.get(checkpoint.by)?.keys.get(checkpoint.keyId);
  const key = given.length > 0 ? given.find(({ id }) => id === checkpoint.keyId) : announced;
  if (key === undefined) return given.length > 0 ? 'unknown_key' : 'not_checked';
  const place = { stream, sequence: checkpoint.sequence, hash: checkpoint.hash };
  return verifyPlace(key, place, checkpoint.signature) ? 'good' : 'bad';
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
