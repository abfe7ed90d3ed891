/** How the demo shows decisions as they fall. */
import type { Event } from '../event/vocabulary.ts';
import { painter, renderDecision, valueText, type Paint } from './record-view.ts';

export { painter, type Paint };

/** One decision or outcome as lines for a terminal; empty for every other record. */
export function renderRecord(event: Event, traceId: string | undefined, paint: Paint): string {
  if (event['verdict.decision.effect'] !== undefined) return renderDecision(event, traceId, paint);
  const status = event['verdict.outcome.status'];
  if (status === undefined || status === 'ok') return '';
  return paint('dim', `    ↳ what became of it: ${valueText(status)}`) + '\n';
}
