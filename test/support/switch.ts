/** A kill switch in a test's own hand. */
import { killOf, type Kill } from '../../src/policy/kills.ts';
import type { KillSwitch } from '../../src/proxy/kill-switch.ts';

export interface HandSwitch extends KillSwitch {
  /** How many hear of it. */
  listeners(): number;
  /** Throws it for these, and for nothing else. */
  set(...kills: readonly Kill[]): void;
}

export function handSwitch(): HandSwitch {
  const listeners = new Set<() => void>();
  let inForce: readonly Kill[] = [];
  return {
    killOf: (subject) => killOf(inForce, subject, 0),
    onKill(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    listeners: () => listeners.size,
    set(...kills) {
      inForce = kills;
      for (const listener of listeners) listener();
    },
  };
}
