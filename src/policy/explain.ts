/** An evaluation in words, for `policy explain`. Pure. */
import type { Evaluation, RuleNote } from './evaluate.ts';
import type { Audience, Rule, Target } from './policy.ts';

/** One rule of an explanation; the JSON form of `policy explain --json`. */
export interface RuleExplanation {
  readonly rule: string;
  readonly effect: string;
  readonly file: string;
  readonly outcome: RuleNote['outcome'];
  /** Why, as a sentence. */
  readonly why: string;
}

/** Every rule of the policy, in the order in which rules decide. */
export function explainRules({ trace }: Evaluation): RuleExplanation[] {
  return trace().map((note) => ({
    rule: note.rule.id,
    effect: note.rule.effect,
    file: note.rule.policy.file,
    outcome: note.outcome,
    why: WHY[note.outcome](note),
  }));
}

const WHY: Readonly<Record<RuleNote['outcome'], (note: RuleNote) => string>> = {
  matched: ({ rule }) =>
    rule.when === undefined ? 'it matches' : `it matches, and its condition is true: ${condition(rule)}`,
  failed: ({ message }) =>
    `it matches, but its condition cannot be evaluated, which denies: ${message ?? ''}`,
  condition_false: ({ rule }) => `its condition is false: ${condition(rule)}`,
  other_identity: ({ rule }) => `it is for ${audienceWords(rule.identities)}`,
  other_target: ({ rule }) => `it is about ${targetWords(rule.target)}`,
};

function condition({ when }: Rule): string {
  return when?.source.trim().replace(/\s+/g, ' ') ?? '';
}

function audienceWords(audiences: readonly Audience[]): string {
  return audiences
    .map(({ name, members }) => (typeof members === 'string' ? `${name} callers` : `the group ${name}`))
    .join(', ');
}

function targetWords(target: Target): string {
  if (target.kind === 'tools') return target.tools.map(({ server, tool }) => `${server}/${tool}`).join(', ');
  const servers = target.servers.join(', ');
  return `${target.methods.join(', ')}${servers === '*' ? '' : ` on ${servers}`}`;
}
