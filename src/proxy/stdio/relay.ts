/**
 * What happens to each line of a stdio connection, in both directions (MCP 2025-11-25 and 2026-07-28, transports,
 * stdio). Lines go on with the bytes they came with. What is refused is answered to whoever sent it; such an
 * answer may overtake lines that still wait for their decision.
 */
import type { Claimed } from '../../identity/identity.ts';
import type { Diagnostics } from '../../telemetry/diagnostics.ts';
import { createThrottle, type Throttle } from '../../telemetry/throttle.ts';
import { agreedVersion } from '../message/agreed-version.ts';
import { errorAnswer } from '../message/answer.ts';
import { readAnswer, type ReadAnswer } from '../message/answer-reader.ts';
import type { Answer, Direction, Gate, Origin, Outcome, Rejection, Ruling } from '../gate.ts';
import { Lane, type LaneLimits, STDIO_PENDING_BYTES_MAX, STDIO_PENDING_MAX, type Turn } from './lane.ts';
import { limitOf } from '../limit.ts';
import { LINE_BYTES_MAX, hasStrayReturn, type Line } from './line-splitter.ts';
import { frame, type LineWriter } from './line-stream.ts';
import { excerpt, isNoise } from './noise.ts';
import type { Inlet, Outlet, Seen } from './peer.ts';
import { idOf, parseMessage } from '../message/message.ts';
import type { Call, Id, MessageLimits, NotificationMessage, RequestMessage } from '../message/message.ts';
import { shown } from '../message/strict-json.ts';
import { OpenRequests, STDIO_OPEN_MAX } from './open-requests.ts';

export interface StdioLimits extends LaneLimits {
  /** A line is a message, so this one holds in place of `MessageLimits.bytesMax`. */
  readonly lineBytesMax?: number | undefined;
  readonly openMax?: number | undefined;
  /** Levels of nesting, see strict-json.ts. */
  readonly depthMax?: number | undefined;
}

/** @throws VerdictError config_invalid on a limit out of range */
export function checkStdioLimits(limits: StdioLimits): void {
  limitOf('lineBytesMax', LINE_BYTES_MAX, limits.lineBytesMax);
  limitOf('pendingMax', STDIO_PENDING_MAX, limits.pendingMax);
  limitOf('pendingBytesMax', STDIO_PENDING_BYTES_MAX, limits.pendingBytesMax);
  limitOf('openMax', STDIO_OPEN_MAX, limits.openMax);
}

export interface StdioRelayOptions {
  readonly gate: Gate;
  readonly origin: (claimed: Claimed) => Origin;
  readonly limits: StdioLimits;
  readonly diagnostics: Diagnostics;
  readonly toClient: LineWriter;
  readonly toUpstream: Pick<Outlet, 'write'>;
}

export interface StdioRelay extends Inlet {
  /** A line of the client. @returns a promise of room where no further line may come before it */
  fromClient(line: Line): Promise<void> | undefined;
  /** Resolves when all lines that go in this direction have had their turn. */
  idle(direction: Direction): Promise<void>;
  /** The upstream has gone: whatever waits for it is settled, and the client is told. */
  breakOff(detail: string): Promise<void>;
}

/** One direction: its order, its open requests, where its lines go, and where refusals go back. */
interface Side {
  readonly direction: Direction;
  readonly lane: Lane;
  readonly requests: OpenRequests;
  readonly onward: Pick<Outlet, 'write'>;
  readonly back: Pick<Outlet, 'write'>;
}

interface Connection extends StdioRelayOptions {
  readonly messageLimits: Partial<MessageLimits> & { readonly bytesMax: number };
  readonly up: Side;
  readonly down: Side;
  /** Says what either side can make us say without end. */
  readonly throttle: Throttle;
  claimed: Claimed;
  /** Key of the `initialize` request whose answer is still to come. */
  initializing: string | undefined;
  /** What the `initialize` answer agreed on. */
  protocolVersion: string | undefined;
}

/** @throws VerdictError config_invalid on a limit out of range */
export function createStdioRelay(options: StdioRelayOptions): StdioRelay {
  const { limits, toClient, toUpstream, diagnostics } = options;
  const side = (direction: Direction, onward: Side['onward'], back: Side['back']): Side => ({
    direction,
    lane: new Lane(limits, (error) => diagnostics.error(`a line was lost: ${String(error)}`)),
    requests: new OpenRequests(limits.openMax),
    onward,
    back,
  });
  const connection: Connection = {
    ...options,
    messageLimits: {
      bytesMax: limitOf('lineBytesMax', LINE_BYTES_MAX, limits.lineBytesMax),
      ...(limits.depthMax === undefined ? {} : { depthMax: limits.depthMax }),
    },
    up: side('to_upstream', toUpstream, toClient),
    down: side('to_client', toClient, toUpstream),
    throttle: createThrottle(diagnostics),
    claimed: {},
    initializing: undefined,
    protocolVersion: undefined,
  };
  return {
    fromClient(line) {
      clientLine(connection, line);
      return connection.up.lane.room();
    },
    fromUpstream(line, seen) {
      upstreamLine(connection, line, seen);
      return connection.down.lane.room();
    },
    unanswered(id, outcome, body) {
      const { up, down } = connection;
      if (up.requests.close(id.json, outcome) && body !== undefined) pass(down, frame(body));
      return down.lane.room();
    },
    idle: (direction) => (direction === 'to_upstream' ? connection.up : connection.down).lane.idle(),
    breakOff: (detail) => breakOff(connection, detail),
  };
}

function clientLine(connection: Connection, line: Line): void {
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

/** Sends a line on in its turn. */
function pass({ lane, onward }: Side, framed: Uint8Array): void {
  lane.push(
    framed.length,
    Promise.resolve(() => onward.write(framed)),
  );
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

function originOf(connection: Connection, call?: Call): Origin {
  return {
    ...connection.origin(connection.claimed),
    protocolVersion: call?.modern === true ? call.protocolVersion : connection.protocolVersion,
  };
}

interface Governed {
  readonly message: RequestMessage | NotificationMessage;
  readonly framed: Uint8Array;
}

/** Has a request or notification decided, now, and acted upon, in turn. */
function govern(connection: Connection, side: Side, governed: Governed): void {
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

const nothing: Turn = () => undefined;

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
  if (message.kind === 'notification') {
    await side.onward.write(framed, sent);
    const cancelled = cancelledId(message);
    if (cancelled !== undefined) side.requests.cancel(cancelled);
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

/** The request that a cancellation names: after it, no answer need come, and one may still. */
function cancelledId(message: NotificationMessage): string | undefined {
  if (message.method !== 'notifications/cancelled') return undefined;
  return idOf(message.params.get('requestId'))?.json;
}

function upstreamLine(connection: Connection, line: Line, seen?: Seen): void {
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
  if (id !== null) {
    if (id.json === connection.initializing) {
      connection.initializing = undefined;
      connection.protocolVersion = agreedVersion(content);
    }
    up.requests.close(id.json, { ...outcome, size: content.length });
  }
  pass(down, framed);
}

type Refusal = Pick<Rejection, 'code' | 'details' | 'id' | 'message'>;

const STRAY_RETURN = {
  code: 'parse_json',
  details: { detail: 'a carriage return within the line ends it for other readers' },
  id: null,
} as const satisfies Refusal;

function record(
  connection: Connection,
  { direction }: Side,
  { code, details, id, message }: Refusal,
): Answer {
  const origin = originOf(connection);
  return connection.gate.reject({ reason: 'parse', code, details, origin, id, message, direction });
}

/** Records a line that is no message. The client gets an answer; a server that sends such lines reads none. */
function reject(connection: Connection, side: Side, refusal: Refusal): void {
  const answer = record(connection, side, refusal);
  if (side.direction === 'to_client' || answer.body === undefined) return;
  const line = frame(answer.body);
  side.lane.push(
    line.length,
    side.back.write(line).then(() => nothing),
  );
}

function broken(connection: Connection, id: Id, detail: string): Uint8Array {
  const server = connection.origin(connection.claimed).server.name;
  return errorAnswer(id, 'upstream_broken', { server, detail });
}

async function breakOff(connection: Connection, detail: string): Promise<void> {
  const { up, down, throttle } = connection;
  throttle.flush();
  const outcome: Outcome = { status: 'transport_error', errorType: 'child_exit' };
  down.requests.closeAll(outcome);
  const answers = up.requests.closeAll(outcome).map((id) => frame(broken(connection, id, detail)));
  for (const answer of answers) await up.back.write(answer);
}
