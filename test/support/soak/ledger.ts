/** What clients have sent, and whether the records say so: each message once, and nothing that was not sent. Pure. */

/**
 * What must be on record of a message.
 * - `allow`: one decision that allows it and, for a request, one outcome.
 * - `deny`: one decision of policy that does not allow it.
 * - `reject`: one record of its own, or a place in a count of refusals.
 * - `silent`: nothing; what the method table does not record.
 */
export type Fate = 'allow' | 'deny' | 'reject' | 'silent';

export interface Entry {
  readonly traceId: string;
  readonly method: string;
  readonly fate: Fate;
  /**
   * Whether an answer has begun to come. A message whose client went away before may have been read or not: then its
   * record may be missing, or be that of half a message, but not stand twice.
   */
  answered: boolean;
}

/** What matters here of a record. */
export interface Recorded {
  readonly name: string;
  readonly uid: string;
  readonly traceId: string;
  readonly method: string;
  readonly effect: string;
  readonly reason: string;
  readonly message: string;
  /** Of an outcome: uid of its decision. */
  readonly decision: string;
}

export interface Ledger {
  /** Notes a message before it is sent. */
  send(traceId: string, method: string, fate: Fate): Entry;
  /** Notes refusals that carry no trace. @param sure whether each must be on record */
  sendUntraced(count: number, sure: boolean): void;
  readonly entries: ReadonlyMap<string, Entry>;
  readonly untraced: { readonly sure: number; readonly unsure: number };
}

export function createLedger(): Ledger {
  const entries = new Map<string, Entry>();
  const untraced = { sure: 0, unsure: 0 };
  return {
    entries,
    untraced,
    send(traceId, method, fate) {
      const entry: Entry = { traceId, method, fate, answered: false };
      entries.set(traceId, entry);
      return entry;
    },
    sendUntraced(count, sure) {
      if (sure) untraced.sure += count;
      else untraced.unsure += count;
    },
  };
}

/** Reasons of refusals that come before policy is asked. */
const REJECTED = new Set([
  'parse',
  'origin_refused',
  'server_unknown',
  'identity_missing',
  'identity_invalid',
  'limit',
  'shutdown',
]);

/** Of `suppressed` in src/errors.ts. */
const COUNT = /^(\d+) more messages from /;

export interface Account {
  /** One sentence for each thing that is wrong. */
  readonly faults: readonly string[];
  readonly decisions: number;
  readonly outcomes: number;
  /** Refusals with a record of their own, and counted ones. */
  readonly rejected: number;
  readonly counted: number;
}

/** @param ofServers methods that servers ask clients for; they are decided in the trace of the call that asks */
export function balance(
  ledger: Ledger,
  records: Iterable<Recorded>,
  ofServers: ReadonlySet<string>,
): Account {
  const books = readBooks(records);
  const faults: string[] = [...outcomeFaults(books)];
  for (const [traceId, decisions] of books.byTrace) {
    const known = ledger.entries.has(traceId);
    const own = decisions.filter(({ method }) => !ofServers.has(method));
    if (!known && own.some(({ reason }) => !REJECTED.has(reason))) {
      faults.push(`${traceId}: ${tell(own)} of a message that was not sent`);
    }
  }
  let sure = ledger.untraced.sure;
  let unsure = ledger.untraced.unsure;
  for (const entry of ledger.entries.values()) {
    if (!entry.answered) unsure += 1;
    else if (entry.fate === 'reject') sure += 1;
    const found = (books.byTrace.get(entry.traceId) ?? []).filter(({ method }) => !ofServers.has(method));
    const fault = faultOf(entry, found);
    if (fault !== undefined) faults.push(`${entry.traceId} (${entry.method}): ${fault}`);
  }
  const { rejected, counted } = books;
  if (rejected + counted < sure || rejected + counted > sure + unsure) {
    const sent = `${sure} to ${sure + unsure} messages were to be refused`;
    faults.push(`${sent}, ${rejected} refusals are on record and ${counted} are counted`);
  }
  return { faults, decisions: books.decisions, outcomes: books.outcomes.size, rejected, counted };
}

interface Books {
  readonly byTrace: ReadonlyMap<string, readonly Recorded[]>;
  /** Outcomes by uid of their decision. */
  readonly outcomes: ReadonlyMap<string, number>;
  readonly byUid: ReadonlyMap<string, Recorded>;
  readonly decisions: number;
  readonly rejected: number;
  readonly counted: number;
}

function readBooks(records: Iterable<Recorded>): Books {
  const byTrace = new Map<string, Recorded[]>();
  const byUid = new Map<string, Recorded>();
  const outcomes = new Map<string, number>();
  let rejected = 0;
  let counted = 0;
  for (const record of records) {
    if (record.name === 'verdict.outcome') {
      outcomes.set(record.decision, (outcomes.get(record.decision) ?? 0) + 1);
    }
    if (record.name !== 'verdict.decision') continue;
    byUid.set(record.uid, record);
    const [, more] = COUNT.exec(record.message) ?? [];
    if (more !== undefined) {
      counted += Number(more);
      continue;
    }
    if (REJECTED.has(record.reason)) rejected += 1;
    const known = byTrace.get(record.traceId);
    if (known === undefined) byTrace.set(record.traceId, [record]);
    else known.push(record);
  }
  return { byTrace, outcomes, byUid, decisions: byUid.size, rejected, counted };
}

/** Every allowed request has one outcome, whatever became of it, and nothing else has one. */
function outcomeFaults({ byUid, outcomes }: Books): string[] {
  const faults: string[] = [];
  for (const [uid, { effect, method, traceId }] of byUid) {
    const due = effect === 'allow' && !/^(notifications|transport)\//.test(method) ? 1 : 0;
    const found = outcomes.get(uid) ?? 0;
    if (found !== due) faults.push(`${traceId} (${method}): ${found} outcomes of a decision to ${effect}`);
  }
  for (const uid of outcomes.keys()) {
    if (!byUid.has(uid)) faults.push(`an outcome of ${uid}, which was never decided`);
  }
  return faults;
}

function faultOf({ fate, answered }: Entry, found: readonly Recorded[]): string | undefined {
  if (found.length > 1) return `${tell(found)} of one message`;
  const [one] = found;
  if (fate === 'silent') return one === undefined ? undefined : `${tell(found)} of what is not recorded`;
  // A refusal may be in a count, which names nobody.
  if (one === undefined) {
    return answered && fate !== 'reject' ? 'no decision of an answered message' : undefined;
  }
  const rejected = REJECTED.has(one.reason);
  // Of a client that went away, less may have come than it sent.
  if (rejected && !answered) return undefined;
  const right = fate === 'reject' ? rejected : !rejected && (one.effect === 'allow') === (fate === 'allow');
  return right ? undefined : `${tell(found)} where ${fate} was due`;
}

function tell(records: readonly Recorded[]): string {
  return records.map(({ effect, reason }) => `${effect} (${reason})`).join(' and ');
}
