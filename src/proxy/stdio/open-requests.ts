/**
 * The requests of one direction that have no answer yet. An answer is matched by its id, so an id may be open only
 * once at a time (MCP, base protocol: a requestor never uses an id again within a session).
 */
import type { Asked, Forward, Outcome } from '../gate.ts';
import { type Limit, limitOf } from '../limit.ts';
import type { ListName } from '../lists/changes.ts';
import type { Id } from '../message/message.ts';
import { takenBack } from '../pending.ts';

/** Forwarded requests that may wait for their answer; over it the oldest is given up as `unknown`. */
export const STDIO_OPEN_MAX: Limit = { default: 10_000, maximum: 1_000_000 };

const CANCELLED: Outcome = { status: 'cancelled' };

interface OpenRequest {
  readonly id: Id;
  /** Undefined until the gate has let it pass. */
  forward: Forward | undefined;
  /** Whether its sender has taken it back. The other side may answer all the same. */
  cancelled: boolean;
  /** Whether it was stopped by hand: settled, and answered by us. What the other side still says is for nobody. */
  stopped: boolean;
  /** The lists of whose changes the other side has promised to tell, in answer to it. */
  subscribed: ReadonlySet<ListName> | undefined;
}

/** A request that was let through. */
export interface Forwarded {
  readonly id: Id;
  readonly forward: Forward;
}

export class OpenRequests {
  readonly #openMax: number;
  readonly #byId = new Map<string, OpenRequest>();

  constructor(openMax?: number) {
    this.#openMax = limitOf('openMax', STDIO_OPEN_MAX, openMax);
  }

  /** @returns false where the id is open already; then nothing is changed */
  open(id: Id): boolean {
    if (this.#byId.has(id.json)) return false;
    if (this.#byId.size >= this.#openMax) this.#giveUpOldest();
    this.#byId.set(id.json, {
      id,
      forward: undefined,
      cancelled: false,
      stopped: false,
      subscribed: undefined,
    });
    return true;
  }

  /** @returns false where the request has been closed in the meantime */
  pass(id: Id, forward: Forward): boolean {
    const request = this.#byId.get(id.json);
    if (request === undefined) return false;
    request.forward = forward;
    return true;
  }

  /** `deciding`: not let through yet; `passed`: waits for its answer; undefined: not open. */
  stateOf(idJson: string): 'deciding' | 'passed' | 'stopped' | undefined {
    const request = this.#byId.get(idJson);
    if (request === undefined) return undefined;
    if (request.stopped) return 'stopped';
    return request.forward === undefined ? 'deciding' : 'passed';
  }

  /** What a request was that has been let through. */
  askedOf(idJson: string): Asked | undefined {
    return this.#byId.get(idJson)?.forward?.asked;
  }

  /** Ends a request, with its outcome where it was let through. @returns false where nobody waits for it */
  close(idJson: string, outcome?: Outcome): boolean {
    const request = this.#byId.get(idJson);
    if (request === undefined) return false;
    this.#byId.delete(idJson);
    if (request.stopped) return false;
    if (outcome !== undefined) request.forward?.settle(request.cancelled ? takenBack(outcome) : outcome);
    return true;
  }

  /**
   * Stops what was let through: it is settled, and its id stays taken until the other side has answered, so that the
   * answer is not taken for that of another request. @returns those whose sender waits for an answer
   */
  stopPassed(outcome: Outcome): Forwarded[] {
    const passed = [...this.#byId.values()].filter(({ stopped }) => !stopped);
    return passed.flatMap((request) => {
      const { id, forward, cancelled } = request;
      if (forward === undefined) return [];
      request.stopped = true;
      forward.settle(cancelled ? CANCELLED : outcome);
      return cancelled ? [] : [{ id, forward }];
    });
  }

  /** Notes that a request was taken back: should no answer come, its outcome is `cancelled`. */
  cancel(idJson: string): void {
    const request = this.#byId.get(idJson);
    if (request !== undefined) request.cancelled = true;
  }

  /** Notes that an open request has become a subscription. */
  subscribe(idJson: string, lists: ReadonlySet<ListName>): void {
    const request = this.#byId.get(idJson);
    if (request?.forward !== undefined) request.subscribed = lists;
  }

  /** The subscriptions that have not ended. */
  subscriptions(): readonly { readonly id: Id; readonly lists: ReadonlySet<ListName> }[] {
    return [...this.#byId.values()].flatMap(({ id, cancelled, stopped, subscribed: lists }) =>
      cancelled || stopped || lists === undefined ? [] : [{ id, lists }],
    );
  }

  /** Ends all. @returns the ids that wait for an answer and will get none now */
  closeAll(outcome: Outcome): Id[] {
    const requests = [...this.#byId.values()];
    for (const { id, cancelled } of requests) this.close(id.json, cancelled ? CANCELLED : outcome);
    return requests.filter(({ cancelled, stopped }) => !cancelled && !stopped).map(({ id }) => id);
  }

  #giveUpOldest(): void {
    for (const [idJson, request] of this.#byId) {
      // One that is still being decided must stay: its ruling has yet to be obeyed. Their number has its own limit.
      const evicted = { status: 'unknown', errorType: 'evicted' } as const;
      if (request.forward !== undefined) this.close(idJson, request.cancelled ? CANCELLED : evicted);
      return;
    }
  }
}
