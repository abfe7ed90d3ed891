/**
 * Places for processes: how many there may be at all, of one server, and of one caller of a server. Where all are
 * taken, a process that nobody uses is ended for the new one: one of the caller's own where it has its share, else the
 * one that was not used for longest. So nobody starves for what others have left lying about, and a caller takes no
 * more of others than its share.
 */
import type { StdioUpstream } from '../http/upstream.ts';
import type { BridgeLimits } from './limits.ts';

export interface Tenant {
  readonly upstream: StdioUpstream;
  /** See callerKey; for a process that all callers share, anything that is no caller's. */
  readonly caller: string;
}

/** Held from before a process is started until it has ended. */
export interface Place {
  /** Nobody uses it now. @param end ends it; called at most once, when it is wanted for another */
  idle(end: () => void): void;
  /** Somebody uses it. */
  busy(): void;
  /** It is being ended. */
  leaving(): void;
  /** It has ended. */
  free(): void;
}

export type Taken =
  | {
      readonly ok: true;
      readonly place: Place;
      /** Resolves when it can be used: another process may have to end first. */
      readonly ready: Promise<void>;
    }
  | { readonly ok: false; readonly limit: 'childrenMax' | 'serverChildrenMax' | 'callerChildrenMax' };

interface Holder extends Tenant {
  /** Set while nobody uses it. */
  end: (() => void) | undefined;
  state: 'busy' | 'idle' | 'leaving';
  /** Whether its place has been promised to another. */
  claimed: boolean;
  readonly gone: PromiseWithResolvers<void>;
}

export class Places {
  readonly #limits: BridgeLimits;
  /** Those that are idle in the order in which they became so; a Set keeps it. */
  readonly #holders = new Set<Holder>();

  constructor(limits: BridgeLimits) {
    this.#limits = limits;
  }

  take(tenant: Tenant): Taken {
    const { childrenMax, serverChildrenMax, callerChildrenMax } = this.#limits;
    const ofServer = (holder: Holder): boolean => holder.upstream.name === tenant.upstream.name;
    const ofCaller = (holder: Holder): boolean => ofServer(holder) && holder.caller === tenant.caller;
    const scopes = [
      ['callerChildrenMax', callerChildrenMax, ofCaller],
      ['serverChildrenMax', serverChildrenMax, ofServer],
      ['childrenMax', childrenMax, () => true],
    ] as const;
    let claimed: Holder | undefined;
    for (const [limit, max, belongs] of scopes) {
      const counted = [...this.#holders].filter((holder) => !holder.claimed && belongs(holder));
      if (counted.length < max) continue;
      claimed =
        counted.find(({ state }) => state === 'leaving') ?? counted.find(({ state }) => state === 'idle');
      if (claimed === undefined) return { ok: false, limit };
      // One that goes makes room in every wider scope too.
      break;
    }
    const ready = claimed === undefined ? Promise.resolve() : this.#claim(claimed);
    const holder: Holder = {
      ...tenant,
      end: undefined,
      state: 'busy',
      claimed: false,
      gone: Promise.withResolvers<void>(),
    };
    this.#holders.add(holder);
    return { ok: true, place: this.#place(holder), ready };
  }

  #claim(holder: Holder): Promise<void> {
    holder.claimed = true;
    const { end } = holder;
    holder.state = 'leaving';
    holder.end = undefined;
    end?.();
    return holder.gone.promise;
  }

  #place(holder: Holder): Place {
    return {
      idle: (end) => {
        if (holder.state === 'leaving') return;
        holder.state = 'idle';
        holder.end = end;
        // To the back of the row.
        this.#holders.delete(holder);
        this.#holders.add(holder);
      },
      busy() {
        if (holder.state === 'leaving') return;
        holder.state = 'busy';
        holder.end = undefined;
      },
      leaving() {
        holder.state = 'leaving';
        holder.end = undefined;
      },
      free: () => {
        this.#holders.delete(holder);
        holder.gone.resolve();
      },
    };
  }
}
