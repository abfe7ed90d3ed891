/** Of a destination that gets only the decisions that matter to it. */
import type { Effect } from '../event/vocabulary.ts';

/**
 * The pair stands in a body only where it is a member: inside a string its quotes would be escaped, and no member
 * holds an object.
 */
const EFFECT = /"verdict\.decision\.effect":"(\w+)"/;
const DECISION = '"event.name":"verdict.decision"';
const APPROVAL = '"event.name":"verdict.approval"';

/**
 * Whether a body is a decision of one of these effects, or what became of an approval where those that need one are
 * among them. Neither outcomes nor what proves a chain goes with them.
 */
export function selectEffects(effects: readonly Effect[]): (body: string) => boolean {
  const wanted = new Set<string>(effects);
  return (body) => {
    if (body.includes(DECISION)) return wanted.has(EFFECT.exec(body)?.[1] ?? '');
    return wanted.has('require_approval') && body.includes(APPROVAL);
  };
}
