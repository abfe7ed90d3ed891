/** How the demo shows decisions: one line each, in colour where the terminal takes it. */
import type { Event, Scalar } from '../event/vocabulary.ts';
import { printable } from '../telemetry/diagnostics.ts';

export interface Paint {
  (colour: 'green' | 'red' | 'yellow' | 'dim' | 'bold', text: string): string;
}

const SGR = { green: 32, red: 31, yellow: 33, dim: 2, bold: 1 } as const;

/** @param enabled false where the output is no terminal or NO_COLOR is set (no-color.org) */
export function painter(enabled: boolean): Paint {
  return (colour, text) => (enabled ? `\u001b[${SGR[colour]}m${text}\u001b[0m` : text);
}

const EFFECT_COLOURS = { allow: 'green', deny: 'red', require_approval: 'yellow' } as const;

/** One decision or outcome as lines for a terminal; empty for every other record. */
export function renderRecord(event: Event, traceId: string | undefined, paint: Paint): string {
  if (event['verdict.decision.effect'] !== undefined) return renderDecision(event, traceId, paint);
  const status = event['verdict.outcome.status'];
  if (status === undefined || status === 'ok') return '';
  return paint('dim', `    ↳ what became of it: ${text(status)}`) + '\n';
}

function renderDecision(event: Event, traceId: string | undefined, paint: Paint): string {
  const effect = event['verdict.decision.effect'];
  const colour = effect === 'allow' || effect === 'require_approval' ? EFFECT_COLOURS[effect] : 'red';
  const label = effect === 'require_approval' ? 'APPROVAL' : text(effect).toUpperCase();
  const subject = event['gen_ai.tool.name'] ?? event['mcp.method.name'] ?? '(unreadable)';
  const rule = event['verdict.rule.id'] ?? event['verdict.decision.reason'];
  const head = [
    paint(colour, label.padEnd(9)),
    paint('bold', text(subject).padEnd(15)),
    text(rule).padEnd(18),
    paint('dim', `trace ${traceId ?? '-'}`),
  ].join(' ');
  const why =
    effect === 'allow' ? '' : `\n          ${paint('dim', text(event['verdict.decision.message']))}`;
  return `${head}${why}\n`;
}

/** A record's value on one safe line: what an agent sent must not move a terminal's cursor. */
function text(value: Scalar | undefined): string {
  return printable(String(value ?? '')).replaceAll('\n', ' ');
}
