/**
 * What happens to each line of a stdio connection, in both directions (MCP 2025-11-25 and 2026-07-28, transports,
 * stdio). Lines go on with the bytes they came with. What is refused is answered to whoever sent it; such an
 * answer may overtake lines that still wait for their decision.
 */
import { createThrottle } from '../../telemetry/throttle.ts';
import type { Direction, Outcome } from '../gate.ts';
import { limitOf } from '../limit.ts';
import { clientLine } from './client-lines.ts';
import { broken, pass, type Connection, type Side, type StdioRelayOptions } from './connection.ts';
import { stopWhenKilled } from './kill.ts';
import { Lane } from './lane.ts';
import { LINE_BYTES_MAX, type Line } from './line-splitter.ts';
import { tellOfListChanges } from './list-changes.ts';
import { frame } from './line-stream.ts';
import { OpenRequests } from './open-requests.ts';
import type { Inlet } from './peer.ts';
import { upstreamLine } from './upstream-lines.ts';

export interface StdioRelay extends Inlet {
  /** A line of the client. @returns a promise of room where no further line may come before it */
  fromClient(line: Line): Promise<void> | undefined;
  /** Resolves when all lines that go in this direction have had their turn. */
  idle(direction: Direction): Promise<void>;
  /** The upstream has gone: whatever waits for it is settled, and the client is told. */
  breakOff(detail: string): Promise<void>;
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
    lists: new Set(),
    claimed: {},
    initializing: undefined,
    protocolVersion: undefined,
  };
  const untell = tellOfListChanges(connection);
  const unkill = stopWhenKilled(connection);
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
    breakOff(detail) {
      untell();
      unkill();
      return breakOff(connection, detail);
    },
  };
}

async function breakOff(connection: Connection, detail: string): Promise<void> {
  const { up, down, throttle } = connection;
  throttle.flush();
  const outcome: Outcome = { status: 'transport_error', errorType: 'child_exit' };
  down.requests.closeAll(outcome);
  const answers = up.requests.closeAll(outcome).map((id) => frame(broken(connection, id, detail)));
  for (const answer of answers) await up.back.write(answer);
}
