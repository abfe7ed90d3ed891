/** A process from before it is started until it has ended, for both eras. */
import { errorCode, type StdioUpstream } from '../http/upstream.ts';
import type { Lease } from './lease.ts';
import { startServer, type LineTaker, type ProcessRoom, type ServerProcess } from './server-process.ts';

export interface Occupant {
  readonly upstream: StdioUpstream;
  readonly taker: LineTaker;
  readonly lease: Lease;
  /** Whether anybody still wants it, asked when it can be started. */
  wanted(): boolean;
  /** It runs. */
  began(process: ServerProcess): void;
  /** It could not be started. @param code as the system says it */
  failed(code: string): void;
  /** It has ended, and its last lines have been taken. */
  ended(): void;
}

/** @param ready when there is a place for it. Never rejects */
export async function occupy(occupant: Occupant, ready: Promise<void>, room: ProcessRoom): Promise<void> {
  const { upstream, taker, lease } = occupant;
  try {
    await ready;
    if (!occupant.wanted()) {
      occupant.failed('given_up');
      return;
    }
    const process = await startServer(upstream, room, taker);
    occupant.began(process);
    await process.ended;
    occupant.ended();
  } catch (error) {
    const where = `server ${upstream.name}`;
    const text = error instanceof Error ? error.message : String(error);
    room.throttle.say('error', `${where}: start`, `${where}: ${text}`);
    occupant.failed(errorCode(error instanceof Error && error.cause !== undefined ? error.cause : error));
  } finally {
    lease.free();
  }
}
