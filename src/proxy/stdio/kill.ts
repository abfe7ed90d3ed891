/** What the kill switch does to a stdio connection. It stays open, so that lifting the switch is enough to go on. */
import { killDetails, type Kill } from '../../policy/kills.ts';
import type { Outcome } from '../gate.ts';
import { cancellation, errorAnswer } from '../message/answer.ts';
import { parseMessage, type Id } from '../message/message.ts';
import { originOf, type Connection, type Side } from './connection.ts';
import { frame } from './line-stream.ts';
import type { Forwarded } from './open-requests.ts';

export const KILLED: Outcome = { status: 'cancelled', errorType: 'killed' };

/** The kill that is in force for the connection's client or its server. */
export function killFor(connection: Connection): Kill | undefined {
  return connection.gate.killSwitch?.killOf(originOf(connection));
}

/** What whoever waits for an answer is told. */
export function killedAnswer(id: Id, kill: Kill): Uint8Array {
  return frame(errorAnswer(id, 'killed', killDetails(kill)));
}

/** Ends what waits for its answer whenever the switch is thrown. @returns ends that */
export function stopWhenKilled(connection: Connection): () => void {
  const unsubscribe = connection.gate.killSwitch?.onKill(() => {
    const kill = killFor(connection);
    if (kill === undefined) return;
    for (const side of [connection.up, connection.down]) {
      for (const request of side.requests.stopPassed(KILLED)) stop(side, request, kill);
    }
  });
  return unsubscribe ?? (() => {});
}

/** Whoever has asked gets an answer, whoever works on it is told that nobody waits any more. */
function stop({ direction, onward, back }: Side, { id, forward: { trace } }: Forwarded, kill: Kill): void {
  void back.write(killedAnswer(id, kill));
  const bytes = cancellation(id);
  const parsed = parseMessage(bytes);
  if (!parsed.ok || parsed.message.kind !== 'notification') return;
  const { message } = parsed;
  void (direction === 'to_upstream'
    ? onward.write(frame(bytes), { message, trace })
    : onward.write(frame(bytes)));
}
