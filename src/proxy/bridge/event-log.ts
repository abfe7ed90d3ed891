/**
 * What a session's streams have carried, for a client that lost one and comes back for the rest (MCP 2025-11-25,
 * transports, resumability). It holds what could not be sent too, so that a stream without a reader loses nothing
 * that fits.
 */
export interface LoggedEvent {
  /** Of the stream within its session. */
  readonly stream: number;
  /** Of the event within its stream, from 1. */
  readonly sequence: number;
  readonly message: Uint8Array;
  /** Whether a connection has taken it. */
  sent: boolean;
}

export interface EventLogLimits {
  readonly eventsMax: number;
  readonly eventBytesMax: number;
}

export class EventLog {
  readonly #limits: EventLogLimits;
  readonly #lost: () => void;
  #events: LoggedEvent[] = [];
  #bytes = 0;

  /** @param lost told of each event that had to go unsent */
  constructor(limits: EventLogLimits, lost: () => void) {
    this.#limits = limits;
    this.#lost = lost;
  }

  /** Over a limit the oldest events of the session make room. */
  add(event: LoggedEvent): void {
    this.#events.push(event);
    this.#bytes += event.message.length;
    while (this.#events.length > this.#limits.eventsMax || this.#bytes > this.#limits.eventBytesMax) {
      const oldest = this.#events.shift();
      if (oldest === undefined) return;
      this.#bytes -= oldest.message.length;
      if (!oldest.sent) this.#lost();
    }
  }

  /** The events of a stream that came after one of them, in order. */
  after(stream: number, sequence: number): LoggedEvent[] {
    return this.#events.filter((event) => event.stream === stream && event.sequence > sequence);
  }
}

/** An event's id: unique within its session, and it names its stream. */
export function eventId(stream: number, sequence: number): string {
  return `${stream}-${sequence}`;
}

/** Undefined for an id that is none of ours. */
export function readEventId(id: string): { readonly stream: number; readonly sequence: number } | undefined {
  const [, stream, sequence] = /^(\d{1,15})-(\d{1,15})$/.exec(id) ?? [];
  if (stream === undefined || sequence === undefined) return undefined;
  return { stream: Number(stream), sequence: Number(sequence) };
}
