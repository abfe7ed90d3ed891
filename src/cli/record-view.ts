/** How records look in a terminal: one line each, in colour where the terminal takes it. */
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

/** A decision as lines for a terminal. */
export function renderDecision(event: Event, traceId: string | undefined, paint: Paint): string {
  const effect = event['verdict.decision.effect'];
  const colour = effect === 'allow' || effect === 'require_approval' ? EFFECT_COLOURS[effect] : 'red';
  const label = effect === 'require_approval' ? 'APPROVAL' : valueText(effect).toUpperCase();
  const subject = event['gen_ai.tool.name'] ?? event['mcp.method.name'] ?? '(unreadable)';
  const rule = event['verdict.rule.id'] ?? event['verdict.decision.reason'];
  const head = [
    paint(colour, label.padEnd(9)),
    paint('bold', valueText(subject).padEnd(15)),
    valueText(rule).padEnd(18),
    paint('dim', `trace ${valueText(traceId ?? '-')}`),
  ].join(' ');
  const why =
    effect === 'allow' ? '' : `\n          ${paint('dim', valueText(event['verdict.decision.message']))}`;
  return `${head}${why}\n`;
}

/** Any record as lines for a terminal, its time first. */
export function renderAny(name: string, event: Event, traceId: string | undefined, paint: Paint): string {
  const time = paint('dim', `${valueText(event['verdict.time']).slice(0, 19)}Z`);
  if (name === 'verdict.decision') return `${time} ${renderDecision(event, traceId, paint)}`;
  return `${time} ${paint('dim', `${valueText(name).replace('verdict.', '').padEnd(10)} ${detail(name, event)}`)}\n`;
}

function detail(name: string, event: Event): string {
  const said = (DETAILS[name] ?? []).map((key) => valueText(event[key]));
  return said.filter((text) => text !== '').join(' ');
}

/** What is worth showing of a record that is no decision. */
const DETAILS: Readonly<Record<string, readonly string[]>> = {
  'verdict.outcome': ['verdict.outcome.status', 'error.type', 'verdict.decision.uid'],
  'verdict.approval': ['verdict.approval.state', 'verdict.approval.id', 'verdict.approval.approver.id'],
  'verdict.lifecycle': [
    'verdict.lifecycle.state',
    'verdict.lifecycle.adopted',
    'verdict.server.name',
    'gen_ai.tool.name',
    'verdict.tool.difference',
  ],
  'verdict.checkpoint': ['verdict.checkpoint.stream', 'verdict.checkpoint.sequence'],
  'verdict.gap': ['verdict.gap.reason', 'verdict.gap.stream', 'verdict.gap.from', 'verdict.gap.to'],
};

/** A record's value on one safe line: what an agent sent must not move a terminal's cursor. */
export function valueText(value: Scalar | undefined): string {
  return printable(String(value ?? '')).replaceAll('\n', ' ');
}
