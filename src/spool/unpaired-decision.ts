/** Which calls are under way: a decision that let a call through, until its outcome. Pure. */

/** A call that was let through and of which no outcome is known. */
export interface UnpairedDecision {
  /** `log.record.uid` of the decision. */
  readonly decisionUid: string;
  /** Absent where only the uid has come down to us (a segment's header). */
  readonly traceId?: string | undefined;
  readonly spanId?: string | undefined;
}

export interface UnpairedDecisions {
  /** By uid, oldest first. */
  readonly open: Map<string, UnpairedDecision>;
  /** Uids of decisions that were not read here, and whose outcome was: they may stand in another stream. */
  readonly settledElsewhere: Set<string>;
}

const DECISION = '"event.name":"verdict.decision"';
const OUTCOME = '"event.name":"verdict.outcome"';

/** Follows one record: a forwarded request opens, its outcome closes. A notification has no outcome. */
export function followRecord({ open, settledElsewhere }: UnpairedDecisions, body: string): void {
  if (body.includes(DECISION)) {
    const members = membersOf(body);
    const uid = members.get('log.record.uid');
    if (typeof uid !== 'string' || !wasForwarded(members)) return;
    open.set(uid, {
      decisionUid: uid,
      traceId: text(members.get('trace_id')),
      spanId: text(members.get('span_id')),
    });
  } else if (body.includes(OUTCOME)) {
    const uid = membersOf(body).get('verdict.decision.uid');
    if (typeof uid !== 'string') return;
    // A header gives no trace, and may repeat what the stream before it began.
    if (open.get(uid)?.traceId === undefined) settledElsewhere.add(uid);
    open.delete(uid);
  }
}

function wasForwarded(members: ReadonlyMap<string, unknown>): boolean {
  const allowed = members.get('verdict.decision.effect') === 'allow';
  const applied = members.get('verdict.decision.enforced') !== false;
  return (allowed || !applied) && members.has('jsonrpc.request.id');
}

function membersOf(body: string): ReadonlyMap<string, unknown> {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === 'object' && value !== null) return new Map(Object.entries(value));
  } catch {
    // A body that is not JSON opens and closes nothing.
  }
  return new Map();
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
