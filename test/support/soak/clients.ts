/** So many clients that never rest for long, each doing one thing after the other. */
import { setTimeout as wait } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { Act } from './acts.ts';
import type { Wire } from './wire.ts';

export interface Crowd {
  readonly count: number;
  readonly wire: Wire;
  readonly acts: readonly Act[];
  /** Between two acts a client rests for as long as this, give or take a half. */
  readonly restMs: number;
}

export interface Clients {
  /** How often each act has been done. */
  readonly done: ReadonlyMap<string, number>;
  /** What went wrong that should not have. */
  readonly failures: readonly string[];
  /** Resolves when every client has finished what it was doing. */
  stop(): Promise<void>;
}

export function startClients(crowds: readonly Crowd[]): Clients {
  const done = new Map<string, number>();
  const failures: string[] = [];
  const resting = new AbortController();
  const run = async ({ wire, acts, restMs }: Crowd): Promise<void> => {
    while (!resting.signal.aborted) {
      // Not together, from the first one on.
      await wait(restMs / 2 + wire.random(restMs), undefined, { signal: resting.signal }).catch(() => {});
      if (resting.signal.aborted) return;
      const act = draw(acts, wire);
      try {
        await act.run(wire);
      } catch (error) {
        failures.push(`${act.name}: ${inspect(error, { breakLength: Infinity })}`);
      }
      done.set(act.name, (done.get(act.name) ?? 0) + 1);
    }
  };
  const running = crowds.flatMap((crowd) => Array.from({ length: crowd.count }, () => run(crowd)));
  return {
    done,
    failures,
    async stop() {
      resting.abort();
      await Promise.all(running);
    },
  };
}

function draw(acts: readonly Act[], { random }: Wire): Act {
  let ticket = random(acts.reduce((sum, { weight }) => sum + weight, 0));
  for (const act of acts) {
    ticket -= act.weight;
    if (ticket < 0) return act;
  }
  throw new Error('no act has a weight');
}
