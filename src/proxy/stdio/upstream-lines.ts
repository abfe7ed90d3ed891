/** What happens to each line of the upstream. */
import { errorText } from '../../errors.ts';
import type { Outcome } from '../gate.ts';
import { agreedVersion } from '../message/agreed-version.ts';
import { readAnswer, type ReadAnswer } from '../message/answer-reader.ts';
import type { Id } from '../message/message.ts';
import { broken, originOf, pass, reject, STRAY_RETURN, type Connection, type Refusal } from './connection.ts';
import { govern } from './govern.ts';
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
    const { id, outcome } = answer;
    upstreamResponse(connection, line.framed, { id, outcome: { ...outcome, httpStatus: seen?.httpStatus } });
  } else if (answer.kind === 'message') {
    govern(connection, down, { message: answer.message, framed: line.framed });
  } else if (isNoise(line.content)) {
    const text = `the server wrote to its stdout what is no message: ${excerpt(line.content)}`;
    throttle.say('warn', 'noise', text);
  } else {
    const text = `dropped a message of the server (${answer.code}): ${excerpt(line.content)}`;
    throttle.say('error', answer.code, text);
    reject(connection, down, { ...answer, id: null });
  }
}

function upstreamResponse(
  connection: Connection,
  framed: Uint8Array,
  { id, outcome }: { readonly id: Id | null; readonly outcome: Outcome },
): void {
  const { up, down } = connection;
  if (id !== null && up.requests.stateOf(id.json) === 'deciding') {
    const text = `dropped an answer of the server to a request it has not seen: ${id.json}`;
    connection.throttle.say('error', 'early', text);
    return;
  }
  const content = framed.subarray(0, -1);
  const asked = id === null ? undefined : up.requests.askedOf(id.json);
  const shown = connection.gate.show(content, asked, originOf(connection));
  if (!shown.ok) {
    dropResponse(connection, id, shown);
    return;
  }
  for (const name of shown.lists ?? []) connection.lists.add(name);
  if (id !== null) {
    if (id.json === connection.initializing) {
      connection.initializing = undefined;
      connection.protocolVersion = agreedVersion(content);
    }
    up.requests.close(id.json, { ...outcome, size: content.length });
  }
  pass(down, shown.bytes === content ? framed : frame(shown.bytes));
}

/** Leaves out a response. Where the client waits for it, it is told, since no other will come. */
function dropResponse(
  connection: Connection,
  id: Id | null,
  { code, details }: Pick<Refusal, 'code' | 'details'>,
): void {
  const { up, down, throttle } = connection;
  const why = errorText(code, details);
  throttle.say('error', code, `dropped an answer of the server: ${why}`);
  reject(connection, down, { code, details, id: null });
  if (id === null || !up.requests.close(id.json, { status: 'transport_error', errorType: code })) return;
  pass(down, frame(broken(connection, id, why)));
}
