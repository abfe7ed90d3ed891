/** Every limit of the bridge to stdio servers: one row each, with its default and the most that it may be set to. */
import { type Limit, limitsOf } from '../limit.ts';

export const BRIDGE_LIMITS = {
  /** Processes of all servers together, those that are being ended included. */
  childrenMax: { default: 64, maximum: 4096 },
  /** The same of one server. */
  serverChildrenMax: { default: 32, maximum: 4096 },
  /** The same of one server and one caller. */
  callerChildrenMax: { default: 8, maximum: 4096 },
  /** How long a process is kept that no request and no stream is open to. */
  childIdleMs: { default: 1_800_000, maximum: 86_400_000 },
  /** How long a stream is silent before it gets a comment, and a request unanswered before it gets a stream. */
  keepAliveMs: { default: 15_000, maximum: 60_000 },
  /** Events of one session that are kept for a client that comes back for them. */
  eventsMax: { default: 256, maximum: 65_536 },
  /** Bytes of those events; one answer of the longest fits. */
  eventBytesMax: { default: 16 * 1024 * 1024, maximum: 256 * 1024 * 1024 },
  /** Messages of one session that wait for a stream to go out on. */
  waitingMax: { default: 256, maximum: 65_536 },
  /** Bytes of those messages. */
  waitingBytesMax: { default: 4 * 1024 * 1024, maximum: 256 * 1024 * 1024 },
  /** Requests that one process has not answered. */
  openMax: { default: 1024, maximum: 65_536 },
  /** Bytes that a caller of a shared process leaves unread of one request before it loses that request. */
  unreadBytesMax: { default: 1024 * 1024, maximum: 64 * 1024 * 1024 },
  /** Bytes of one line of a server's stdout; as an event it is longer, and the door's `answerBytesMax` holds for that. */
  lineBytesMax: { default: 10 * 1024 * 1024 - 4096, maximum: 64 * 1024 * 1024 - 4096 },
  /** Bytes of one line of a server's stderr that are shown. */
  stderrLineBytesMax: { default: 8192, maximum: 65_536 },
  /** Bytes of it that are shown in a second; of lines beyond, only the number. */
  stderrSecondBytesMax: { default: 262_144, maximum: 64 * 1024 * 1024 },
  /** Bytes of what is remembered of the tools that a server has listed. */
  toolHeaderBytesMax: { default: 4 * 1024 * 1024, maximum: 64 * 1024 * 1024 },
  /** Time for a server to answer a request all the same that its client has taken back. */
  cancelGraceMs: { default: 5_000, maximum: 60_000 },
  /** From the end of its stdin until a process is sent SIGTERM. */
  exitGraceMs: { default: 2_000, maximum: 600_000 },
  /** From SIGTERM to SIGKILL. */
  termGraceMs: { default: 2_000, maximum: 60_000 },
} as const satisfies Record<string, Limit>;

export type BridgeLimits = Readonly<Record<keyof typeof BRIDGE_LIMITS, number>>;

/** Fills in the defaults. Throws `config_invalid` for a value that is not a whole number from 1 to its maximum. */
export function bridgeLimits(given: Partial<BridgeLimits> = {}): BridgeLimits {
  return limitsOf(BRIDGE_LIMITS, given);
}
