/**
 * The public keys of a token issuer (RFC 7517), kept for a while: fetched when they are first needed, when they are
 * old, and when a token names a key that is not among them, which is how issuers change keys. The fetching is passed
 * in. Whoever sends tokens can make us fetch once in KEYS_COOLDOWN_MS and no more.
 */
import { createLocalJWKSet, errors, type JWTVerifyGetKey } from 'jose';

/** From this age on the keys are fetched anew while the old ones serve on. */
export const KEYS_FRESH_MS = 600_000;
/** Keys that could not be fetched anew for so long are not believed any more: one of them may have been revoked. */
export const KEYS_AGE_MS_MAX = 3_600_000;
/** Between two fetches for keys that are not among those held. */
export const KEYS_COOLDOWN_MS = 30_000;
/** After a fetch that failed, until the next. */
export const KEYS_RETRY_MS = 5_000;
/** Keys of one issuer; a set that holds more is not read. */
export const KEYS_MAX = 256;

/** Why no key could be looked up. Says nothing of the token. */
export class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable';
}

export interface KeySetOptions {
  /** Fetches a JWK Set, in bounded time; what it rejects with is told. */
  readonly load: () => Promise<unknown>;
  readonly nowMs: () => number;
  /** Told of each fetch that failed. */
  readonly failed: (message: string) => void;
}

interface Held {
  readonly find: JWTVerifyGetKey;
  readonly fetchedMs: number;
}

/** Looks up the key of a token. Rejects with KeysUnavailable, or with jose's error for a key that there is not. */
export function createKeySet({ load, nowMs, failed }: KeySetOptions): JWTVerifyGetKey {
  let held: Held | undefined;
  let failure: { readonly message: string; readonly atMs: number } | undefined;
  let loading: Promise<void> | undefined;

  const refresh = (): Promise<void> => {
    loading ??= fetchKeys().finally(() => {
      loading = undefined;
    });
    return loading;
  };
  /** Never rejects. */
  const fetchKeys = async (): Promise<void> => {
    try {
      held = { find: keysOf(await load()), fetchedMs: nowMs() };
      failure = undefined;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      failure = { message, atMs: nowMs() };
      failed(message);
    }
  };
  const ageMs = (): number => (held === undefined ? Number.POSITIVE_INFINITY : nowMs() - held.fetchedMs);
  const mayRetry = (): boolean => failure === undefined || nowMs() - failure.atMs >= KEYS_RETRY_MS;

  const usable = async (): Promise<Held> => {
    if (ageMs() >= KEYS_AGE_MS_MAX && mayRetry()) await refresh();
    else if (ageMs() >= KEYS_FRESH_MS && mayRetry()) void refresh();
    if (held === undefined || ageMs() >= KEYS_AGE_MS_MAX) {
      throw new KeysUnavailable(failure?.message ?? 'they have not been fetched');
    }
    return held;
  };

  return async (header, token) => {
    const keys = await usable();
    try {
      return await keys.find(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      if (ageMs() < KEYS_COOLDOWN_MS || !mayRetry()) throw error;
      await refresh();
      return (await usable()).find(header, token);
    }
  };
}

function keysOf(document: unknown): JWTVerifyGetKey {
  const keys: unknown =
    typeof document === 'object' && document !== null && 'keys' in document ? document.keys : undefined;
  if (!Array.isArray(keys)) throw new Error('what was fetched is no JWK Set');
  if (keys.length > KEYS_MAX) throw new Error(`the JWK Set holds more than ${KEYS_MAX} keys`);
  return createLocalJWKSet({ keys });
}
