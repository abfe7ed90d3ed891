/** What the spool records of itself, and what it must know of the records of others. */
import type { Draft } from '../event/recorder.ts';
import type { Unstamped } from '../event/stamp.ts';
import { SEVERITY, type Fields } from '../event/vocabulary.ts';
import type { GapDraft } from '../spool/adoption.ts';
import type { UnpairedDecision } from '../spool/unpaired-decision.ts';

/** A `verdict.lifecycle` record. */
export function lifecycle(fields: Fields): Draft {
  return { name: 'verdict.lifecycle', severity: SEVERITY.info, fields };
}

/** Records are taken again; so many calls were refused meanwhile, and so many records that nobody waited for are gone. */
export function restored({ refused, lost }: { readonly refused: number; readonly lost: number }): Draft {
  return lifecycle({
    'verdict.lifecycle.state': 'audit_restored',
    'verdict.lifecycle.refused': refused,
    'verdict.lifecycle.lost': lost,
  });
}

/** Records that are missing, for whatever reason. */
export type Gap = Omit<GapDraft, 'reason'> & { readonly reason: Fields['verdict.gap.reason'] };

/** A `verdict.gap` record. */
export function gapDraft({ stream, from, to, count, reason, exporter, lastHash }: Gap): Draft {
  const fields: Fields = {
    'verdict.gap.stream': stream,
    'verdict.gap.from': from,
    'verdict.gap.to': to,
    'verdict.gap.count': count,
    'verdict.gap.reason': reason,
    'verdict.gap.exporter': exporter,
    'verdict.gap.last_hash': lastHash,
  };
  return { name: 'verdict.gap', severity: SEVERITY.error, fields };
}

/** The outcome of a call whose proxy died before it knew. */
export function unknownOutcome({ decisionUid, traceId, spanId }: UnpairedDecision): Draft {
  const fields: Fields = { 'verdict.decision.uid': decisionUid, 'verdict.outcome.status': 'unknown' };
  const trace =
    traceId === undefined || spanId === undefined ? undefined : { traceId, spanId, traceFlags: 1 };
  return { name: 'verdict.outcome', severity: SEVERITY.deny, fields, trace };
}

/** What the segment headers need to know: which calls are under way. The rule is that of unpaired-decision.ts. */
export function pairing(uid: string, { name, attributes }: Unstamped): { opens?: string; closes?: string } {
  if (name === 'verdict.decision') {
    const forwarded =
      attributes['verdict.decision.effect'] === 'allow' || attributes['verdict.decision.enforced'] === false;
    return forwarded && attributes['jsonrpc.request.id'] !== undefined ? { opens: uid } : {};
  }
  const decision = attributes['verdict.decision.uid'];
  return name === 'verdict.outcome' && typeof decision === 'string' ? { closes: decision } : {};
}
