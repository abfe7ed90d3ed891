/** Every limit of the HTTP relay: one row each, with its default and the most that it may be set to. */
import { type Limit, limitOf } from '../limit.ts';

export const HTTP_LIMITS = {
  /** Time for a client to send its header section. */
  headersTimeoutMs: { default: 10_000, maximum: 60_000 },
  /** Time for a client to send a whole request, headers and body; says nothing about how long an answer takes. */
  bodyTimeoutMs: { default: 30_000, maximum: 300_000 },
  /** How long a client's idle connection is kept. */
  keepAliveTimeoutMs: { default: 60_000, maximum: 600_000 },
  /** Time until a new connection to an upstream stands, TLS included. */
  connectTimeoutMs: { default: 10_000, maximum: 60_000 },
  /** Bytes of a client's header section. */
  headerBytesMax: { default: 32_768, maximum: 65_536 },
  /** Requests that are served at one moment, open streams included. */
  exchangesMax: { default: 2_048, maximum: 100_000 },
  /** The same of one caller. Where it is not set, it is at most a quarter of `exchangesMax`. */
  callerExchangesMax: { default: 512, maximum: 100_000 },
  /** Messages whose answer may come on another connection (pending.ts). */
  pendingMax: { default: 10_000, maximum: 1_000_000 },
  /** How long such a message is kept. */
  pendingMs: { default: 3_600_000, maximum: 86_400_000 },
  /** Sessions whose owner is remembered (sessions.ts). */
  sessionsMax: { default: 10_000, maximum: 1_000_000 },
  /** Tasks whose owner is remembered (tasks.ts). */
  tasksMax: { default: 10_000, maximum: 1_000_000 },
  /** Bytes of one message from an upstream: a JSON body or one event of a stream. */
  answerBytesMax: { default: 10 * 1024 * 1024, maximum: 64 * 1024 * 1024 },
} as const satisfies Record<string, Limit>;

type LimitName = keyof typeof HTTP_LIMITS;

export type HttpLimits = Readonly<Record<LimitName, number>>;

/** Fills in the defaults. Throws `config_invalid` for a value that is not a whole number from 1 to its maximum. */
export function httpLimits(given: Partial<HttpLimits> = {}): HttpLimits {
  const limit = (name: LimitName): number => limitOf(name, HTTP_LIMITS[name], given[name]);
  const bodyTimeoutMs = limit('bodyTimeoutMs');
  const exchangesMax = limit('exchangesMax');
  const quarter = Math.ceil(exchangesMax / 4);
  return {
    // Headers are part of the request, so they cannot take longer than all of it.
    headersTimeoutMs: Math.min(limit('headersTimeoutMs'), bodyTimeoutMs),
    bodyTimeoutMs,
    keepAliveTimeoutMs: limit('keepAliveTimeoutMs'),
    connectTimeoutMs: limit('connectTimeoutMs'),
    headerBytesMax: limit('headerBytesMax'),
    exchangesMax,
    callerExchangesMax:
      given.callerExchangesMax === undefined
        ? Math.min(HTTP_LIMITS.callerExchangesMax.default, quarter)
        : limit('callerExchangesMax'),
    pendingMax: limit('pendingMax'),
    pendingMs: limit('pendingMs'),
    sessionsMax: limit('sessionsMax'),
    tasksMax: limit('tasksMax'),
    answerBytesMax: limit('answerBytesMax'),
  };
}
