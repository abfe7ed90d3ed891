/** Every limit of the way from a stdio client to a server over HTTP: one row each. */
import { HTTP_LIMITS } from '../../http/limits.ts';
import { CHILD_EXIT_GRACE_MS } from '../../stdio/child.ts';
import { LINE_BYTES_MAX } from '../../stdio/line-splitter.ts';
import { type Limit, limitsOf } from '../../limit.ts';

export const REMOTE_LIMITS = {
  /** Time until a new connection stands, TLS included. */
  connectTimeoutMs: HTTP_LIMITS.connectTimeoutMs,
  /** Bytes of one message of the server's: a JSON body or one event of a stream. */
  lineBytesMax: LINE_BYTES_MAX,
  /** Requests that wait for their answer; each holds a connection. One more is answered with an error. */
  openMax: { default: 1_024, maximum: 65_536 },
  /** Bytes, over all connections, of messages that have not come whole or that the client has not taken. */
  gatheredBytesMax: { default: 64 * 1024 * 1024, maximum: 1024 * 1024 * 1024 },
  /** Time for the server to accept a notification or a response: what comes after it waits meanwhile. */
  acceptTimeoutMs: { default: 30_000, maximum: 600_000 },
  /** How long the answer to a cancelled request may still come. */
  cancelGraceMs: { default: 5_000, maximum: 600_000 },
  /** How long a stream may go on after the answer that it was opened for. */
  afterAnswerMs: { default: 5_000, maximum: 600_000 },
  /** Times in a row that a broken stream is asked for again and brings nothing new, before its request is given up. */
  resumeTriesMax: { default: 5, maximum: 100 },
  /** From the end of stdin until requests without an answer are given up. */
  exitGraceMs: CHILD_EXIT_GRACE_MS,
  /** Time for the server to end the session; it comes out of the 2 s that clients give us after SIGTERM. */
  deleteTimeoutMs: { default: 1_000, maximum: 60_000 },
  /** Bytes of what is remembered of the tools that were listed. */
  toolHeaderBytesMax: { default: 4 * 1024 * 1024, maximum: 64 * 1024 * 1024 },
} as const satisfies Record<string, Limit>;

export type RemoteLimits = Readonly<Record<keyof typeof REMOTE_LIMITS, number>>;

/** Fills in the defaults. Throws `config_invalid` for a value that is not a whole number from 1 to its maximum. */
export function remoteLimits(given: Partial<RemoteLimits> = {}): RemoteLimits {
  return limitsOf(REMOTE_LIMITS, given);
}

/** Before the first try to get a broken stream back, doubled for each that fails; the server may say another time. */
export const RETRY_FIRST_MS = 1_000;
export const RETRY_MAX_MS = 30_000;
/** The longest that a server's `retry` is followed for. */
export const RETRY_TOLD_MAX_MS = 300_000;

/** The shortest, doubled for each try that fails: with 0 a server could have us come back, and record it, without end. */
export const RETRY_TOLD_MIN_MS = 100;

/** @param tries that have failed in a row @param toldMs what the server's `retry` field said last */
export function retryDelayMs(tries: number, toldMs: number | undefined): number {
  if (toldMs !== undefined) {
    const leastMs = Math.min(RETRY_TOLD_MIN_MS * 2 ** tries, RETRY_MAX_MS);
    return Math.min(Math.max(toldMs, leastMs), RETRY_TOLD_MAX_MS);
  }
  return Math.min(RETRY_FIRST_MS * 2 ** tries, RETRY_MAX_MS);
}
