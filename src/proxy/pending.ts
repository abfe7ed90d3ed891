/**
 * Messages whose answer may come on another connection than they went out on: server-to-client requests (the
 * client POSTs its response), and calls whose stream ended before their answer (the client resumes with a GET).
 * Bounded by count, of what is kept and of what is remembered, and what is kept by time too: a client that never comes
 * back must not keep its call without an outcome.
 */
import type { Direction, Forward, Origin, Outcome } from './gate.ts';
import type { Id } from './message/message.ts';

export interface PendingKey {
  /** Which way the request went. */
  readonly direction: Direction;
  readonly server: string;
  /** The client's side, see callerKey. */
  readonly caller: string;
  readonly sessionId: string | undefined;
  readonly id: Id;
}

export interface Pending {
  /**
   * Keeps a forwarded request until its answer comes. One with the same key before it settles as `unknown`. Where no
   * answer need come any more, it is not kept and settles as `cancelled`.
   * @param origin of the client's side
   */
  hold(key: PendingKey, ruling: Forward, origin: Origin): void;
  /** What stands under the key, once. */
  take(key: PendingKey): Forward | undefined;
  /** Settles a request as `unknown`, if it still stands under the key. */
  forget(key: PendingKey, ruling: Forward): void;
  /** Its client has taken a request of a session back: after that its answer need not come (MCP, cancellation). */
  cancel(key: PendingKey): void;
  /** Whether that is so; asked once. */
  takeCancelled(key: PendingKey): boolean;
  /** Settles what waits in a session that has ended, and forgets what was taken back in one that is lost. */
  endSession(session: EndedSession, status: 'cancelled' | 'unknown'): void;
  /** Settles what it is asked for, with an outcome of the caller's choice. @returns what that was */
  end(isMeant: (origin: Origin) => boolean, outcome: Outcome): readonly Held[];
  /** Settles as `unknown` what has been kept for as long as anything is. */
  expire(): void;
  /** Settles everything as `unknown`. */
  close(): void;
}

export interface EndedSession {
  readonly server: string;
  readonly sessionId: string;
  /** Whose part of it has ended; undefined: everybody's. */
  readonly caller?: string;
}

/** What became of a request that its client has taken back: an error says no more than that, a result that it was done. */
export function takenBack(outcome: Outcome): Outcome {
  return outcome.status === 'rpc_error' ? { ...outcome, status: 'cancelled' } : outcome;
}

/** A request that waits. */
export interface Held {
  readonly key: PendingKey;
  readonly origin: Origin;
}

interface Entry extends Held {
  readonly ruling: Forward;
  /** Whether an answer could as well belong to a request before it, since no session tells the two apart. */
  readonly ambiguous: boolean;
  readonly heldMs: number;
}

export interface PendingOptions {
  /** When there are more, the oldest makes room and settles as `unknown`. */
  readonly entriesMax: number;
  /** How long one is kept. */
  readonly keepMs: number;
  /** On a clock that never goes back. */
  readonly nowMs: () => number;
}

export function createPending({ entriesMax, keepMs, nowMs }: PendingOptions): Pending {
  const entries = new Map<string, Entry>();
  const cancelled = new Map<string, PendingKey>();

  const end = (name: string, outcome: Outcome): void => {
    const entry = entries.get(name);
    entries.delete(name);
    entry?.ruling.settle(outcome);
  };
  const drop = (name: string, status: 'unknown' | 'cancelled'): void => end(name, { status });

  return {
    hold(key, ruling, origin) {
      const name = nameOf(key);
      if (cancelled.delete(name)) {
        ruling.settle({ status: 'cancelled' });
        return;
      }
      const ambiguous = key.sessionId === undefined && entries.has(name);
      drop(name, 'unknown');
      entries.set(name, { key, origin, ruling, ambiguous, heldMs: nowMs() });
      const [oldest] = entries.keys();
      if (entries.size > entriesMax && oldest !== undefined) drop(oldest, 'unknown');
    },
    take(key) {
      const name = nameOf(key);
      const entry = entries.get(name);
      entries.delete(name);
      if (entry?.ambiguous === true) entry.ruling.settle({ status: 'unknown' });
      return entry?.ruling;
    },
    forget(key, ruling) {
      const name = nameOf(key);
      if (entries.get(name)?.ruling === ruling) drop(name, 'unknown');
    },
    cancel(key) {
      const name = nameOf(key);
      if (entries.has(name)) drop(name, 'cancelled');
      // Without a session a client's next request may have the same key.
      else if (key.sessionId !== undefined) remember(cancelled, key, entriesMax);
    },
    takeCancelled: (key) => cancelled.delete(nameOf(key)),
    endSession(session, status) {
      for (const [name, { key }] of entries) if (isWithin(session, key)) drop(name, status);
      // The streams of calls that were taken back outlive the end that their client has made, by a moment.
      if (status === 'cancelled') return;
      for (const [name, key] of cancelled) if (isWithin(session, key)) cancelled.delete(name);
    },
    end(isMeant, outcome) {
      const meant = [...entries].filter(([, { origin }]) => isMeant(origin));
      for (const [name] of meant) end(name, outcome);
      return meant.map(([, held]) => held);
    },
    expire() {
      const before = nowMs() - keepMs;
      for (const [name, { heldMs }] of entries) {
        // They stand in the order in which they came.
        if (heldMs > before) return;
        drop(name, 'unknown');
      }
    },
    close() {
      for (const name of entries.keys()) drop(name, 'unknown');
    },
  };
}

function remember(keys: Map<string, PendingKey>, key: PendingKey, max: number): void {
  keys.set(nameOf(key), key);
  const [oldest] = keys.keys();
  if (keys.size > max && oldest !== undefined) keys.delete(oldest);
}

function isWithin({ server, sessionId, caller }: EndedSession, key: PendingKey): boolean {
  return (
    key.server === server && key.sessionId === sessionId && (caller === undefined || key.caller === caller)
  );
}

function nameOf({ direction, server, caller, sessionId, id }: PendingKey): string {
  return JSON.stringify([direction, server, caller, sessionId ?? null, id.json]);
}
