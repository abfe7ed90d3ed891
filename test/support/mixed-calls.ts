/** Calls of every kind that the gate knows, the policy that they meet, and what must become of each. */
import type { Agent, Traced } from './traced-agent.ts';

export interface PlannedCall {
  readonly tool: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly effect: 'allow' | 'deny' | 'require_approval';
  readonly rule: string | undefined;
  readonly reason: string;
  /** Undefined for a call that is not made. */
  readonly outcome: 'ok' | 'tool_error' | 'rpc_error' | undefined;
}

/** What was planned, and the span that the agent made for it. */
export interface MadeCall extends PlannedCall, Traced {
  readonly sampled: boolean;
}

/** Stands in arguments, and must stand nowhere else. */
export const SECRET = 'hunter2-and-more';

export const MIXED_POLICY = `
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: mixed, version: "42"}
rules:
  - {id: harmless, effect: allow, tools: ["*/echo", "*/fail", "*/break"]}
  - {id: small-sums, effect: allow, tools: ["*/sum"], when: args.a <= 100}
  - {id: reads, effect: allow, tools: ["*/read"]}
  - {id: not-etc, effect: deny, tools: ["*/read"], when: "pathUnder(args.path, '/etc')"}
  - {id: never-delete, effect: deny, tools: ["*/delete_*"]}
  - {id: ask-first, effect: require_approval, tools: ["*/refund"]}
`;

const allowed = (
  tool: string,
  rule: string,
  args: PlannedCall['args'],
  outcome: PlannedCall['outcome'] = 'ok',
): PlannedCall => ({ tool, args, rule, outcome, effect: 'allow', reason: 'rule' });

const denied = (
  tool: string,
  rule: string | undefined,
  args: PlannedCall['args'],
  reason: string,
): PlannedCall => ({ tool, args, rule, reason, effect: 'deny', outcome: undefined });

export const MIXED_CALLS: readonly PlannedCall[] = [
  allowed('echo', 'harmless', { message: 'hello', password: SECRET }),
  allowed('sum', 'small-sums', { a: 4, b: 3 }),
  denied('sum', undefined, { a: 400, b: 3 }, 'default'),
  denied('sum', 'small-sums', { a: '4', b: 3 }, 'policy_error'),
  allowed('read', 'reads', { path: '/srv/notes' }),
  denied('read', 'not-etc', { path: '/srv/../etc/passwd' }, 'rule'),
  denied('delete_all', 'never-delete', {}, 'rule'),
  {
    ...denied('refund', 'ask-first', { amount: 9.5 }, 'approval_required'),
    effect: 'require_approval',
  },
  allowed('fail', 'harmless', {}, 'tool_error'),
  allowed('break', 'harmless', {}, 'rpc_error'),
  denied('unheard_of', undefined, {}, 'default'),
];

/** One in so many traces is not sampled; prime to the number of kinds, so that every kind has some. */
const UNSAMPLED_EVERY = 10;

/** Makes `count` calls, one after the other, all kinds in turn. */
export async function makeMixedCalls(agent: Agent, count: number): Promise<MadeCall[]> {
  const made: MadeCall[] = [];
  for (let index = 0; index < count; index += 1) {
    const planned = MIXED_CALLS[index % MIXED_CALLS.length]!;
    const sampled = index % UNSAMPLED_EVERY !== 0;
    made.push({ ...planned, sampled, ...(await agent.call({ ...planned, sampled })) });
  }
  return made;
}
