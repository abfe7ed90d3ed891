/** How long to wait before the same records are sent again. Pure. */

/** After an ordinary failure; a random time between the two that grows with each failure in a row. */
export const BACKOFF_MS = { min: 500, max: 30_000 } as const;

/** After a refusal that no bisecting can settle: it is the set-up that is wrong, and somebody must look. */
export const SLOW_BACKOFF_MS = { min: 60_000, max: 300_000 } as const;

/** A server that asks for more gets no more than this. */
export const RETRY_AFTER_MS_MAX = 300_000;

/**
 * @param failures how many in a row, from 1
 * @param random from 0 up to, not including, 1
 */
export function backoffMs(failures: number, random: () => number): number {
  const ceiling = Math.min(BACKOFF_MS.max, BACKOFF_MS.min * 2 ** Math.max(1, failures));
  return Math.round(BACKOFF_MS.min + random() * (ceiling - BACKOFF_MS.min));
}

export function slowBackoffMs(random: () => number): number {
  return Math.round(SLOW_BACKOFF_MS.min + random() * (SLOW_BACKOFF_MS.max - SLOW_BACKOFF_MS.min));
}

/** IMF-fixdate and the two forms that a recipient must still take (RFC 9110, section 5.6.7). */
const HTTP_DATE = /^[A-Z][a-z]{2,8},? .{4,}$/;

/**
 * Milliseconds that a Retry-After header asks to wait (RFC 9110, section 10.2.3), RETRY_AFTER_MS_MAX at most.
 * undefined for what asks for nothing: 0, a date gone by, nonsense. Obeying a 0 would be a storm of requests.
 */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  const text = header?.trim() ?? '';
  let delayMs = Number.NaN;
  if (/^\d+$/.test(text)) delayMs = Number(text) * 1000;
  else if (HTTP_DATE.test(text)) delayMs = Date.parse(text) - nowMs;
  return delayMs > 0 ? Math.min(delayMs, RETRY_AFTER_MS_MAX) : undefined;
}
