/** What the two directions of a stdio connection share, and how either is told of what is refused. */
import type { Claimed } from '../../identity/identity.ts';
import type { Diagnostics } from '../../telemetry/diagnostics.ts';
import type { Throttle } from '../../telemetry/throttle.ts';
import type { Answer, Direction, Gate, Origin, Rejection } from '../gate.ts';
import type { ListName } from '../lists/changes.ts';
import { errorAnswer } from '../message/answer.ts';
import type { Call, Id, MessageLimits } from '../message/message.ts';
import type { Lane, Turn } from './lane.ts';
import type { StdioLimits } from './limits.ts';
import { frame, type LineWriter } from './line-stream.ts';
import type { OpenRequests } from './open-requests.ts';
import type { Outlet } from './peer.ts';

export interface StdioRelayOptions {
  readonly gate: Gate;
  readonly origin: (claimed: Claimed) => Origin;
  readonly limits: StdioLimits;
  readonly diagnostics: Diagnostics;
  readonly toClient: LineWriter;
  readonly toUpstream: Pick<Outlet, 'write'>;
}

/** One direction: its order, its open requests, where its lines go, and where refusals go back. */
export interface Side {
  readonly direction: Direction;
  readonly lane: Lane;
  readonly requests: OpenRequests;
  readonly onward: Pick<Outlet, 'write'>;
  readonly back: Pick<Outlet, 'write'>;
}

export interface Connection extends StdioRelayOptions {
  readonly messageLimits: Partial<MessageLimits> & { readonly bytesMax: number };
  readonly up: Side;
  readonly down: Side;
  /** Says what either side can make us say without end. */
  readonly throttle: Throttle;
  /** What the upstream has lists of, as far as its answers have told. */
  readonly lists: Set<ListName>;
  claimed: Claimed;
  /** Key of the `initialize` request whose answer is still to come. */
  initializing: string | undefined;
  /** What the `initialize` answer agreed on. */
  protocolVersion: string | undefined;
}

export function originOf(connection: Connection, call?: Call): Origin {
  return {
    ...connection.origin(connection.claimed),
    protocolVersion: call?.modern === true ? call.protocolVersion : connection.protocolVersion,
  };
}

/** Sends a line on in its turn. */
export function pass({ lane, onward }: Side, framed: Uint8Array): void {
  lane.push(
    framed.length,
    Promise.resolve(() => onward.write(framed)),
  );
}

/** Its reason is `parse` where it says none. */
export type Refusal = Pick<Rejection, 'code' | 'details' | 'id' | 'message'> &
  Partial<Pick<Rejection, 'reason'>>;

export const STRAY_RETURN = {
  code: 'parse_json',
  details: { detail: 'a carriage return within the line ends it for other readers' },
  id: null,
} as const satisfies Refusal;

export function record(
  connection: Connection,
  { direction }: Side,
  { reason = 'parse', code, details, id, message }: Refusal,
): Answer {
  const origin = originOf(connection);
  return connection.gate.reject({ reason, code, details, origin, id, message, direction });
}

/** Records a line that is no message. The client gets an answer; a server that sends such lines reads none. */
export function reject(connection: Connection, side: Side, refusal: Refusal): void {
  const answer = record(connection, side, refusal);
  if (side.direction === 'to_client' || answer.body === undefined) return;
  const line = frame(answer.body);
  side.lane.push(
    line.length,
    side.back.write(line).then(() => nothing),
  );
}

export function broken(connection: Connection, id: Id, detail: string): Uint8Array {
  const server = connection.origin(connection.claimed).server.name;
  return errorAnswer(id, 'upstream_broken', { server, detail });
}

export const nothing: Turn = () => undefined;
