/** What is open at an HTTP door when the kill switch is thrown. */
import type { Subject } from '../../policy/kills.ts';
import { sendCancellation } from './exchange.ts';
import { giveUpVisit, type HttpDesk } from './visit.ts';

/** So long a client may take to read that its call was stopped. */
const LAST_WORD_MS = 5_000;

/** Ends what is open for whoever is killed. What is not decided yet is left: the gate will refuse it. */
export function endKilled(desk: HttpDesk): void {
  const { relay, open } = desk;
  const isKilled = (subject: Subject): boolean => relay.gate.killSwitch?.killOf(subject) !== undefined;
  for (const { key, origin } of relay.pending.end(isKilled, { status: 'cancelled', errorType: 'killed' })) {
    const upstream = desk.terms().admission.servers.get(key.server);
    // Its stream has ended, and it may still run.
    if (key.direction === 'to_upstream' && upstream !== undefined) {
      sendCancellation(relay, upstream, { id: key.id, origin });
    }
  }
  for (const visit of open) {
    const { identity, server } = visit.origin;
    if (identity === undefined || server === undefined || !isKilled({ identity, server })) continue;
    giveUpVisit(visit, 'killed');
    setTimeout(() => {
      if (open.has(visit)) visit.client.destroy();
    }, LAST_WORD_MS).unref();
  }
}
