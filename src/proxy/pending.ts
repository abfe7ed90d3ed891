/**
 * Messages whose answer may come on another connection than they went out on: server-to-client requests (the
 * client POSTs its response), and calls whose stream ended before their answer (the client resumes with a GET).
 */
import type { Direction, Forward } from './gate.ts';
import type { Id } from './message/message.ts';

export interface PendingKey {
  /** Which way the request went. */
  readonly direction: Direction;
  readonly server: string;
  readonly sessionId: string | undefined;
  readonly id: Id;
}

export interface Pending {
  /** Keeps a forwarded request until its answer comes. One with the same key before it settles as `unknown`. */
  hold(key: PendingKey, ruling: Forward): void;
  /** Remembers that a request was refused and answered, so that no second answer goes out. */
  refuse(key: PendingKey): void;
  /** What stands under the key. A held request is given out once; a refusal is remembered on. */
  take(key: PendingKey): Forward | 'refused' | undefined;
  /** Settles as `cancelled` what waits in a session that has ended. */
  endSession(server: string, sessionId: string): void;
  /** Settles everything as `unknown`. */
  close(): void;
}

interface Entry {
  readonly server: string;
  readonly sessionId: string | undefined;
  readonly ruling: Forward | 'refused';
}

/** @param entriesMax when there are more, the oldest makes room and settles as `unknown` */
export function createPending(entriesMax: number): Pending {
  const entries = new Map<string, Entry>();

  const drop = (key: string, status: 'unknown' | 'cancelled'): void => {
    const entry = entries.get(key);
    entries.delete(key);
    if (entry !== undefined && entry.ruling !== 'refused') entry.ruling.settle({ status });
  };

  const put = ({ direction, server, sessionId, id }: PendingKey, ruling: Entry['ruling']): void => {
    const key = keyOf(direction, server, sessionId, id);
    drop(key, 'unknown');
    entries.set(key, { server, sessionId, ruling });
    const [oldest] = entries.keys();
    if (entries.size > entriesMax && oldest !== undefined) drop(oldest, 'unknown');
  };

  return {
    hold: put,
    refuse: (key) => put(key, 'refused'),
    take({ direction, server, sessionId, id }) {
      const key = keyOf(direction, server, sessionId, id);
      const ruling = entries.get(key)?.ruling;
      if (ruling !== 'refused') entries.delete(key);
      return ruling;
    },
    endSession(server, sessionId) {
      for (const [key, entry] of entries) {
        if (entry.server === server && entry.sessionId === sessionId) drop(key, 'cancelled');
      }
    },
    close() {
      for (const key of entries.keys()) drop(key, 'unknown');
    },
  };
}

function keyOf(direction: Direction, server: string, sessionId: string | undefined, id: Id): string {
  return JSON.stringify([direction, server, sessionId ?? null, id.json]);
}
