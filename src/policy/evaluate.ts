/**
 * From a request to its verdict. Pure: no I/O, no clock.
 *
 * Effects combine without order: deny beats require_approval beats allow, and what nothing matches is denied. A
 * condition that fails in a rule whose identity and target matched is a deny, whatever the rule's effect: to skip
 * such a rule would let a caller switch a deny off by sending a string for a number.
 */
import type { ArgumentLevel } from '../event/redact.ts';
import { run } from './cel.ts';
import { CEL_ITERATIONS_DEFAULT, CEL_ITERATIONS_MAX } from './cel.ts';
import { CEL_ARGUMENTS_BYTES_DEFAULT, CEL_ARGUMENTS_BYTES_MAX } from './cel-value.ts';
import { isGranted, ungrantedText } from './grants.ts';
import { candidates, matchesIdentity, matchesTarget, type Policy, type Rule } from './policy.ts';
import { celVariables, type VariablesResult } from './variables.ts';
import type { PolicyRequest, Verdict } from './verdict.ts';

export interface EvaluateOptions {
  readonly now: Date;
  /** What a request gets that no rule matches: `allow` for the methods of the protocol itself. */
  readonly unmatched: 'deny' | 'allow';
  readonly limits?: Partial<EvaluateLimits>;
}

export interface EvaluateLimits {
  /** Bytes of arguments that a condition may see; over it, every rule with a condition fails. */
  readonly argumentsBytesMax: number;
  /** Iterations of one condition. */
  readonly iterationsMax: number;
}

export interface Evaluation {
  readonly verdict: Verdict;
  /** How much of the arguments is to be recorded, as the deciding rule says. */
  readonly argumentsLevel: ArgumentLevel;
  /** Why each rule of the policy matched or did not; worked out when it is called. */
  readonly trace: () => readonly RuleNote[];
}

export interface RuleNote {
  readonly rule: Rule;
  readonly outcome: 'matched' | 'failed' | 'other_target' | 'other_identity' | 'condition_false';
  /** On `failed`: why. */
  readonly message?: string;
}

/** Decides one request. Never throws. */
export function evaluate(policy: Policy, request: PolicyRequest, options: EvaluateOptions): Evaluation {
  const variables = lazily(() => celVariables(request, options.now, evaluateLimits(options.limits)));
  const found = decide(candidates(policy, request), request, variables);
  return {
    verdict: withinGrants(policy, request, verdictOf(policy, request, options, found)),
    argumentsLevel: found?.rule.arguments ?? 'redacted',
    trace: () => policy.rules.map((rule) => noteOf(rule, request, variables)),
  };
}

/** What rules let through and the credentials are not for is denied; a rule that denies is named all the same. */
function withinGrants({ digest }: Policy, request: PolicyRequest, verdict: Verdict): Verdict {
  if (verdict.effect === 'deny' || isGranted(request)) return verdict;
  return { effect: 'deny', reason: 'default', message: ungrantedText(request), digest };
}

/** Fills in the defaults; above its maximum a limit counts as the maximum. */
export function evaluateLimits(limits: Partial<EvaluateLimits> | undefined): EvaluateLimits {
  return {
    argumentsBytesMax: Math.min(
      limits?.argumentsBytesMax ?? CEL_ARGUMENTS_BYTES_DEFAULT,
      CEL_ARGUMENTS_BYTES_MAX,
    ),
    iterationsMax: Math.min(limits?.iterationsMax ?? CEL_ITERATIONS_DEFAULT, CEL_ITERATIONS_MAX),
  };
}

type LazyVariables = () => VariablesResult;

/** Arguments are converted once a request, and only if some condition is to be run. */
function lazily(make: LazyVariables): LazyVariables {
  let made: VariablesResult | undefined;
  return () => (made ??= make());
}

/** The note of the rule that decides; undefined where none matched. */
function decide(
  rules: readonly Rule[],
  request: PolicyRequest,
  variables: LazyVariables,
): RuleNote | undefined {
  let failed: RuleNote | undefined;
  let matched: RuleNote | undefined;
  for (const rule of rules) {
    const note = noteOf(rule, request, variables);
    if (note.outcome === 'failed') failed ??= note;
    if (note.outcome !== 'matched') continue;
    // Deny rules come first, so nothing after this one can change the verdict.
    if (rule.effect === 'deny') return note;
    matched ??= note;
  }
  return failed ?? matched;
}

function noteOf(rule: Rule, request: PolicyRequest, variables: LazyVariables): RuleNote {
  if (!matchesTarget(rule.target, request)) return { rule, outcome: 'other_target' };
  if (!matchesIdentity(rule.identities, request.identity)) return { rule, outcome: 'other_identity' };
  if (rule.when === undefined) return { rule, outcome: 'matched' };
  const converted = variables();
  const result = converted.ok ? run(rule.when, converted.variables) : converted;
  if (!result.ok) return { rule, outcome: 'failed', message: result.message };
  return { rule, outcome: result.value ? 'matched' : 'condition_false' };
}

function verdictOf(
  { digest }: Policy,
  request: PolicyRequest,
  { unmatched }: EvaluateOptions,
  found: RuleNote | undefined,
): Verdict {
  if (found === undefined) {
    const message =
      unmatched === 'allow'
        ? `No rule names ${request.method}, so it is let through.`
        : `No rule allows ${targetWords(request)} for this caller.`;
    return { effect: unmatched, reason: 'default', message, digest };
  }
  const { rule, outcome } = found;
  const told = rule.style === undefined ? {} : { style: rule.style };
  const decided = { ruleId: rule.id, policy: rule.policy, digest, ...told };
  if (outcome === 'failed') {
    const message = `Denied because rule ${rule.id} cannot be evaluated: ${found.message ?? 'it failed'}.`;
    return { effect: 'deny', reason: 'policy_error', message, ...decided };
  }
  const reason = rule.effect === 'require_approval' ? 'approval_required' : 'rule';
  return {
    effect: rule.effect,
    reason,
    message: rule.reason ?? EFFECT_WORDS[rule.effect](rule.id),
    ...decided,
  };
}

const EFFECT_WORDS = {
  allow: (id: string) => `Allowed by rule ${id}.`,
  deny: (id: string) => `Denied by rule ${id}.`,
  require_approval: (id: string) => `Rule ${id} wants an approval first.`,
} as const;

function targetWords({ server, method, tool, prompt }: PolicyRequest): string {
  if (tool !== undefined) return `${server}/${tool}`;
  return prompt === undefined ? `${method} on ${server}` : `${method} ${prompt} on ${server}`;
}
