/** kill -9 of a running proxy, at random moments and right after something was delivered, again and again. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Service } from './crash-scene.ts';
import type { Random } from './simulated-files.ts';

/** How long a proxy lives at most before it is killed. */
const LIFE_MS_MAX = 500;
/** In one of so many cycles something else dies too, and in another one the proxy does right after a delivery. */
const EVERY = 4;
const LOOK_MS = 2;

/**
 * From so many cycles on something must have come twice, else no kill fell between a delivery and its note. On a busy
 * machine that window, of about a millisecond, can be missed in sixty.
 */
export const TWICE_FROM_CYCLES = 500;

export interface KillCycles {
  readonly cycles: number;
  readonly random: Random;
  readonly service: Service;
  /** What the destination holds, in any unit: it grows. */
  readonly received: () => number;
  /** Kills the destination and starts it again. */
  readonly restartDestination: () => Promise<void>;
}

/** @returns how often the destination was started again */
export async function killAgainAndAgain(options: KillCycles): Promise<number> {
  const { cycles, random, service, received, restartDestination } = options;
  let restarts = 0;
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    const restarted = cycle % EVERY === 0 ? restartDestination() : undefined;
    if (restarted !== undefined) restarts += 1;
    // What is acknowledged and not noted comes twice.
    if (cycle % EVERY === 2) await growth(received);
    else await wait(random(LIFE_MS_MAX));
    await service.kill();
    await service.start();
    await restarted;
  }
  return restarts;
}

/** Resolves when something has come, or after the time. */
async function growth(received: () => number): Promise<void> {
  const before = received();
  const end = performance.now() + LIFE_MS_MAX;
  while (received() === before && performance.now() < end) await wait(LOOK_MS);
}
