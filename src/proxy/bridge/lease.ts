/** A place that is given up when nobody has used it for a while, or when somebody else needs it more. */
import type { Schedule } from '../stdio/child.ts';
import type { Place } from './places.ts';

export interface LeaseOptions {
  readonly schedule: Schedule;
  readonly idleMs: number;
  /** Ends what stands in the place. */
  readonly end: (why: 'idle' | 'evicted') => void;
}

export class Lease {
  readonly #place: Place;
  readonly #options: LeaseOptions;
  #callOff: () => void = () => undefined;
  #left = false;

  constructor(place: Place, options: LeaseOptions) {
    this.#place = place;
    this.#options = options;
  }

  /** @param open whether something is open to it now */
  used(open: boolean): void {
    const { schedule, idleMs, end } = this.#options;
    if (this.#left) return;
    this.#callOff();
    if (open) {
      this.#place.busy();
      return;
    }
    this.#place.idle(() => end('evicted'));
    this.#callOff = schedule(idleMs, () => end('idle'));
  }

  /** It is being ended. */
  leave(): void {
    this.#left = true;
    this.#callOff();
    this.#place.leaving();
  }

  /** It has ended. */
  free(): void {
    this.#left = true;
    this.#callOff();
    this.#place.free();
  }
}
