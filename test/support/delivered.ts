/** What a collector's files hold of our records, read as an auditor would: duplicates dropped by uid. */
import assert from 'node:assert/strict';
import { runCli } from './cli.ts';

type Attributes = Readonly<Record<string, unknown>>;

/** A log record, whoever has received it. */
export interface DeliveredLog {
  readonly attributes: Attributes;
  readonly body: unknown;
  readonly eventName: string;
}

export interface Delivered {
  /** By log.record.uid, each once. */
  readonly records: ReadonlyMap<string, Attributes>;
  /** Records that came more than once. */
  readonly duplicates: number;
  /** Forwarded calls by JSON-RPC id: uids of their decisions. */
  readonly decisions: ReadonlyMap<string, readonly string[]>;
  /** By uid of the decision: how its call ended. */
  readonly outcomes: ReadonlyMap<string, readonly string[]>;
}

/** Fails where two records of one uid differ. */
export function readDelivered(logs: readonly DeliveredLog[]): Delivered {
  const records = new Map<string, Attributes>();
  const bodies = new Map<string, unknown>();
  const decisions = new Map<string, string[]>();
  const outcomes = new Map<string, string[]>();
  let duplicates = 0;
  for (const { attributes, body, eventName } of logs) {
    const uid = String(attributes['log.record.uid']);
    if (records.has(uid)) {
      duplicates += 1;
      assert.equal(body, bodies.get(uid), `two different records have the uid ${uid}`);
      continue;
    }
    records.set(uid, attributes);
    bodies.set(uid, body);
    if (eventName === 'verdict.decision' && attributes['verdict.decision.effect'] === 'allow') {
      push(decisions, String(attributes['jsonrpc.request.id']), uid);
    }
    if (eventName === 'verdict.outcome') {
      const status = String(attributes['verdict.outcome.status']);
      push(outcomes, String(attributes['verdict.decision.uid']), status);
    }
  }
  return { records, duplicates, decisions, outcomes };
}

function push(map: Map<string, string[]>, key: string, value: string): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [value]);
  else known.push(value);
}

/** Public keys that `start` records announce; one, unless somebody changed it. */
export function announcedKeys({ records }: Delivered): string[] {
  const keys = [...records.values()].map((attributes) => attributes['verdict.lifecycle.public_key']);
  return [...new Set(keys.filter((key) => typeof key === 'string'))];
}

/**
 * Fails unless each call that reached the upstream has exactly one decision, each decision exactly one outcome, and
 * what never reached the upstream is not said to have ended well.
 * @param reached JSON-RPC ids of the calls that the upstream saw
 */
export function assertAccounted(delivered: Delivered, reached: ReadonlyMap<string, number>): void {
  const { decisions, outcomes } = delivered;
  const missing = [...reached.keys()].filter((id) => !decisions.has(id));
  assert.deepEqual(missing, [], 'calls reached the upstream and no decision says so');
  const twice = [...reached].filter(([id, count]) => count !== 1 || decisions.get(id)?.length !== 1);
  assert.deepEqual(twice, [], 'calls that were made or decided twice');
  const invented: string[] = [];
  const unpaired: string[] = [];
  for (const [id, uids] of decisions) {
    for (const uid of uids) {
      const statuses = outcomes.get(uid) ?? [];
      if (statuses.length !== 1) unpaired.push(`${uid}: ${statuses.join(', ')}`);
      // A call may be decided and never made: the proxy died in between, and nobody knows how it ended.
      const open = new Set(['unknown', 'transport_error', 'cancelled']);
      if (!reached.has(id) && !statuses.every((status) => open.has(status))) invented.push(id);
    }
  }
  assert.deepEqual(invented, [], 'outcomes of calls that the upstream never saw');
  assert.deepEqual(unpaired, [], 'decisions without exactly one outcome');
}

/** The bodies that a spool on disk holds, as `records export` gives them. */
export async function exportedRecords(spool: string): Promise<Readonly<Record<string, unknown>>[]> {
  const { code, stdout, stderr } = await runCli(['records', 'export', '--format', 'json', '--spool', spool]);
  assert.equal(code, 0, stderr);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
