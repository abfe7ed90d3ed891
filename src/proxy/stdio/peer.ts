/** What stands behind the stdio door: one MCP server, however it is reached. */
import type { Forward, Outcome } from '../gate.ts';
import type { ReadAnswer } from '../message/answer-reader.ts';
import type { Id, NotificationMessage, RequestMessage } from '../message/message.ts';
import type { ChildEnd } from './child.ts';
import type { Line } from './line-splitter.ts';

/** What is known of a line that goes to the server, besides its bytes. */
export interface Sent {
  readonly message: RequestMessage | NotificationMessage;
  readonly trace: Forward['trace'];
}

/** Takes what goes to the server: all of it has been decided. */
export interface Outlet {
  /**
   * Takes one framed line. The next one may go before it or beside it only where the server cannot tell.
   * @param sent undefined for a response to a request of the server's own
   * @returns resolves when there is room for the next one: true, or false where nothing can be sent any more
   */
  write(framed: Uint8Array, sent?: Sent): Promise<boolean>;
  /** Nothing more will be written. */
  end(): void;
}

/** What is known of a line that came over HTTP. */
export interface Seen {
  readonly read: ReadAnswer;
  readonly httpStatus: number;
}

/** Takes what comes from the server, in order. Both return a promise of room where nothing may follow before it. */
export interface Inlet {
  /** @param seen where whoever hands it over has read it already; else it is read here */
  fromUpstream(line: Line, seen?: Seen): Promise<void> | undefined;
  /**
   * No answer to a request will come from the server any more.
   * @param body what the client is told instead, as one JSON-RPC message; undefined where it waits for nothing
   */
  unanswered(id: Id, outcome: Outcome, body: Uint8Array | undefined): Promise<void> | undefined;
}

/** What a peer has to say, while it is listened to. */
export interface Incoming {
  /** Resolves when the last line has been taken; after `stop`, never. */
  readonly done: Promise<void>;
  /** A number that changes while there is progress. */
  readonly chunks: number;
  /** Whether it is held up because whoever takes the lines has no room. */
  readonly waiting: boolean;
  /** Hands on no further. */
  stop(): void;
}

/** How a peer ended: as its process did, or as one would have. */
export type PeerEnd = ChildEnd;

export interface Peer {
  readonly outlet: Outlet;
  /** Begins to hand on what the server says. Called once. */
  listen(inlet: Inlet): Incoming;
  /** Resolves when the server has gone, or `stop` has run its course. */
  readonly ended: Promise<PeerEnd>;
  /** Resolves when what it says besides messages, if anything, has been passed on. */
  readonly drained: Promise<void>;
  /** Starts the way out. The caller ends `outlet`. */
  stop(): void;
  /** Goes the rest of that way at once. @param graceMs what is left until the end is forced; default: as the peer has it */
  terminate(graceMs?: number): void;
  /** What the server calls the session; undefined: nothing, or there is none. */
  readonly sessionId?: (() => string | undefined) | undefined;
  /** Why what is still open at the end has no answer. */
  describe(end: PeerEnd): string;
}
