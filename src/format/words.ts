/** What happened, in a few words that hold nothing of what an agent sent: a CEF name, the head of an OCSF message. */
import type { Event, Scalar } from '../event/vocabulary.ts';

const DECISIONS = {
  allow: ['allowed', 'would be allowed'],
  deny: ['denied', 'would be denied'],
  require_approval: ['needs approval', 'would need approval'],
} as const;

const OUTCOMES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ok: 'Call answered',
    tool_error: 'Call answered with an error of the tool',
    rpc_error: 'Call answered with an error',
    transport_error: 'Call failed on the way',
    cancelled: 'Call cancelled',
  }),
);

const LIFECYCLE: ReadonlyMap<string, string> = new Map(
  Object.entries({
    start: 'Started',
    stop: 'Stopped',
    reload: 'Reloaded',
    reload_failed: 'Not reloaded',
    stream_opened: 'Stream of records opened',
    streams_adopted: 'Streams of records adopted',
    audit_restored: 'Recording again',
    key_rotated: 'Signing key rotated',
    tool_changed: 'Tool not as it is pinned',
    killed: 'Kill switch thrown',
    lifted: 'Kill switch lifted',
    doctor: 'Set-up examined',
  }),
);

/** @param name the event's */
export function inWords(name: string, event: Event): string {
  switch (name) {
    case 'verdict.decision':
      return decision(event);
    case 'verdict.outcome':
      return lookUp(OUTCOMES, event['verdict.outcome.status']) ?? 'What became of a call is not known';
    case 'verdict.approval':
      return 'Step of an approval';
    case 'verdict.lifecycle':
      return lookUp(LIFECYCLE, event['verdict.lifecycle.state']) ?? 'Change of state';
    case 'verdict.checkpoint':
      return 'Checkpoint';
    case 'verdict.gap':
      return 'Records are missing';
    default:
      return 'Event';
  }
}

function decision(event: Event): string {
  const subject = event['mcp.method.name'] === 'tools/call' ? 'Tool call' : 'Request';
  const effect = event['verdict.decision.effect'];
  const known = effect === 'allow' || effect === 'require_approval' ? effect : 'deny';
  return `${subject} ${DECISIONS[known][isObserved(event) ? 1 : 0]}`;
}

/** Whether a decision was only noted: what policy says was not applied. */
export function isObserved(event: Event): boolean {
  return event['verdict.decision.enforced'] === false;
}

function lookUp(table: ReadonlyMap<string, string>, key: Scalar | undefined): string | undefined {
  return typeof key === 'string' ? table.get(key) : undefined;
}
