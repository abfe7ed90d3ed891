/** The way of a request or a notification on a stdio connection, from either side: decided at once, acted upon in turn. */
import type { Ruling } from '../gate.ts';
import { errorAnswer } from '../message/answer.ts';
import { cancelledId, type NotificationMessage, type RequestMessage } from '../message/message.ts';
import type { Kill } from '../../policy/kills.ts';
import { broken, nothing, originOf, reject, type Connection, type Side } from './connection.ts';
import { KILLED, killedAnswer, killFor } from './kill.ts';
import type { Turn } from './lane.ts';
import { noteSubscription } from './list-changes.ts';
import { frame } from './line-stream.ts';

interface Governed {
  readonly message: RequestMessage | NotificationMessage;
  readonly framed: Uint8Array;
}

/** Has a request or notification decided, now, and acted upon, in turn. */
export function govern(connection: Connection, side: Side, governed: Governed): void {
  const { message, framed } = governed;
  if (message.kind === 'request' && !side.requests.open(message.id)) {
    // Answered without its id: with it, the answer would be taken for that of the request that is open.
    const details = { detail: `the id ${message.id.json} belongs to a request that is not answered yet` };
    reject(connection, side, { code: 'parse_envelope', details, id: null });
    return;
  }
  side.lane.push(framed.length, rule(connection, side, governed));
}

async function rule(connection: Connection, side: Side, governed: Governed): Promise<Turn> {
  const { message } = governed;
  const ruling = await decide(connection, side, message);
  if (ruling.forward) return () => forward(connection, side, { ...governed, ruling });
  const { body } = ruling.answer;
  const open = message.kind === 'request' && side.requests.close(message.id.json);
  if (open && body !== undefined) await side.back.write(frame(body));
  return nothing;
}

async function decide(connection: Connection, side: Side, message: Governed['message']): Promise<Ruling> {
  try {
    return await connection.gate.decide(message, originOf(connection, message.call), side.direction);
  } catch (error) {
    // A gate never rejects. Should it, the line must not pass.
    connection.diagnostics.error(`${message.method} was refused, the gate failed: ${String(error)}`);
    const body = message.kind === 'request' ? errorAnswer(message.id, 'audit_unavailable', {}) : undefined;
    return { forward: false, answer: { httpStatus: 200, body } };
  }
}

interface Passing extends Governed {
  readonly ruling: Extract<Ruling, { forward: true }>;
}

async function forward(
  connection: Connection,
  side: Side,
  { message, framed, ruling }: Passing,
): Promise<void> {
  const sent = { message, trace: ruling.trace };
  // It was let through before the switch was thrown, and has waited for its turn since.
  const kill = killFor(connection);
  if (kill !== undefined) {
    await stopWaiting(side, { message, framed, ruling }, kill);
    return;
  }
  if (message.kind === 'notification') {
    await side.onward.write(framed, sent);
    if (side.direction === 'to_client') noteSubscription(connection, message);
    const cancelled = cancelledId(message);
    if (cancelled !== undefined) side.requests.cancel(cancelled.json);
    return;
  }
  if (!side.requests.pass(message.id, ruling)) {
    // Closed while it was decided: the upstream had gone, and the client has been told.
    ruling.settle({ status: 'transport_error', errorType: 'child_exit' });
    return;
  }
  if (await side.onward.write(framed, sent)) return;
  const closed = side.requests.close(message.id.json, {
    status: 'transport_error',
    errorType: 'pipe_closed',
  });
  if (closed) await side.back.write(frame(broken(connection, message.id, 'its input is closed')));
}

async function stopWaiting(side: Side, { message, ruling }: Passing, kill: Kill): Promise<void> {
  if (message.kind !== 'request') return;
  ruling.settle(KILLED);
  if (!side.requests.close(message.id.json)) return;
  await side.back.write(killedAnswer(message.id, kill));
}
