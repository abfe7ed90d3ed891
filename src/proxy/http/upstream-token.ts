/**
 * Tokens of our own for an upstream: got when the first call needs one, renewed before they end, once more when the
 * upstream says that one is not good. How one is got is passed in. Never the client's: that one is for us.
 */

/** What part of its life a token has behind it when the next one is fetched, while it serves on. */
export const RENEW_AT = 0.8;
/** After a fetch that failed, and between two that an upstream's 401 asks for. */
export const RETRY_MS = 5_000;
/** Of a token whose issuer does not say how long it is good. */
export const LIFETIME_MS_DEFAULT = 300_000;

export interface IssuedToken {
  readonly token: string;
  /** undefined: not said. */
  readonly lifetimeMs: number | undefined;
}

export interface UpstreamTokens {
  /** Rejects where there is none and none can be had; says nothing of why, which has been told. */
  current(): Promise<string>;
  /**
   * After an upstream has refused one.
   * @returns another one, or undefined where there is none to try
   */
  another(refused: string): Promise<string | undefined>;
}

export interface UpstreamTokenOptions {
  /** Gets a token, in bounded time. */
  readonly fetchToken: () => Promise<IssuedToken>;
  readonly nowMs: () => number;
  /** Told of each fetch that failed. */
  readonly failed: (message: string) => void;
}

interface Held {
  readonly token: string;
  readonly fetchedMs: number;
  readonly lifetimeMs: number;
}

export function createUpstreamTokens({ fetchToken, nowMs, failed }: UpstreamTokenOptions): UpstreamTokens {
  let held: Held | undefined;
  let failedMs = Number.NEGATIVE_INFINITY;
  let fetching: Promise<void> | undefined;

  /** One at a time, however many calls wait for it. Never rejects. */
  const renew = (): Promise<void> => {
    fetching ??= fetchOnce().finally(() => {
      fetching = undefined;
    });
    return fetching;
  };
  const fetchOnce = async (): Promise<void> => {
    try {
      const { token, lifetimeMs = LIFETIME_MS_DEFAULT } = await fetchToken();
      held = { token, fetchedMs: nowMs(), lifetimeMs };
    } catch (error) {
      failedMs = nowMs();
      failed(error instanceof Error ? error.message : String(error));
    }
  };
  /** The part of its life that the token has behind it; 1 and more: it is over. */
  const age = (): number =>
    held === undefined ? Number.POSITIVE_INFINITY : (nowMs() - held.fetchedMs) / held.lifetimeMs;
  const mayRetry = (): boolean => nowMs() - failedMs >= RETRY_MS;

  return {
    async current() {
      if (age() >= 1 && mayRetry()) await renew();
      else if (age() >= RENEW_AT && mayRetry()) void renew();
      if (held === undefined || age() >= 1) throw new Error('there is no token');
      return held.token;
    },
    async another(refused) {
      const fresh = held !== undefined && nowMs() - held.fetchedMs < RETRY_MS;
      // An upstream that refuses whatever it is sent must not make us ask without end.
      if (held?.token === refused && !fresh && mayRetry()) await renew();
      return held === undefined || held.token === refused ? undefined : held.token;
    },
  };
}
