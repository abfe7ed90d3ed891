/** What happens to each line of the upstream. */
import { errorText } from '../../errors.ts';
import { killDetails } from '../../policy/kills.ts';
import type { Outcome, Shown } from '../gate.ts';
import { admitResponse } from '../inputs.ts';
import { agreedVersion } from '../message/agreed-version.ts';
import { readAnswer, type ReadAnswer } from '../message/answer-reader.ts';
import type { Id } from '../message/message.ts';
import { broken, originOf, pass, record, reject, STRAY_RETURN } from './connection.ts';
import type { Connection, Refusal } from './connection.ts';
import { govern } from './govern.ts';
import { KILLED, killFor } from './kill.ts';
import { hasStrayReturn, type Line } from './line-splitter.ts';
import { frame } from './line-stream.ts';
import { excerpt, isNoise } from './noise.ts';
import type { Seen } from './peer.ts';

export function upstreamLine(connection: Connection, line: Line, seen?: Seen): void {
  const { down, throttle, messageLimits } = connection;
  if (line.kind === 'oversize') {
    const { bytesMax: max } = messageLimits;
    throttle.say('error', 'oversize', `dropped a line of the server that is longer than ${max} bytes`);
    reject(connection, down, { code: 'parse_size', details: { max }, id: null });
    return;
  }
  const answer: ReadAnswer = hasStrayReturn(line.content)
    ? { kind: 'refused', ...STRAY_RETURN }
    : (seen?.read ?? readAnswer(line.content, messageLimits));
  if (answer.kind === 'response') {
    const { framed } = line;
    const outcome = { ...answer.outcome, httpStatus: seen?.httpStatus };
    upstreamResponse(connection, { ...answer, framed, content: line.content, outcome });
  } else if (answer.kind === 'message') {
    govern(connection, down, { message: answer.message, framed: line.framed });
  } else if (isNoise(line.content)) {
    const text = `the server wrote what is no message: ${excerpt(line.content)}`;
    throttle.say('warn', 'noise', text);
  } else {
    const text = `dropped a message of the server (${answer.code}): ${excerpt(line.content)}`;
    throttle.say('error', answer.code, text);
    reject(connection, down, { ...answer, id: null });
  }
}

interface Response extends Pick<ReadAnswer & { kind: 'response' }, 'id' | 'asks'> {
  /** The line, and all of it but its end. */
  readonly framed: Uint8Array;
  readonly content: Uint8Array;
  readonly outcome: Outcome;
}

function upstreamResponse(connection: Connection, response: Response): void {
  const { gate, up, down } = connection;
  const { id, asks, framed, content } = response;
  if (id !== null && up.requests.stateOf(id.json) === 'deciding') {
    const text = `dropped an answer of the server to a request it has not seen: ${id.json}`;
    connection.throttle.say('error', 'early', text);
    return;
  }
  if (isStopped(connection, id)) return;
  const kill = killFor(connection);
  if (kill !== undefined) {
    const details = killDetails(kill);
    record(connection, down, { reason: 'killed', code: 'killed', details, id: null });
    if (id !== null) up.requests.close(id.json, KILLED);
    return;
  }
  const asked = id === null ? undefined : up.requests.askedOf(id.json);
  const origin = originOf(connection);
  if (asks === undefined) {
    const line = conclude(connection, response, gate.show(content, asked, origin));
    if (line !== undefined) pass(down, line);
    return;
  }
  const admitted = admitResponse(gate, { bytes: content, id, asked, asks }, origin);
  down.lane.push(
    framed.length,
    admitted.then((shown) => () => {
      const line = conclude(connection, response, shown);
      return line && down.onward.write(line);
    }),
  );
}

/** Whether an answer is to a request that was stopped by hand: its end is on record, and the client has been told. */
function isStopped({ up }: Connection, id: Id | null): boolean {
  if (id === null || up.requests.stateOf(id.json) !== 'stopped') return false;
  up.requests.close(id.json);
  return true;
}

/** @returns the line that the client gets */
function conclude(connection: Connection, response: Response, shown: Shown): Uint8Array | undefined {
  const { up } = connection;
  const { id, framed, content, outcome } = response;
  // In the time that its requests were decided.
  if (isStopped(connection, id)) return undefined;
  if (!shown.ok) return dropResponse(connection, id, shown);
  for (const name of shown.lists ?? []) connection.lists.add(name);
  if (id !== null) {
    if (id.json === connection.initializing) {
      connection.initializing = undefined;
      connection.protocolVersion = agreedVersion(content);
    }
    up.requests.close(id.json, { ...outcome, size: content.length });
  }
  return shown.bytes === content ? framed : frame(shown.bytes);
}

/** Leaves out a response. @returns what the client that waits for it is told, since no other will come */
function dropResponse(
  connection: Connection,
  id: Id | null,
  { code, details }: Pick<Refusal, 'code' | 'details'>,
): Uint8Array | undefined {
  const { up, down, throttle } = connection;
  const why = errorText(code, details);
  throttle.say('error', code, `dropped an answer of the server: ${why}`);
  reject(connection, down, { code, details, id: null });
  if (id === null || !up.requests.close(id.json, { status: 'transport_error', errorType: code }))
    return undefined;
  return frame(broken(connection, id, why));
}
