/** What happens to each line of the client. */
import { killDetails } from '../../policy/kills.ts';
import type { Outcome } from '../gate.ts';
import { readAnswer } from '../message/answer-reader.ts';
import { parseMessage, type Id, type NotificationMessage, type RequestMessage } from '../message/message.ts';
import { shown } from '../message/strict-json.ts';
import { pass, record, reject, STRAY_RETURN, type Connection } from './connection.ts';
import { govern } from './govern.ts';
import { killFor } from './kill.ts';
import { hasStrayReturn, type Line } from './line-splitter.ts';

export function clientLine(connection: Connection, line: Line): void {
  const { up, messageLimits } = connection;
  if (line.kind === 'oversize') {
    reject(connection, up, { code: 'parse_size', details: { max: messageLimits.bytesMax }, id: null });
    return;
  }
  if (hasStrayReturn(line.content)) {
    reject(connection, up, STRAY_RETURN);
    return;
  }
  const parsed = parseMessage(line.content, messageLimits);
  if (!parsed.ok) {
    reject(connection, up, parsed);
    return;
  }
  if (parsed.message.kind === 'response') {
    clientResponse(connection, line.framed, parsed.message.id);
    return;
  }
  learn(connection, parsed.message);
  govern(connection, up, { message: parsed.message, framed: line.framed });
}

function clientResponse(connection: Connection, framed: Uint8Array, id: Id | null): void {
  const { down, up } = connection;
  // Nobody waits for it any more; of that id another request may come.
  if (id !== null && down.requests.stateOf(id.json) === 'stopped') down.requests.close(id.json);
  const kill = killFor(connection);
  if (kill !== undefined) {
    record(connection, up, { reason: 'killed', code: 'killed', details: killDetails(kill), id });
    return;
  }
  // The upstream gets answers to what it asked and was let through, once, and no others.
  if (id === null || down.requests.stateOf(id.json) !== 'passed') {
    const details = { id: id === null ? 'null' : shown(id.json) };
    record(connection, up, { code: 'response_unasked', details, id });
    return;
  }
  const content = framed.subarray(0, -1);
  const answer = readAnswer(content);
  const outcome: Outcome = answer.kind === 'response' ? answer.outcome : { status: 'ok' };
  down.requests.close(id.json, { ...outcome, size: content.length });
  pass(up, framed);
}

/** Takes in what the client says of itself: in `initialize`, or in each request of 2026-07-28. */
function learn(connection: Connection, message: RequestMessage | NotificationMessage): void {
  const { call } = message;
  if (call.clientName !== undefined || call.clientVersion !== undefined) {
    connection.claimed = { name: call.clientName, version: call.clientVersion };
  }
  if (message.kind === 'request' && message.method === 'initialize')
    connection.initializing = message.id.json;
}
