/**
 * The one path from a message to its being forwarded, for every transport and both directions: what a door says of
 * a message, and what it is told. gatekeeper.ts is behind it.
 */
import type { ErrorCode, ErrorDetails } from '../errors.ts';
import type { OutcomeStatus, Reason } from '../event/vocabulary.ts';
import type { Claimed, Identity } from '../identity/identity.ts';
import type { KillSwitch } from './kill-switch.ts';
import type { ListChanges, ListName } from './lists/changes.ts';
import type { Call, Glimpse, Id, NotificationMessage, RequestMessage } from './message/message.ts';
import type { TransportMessage } from './message/transport.ts';

/** Where messages come from; constant for one HTTP exchange or one stdio connection. */
export interface Origin {
  readonly server: { readonly name: string; readonly address?: string; readonly port?: number };
  readonly transport: 'tcp' | 'pipe';
  readonly identity: Identity;
  readonly claimed: Claimed;
  readonly clientAddress?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly protocolVersion?: string | undefined;
  /** HTTP headers, unchecked; `params._meta` goes first. */
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
}

export type Direction = 'to_upstream' | 'to_client';

/** What a server asks of the client without a request of its own, see inputs.ts. */
export interface InputMessage {
  readonly kind: 'input';
  readonly method: string;
  readonly call: Call;
  /** None of its own. */
  readonly bytes: Uint8Array;
  /** The request in whose answer it stands; undefined where it stands in a notification. */
  readonly within: (Asked & { readonly id: Id | null }) | undefined;
}

/** What the gate decides on. */
export type Governable = RequestMessage | NotificationMessage | TransportMessage | InputMessage;

/** What became of a forwarded message. */
export interface Outcome {
  readonly status: OutcomeStatus;
  /** Bytes of the answer. */
  readonly size?: number | undefined;
  readonly errorType?: string | undefined;
  readonly rpcCode?: string | undefined;
  readonly httpStatus?: number | undefined;
}

/** A message that the proxy itself sends back to whoever sent the refused one. */
export interface Answer {
  readonly httpStatus: number;
  /** One JSON-RPC message without a line end; undefined for a refused notification, which is dropped. */
  readonly body: Uint8Array | undefined;
}

/** What a request was that went on, as far as its answer has to be read in the light of it. */
export interface Asked {
  readonly method: string;
  /** Whether it had the 2026-07-28 envelope. */
  readonly modern: boolean;
  readonly protocolVersion: string | undefined;
}

export interface Forward {
  readonly forward: true;
  /** undefined where no answer comes: for what is no request. */
  readonly asked: Asked | undefined;
  /** W3C trace context of our CLIENT span, for the HTTP headers towards the upstream. */
  readonly trace: { readonly traceparent: string; readonly tracestate?: string | undefined };
  /** Records the outcome. The first call counts, later ones do nothing; only a request has one. */
  settle(outcome: Outcome): void;
}

export interface Refuse {
  readonly forward: false;
  readonly answer: Answer;
}

export type Ruling = Forward | Refuse;

/** What of an answer may go to the client. */
export type Shown =
  /** The very same bytes where nothing had to be changed. */
  | {
      readonly ok: true;
      readonly bytes: Uint8Array;
      /** What the server has lists of, as far as the answer tells. */
      readonly lists?: readonly ListName[] | undefined;
    }
  | { readonly ok: false; readonly code: ErrorCode; readonly details: ErrorDetails };

/** What is refused before policy can be asked. */
export interface Rejection {
  readonly reason: Extract<
    Reason,
    | 'parse'
    | 'origin_refused'
    | 'identity_missing'
    | 'identity_invalid'
    | 'server_unknown'
    | 'limit'
    | 'shutdown'
    | 'killed'
  >;
  readonly code: ErrorCode;
  readonly details: ErrorDetails;
  readonly origin: Partial<Origin>;
  readonly id: Id | null;
  /** What could be read of the message, where some of it could. */
  readonly message?: Glimpse | undefined;
  /** Which way the message went; absent where there was none yet. */
  readonly direction?: Direction | undefined;
}

export interface Gate {
  /**
   * Decides, records, waits until the record is as durable as promised, and only then says forward.
   * Never rejects: whatever goes wrong inside is a refusal.
   * @param onlyCounted asked once, where the message is denied: whether the asker counts it, and so it has no record
   */
  decide(
    message: Governable,
    origin: Origin,
    direction: Direction,
    onlyCounted?: () => boolean,
  ): Promise<Ruling>;

  /** Records a rejection without waiting, and says what to answer. */
  reject(rejection: Rejection): Answer;

  /**
   * What the client may see of an upstream's answer. Records nothing: whoever has to refuse it rejects it.
   * @param bytes a JSON-RPC response
   * @param asked what it answers; undefined where that is not known, and then a list is what has the form of one
   * @param origin of the request or stream that it goes out on
   */
  show(bytes: Uint8Array, asked: Asked | undefined, origin: Origin): Shown;

  /** What of all this is stopped by hand; undefined where nothing ever is. `decide` heeds it. */
  readonly killSwitch?: KillSwitch | undefined;

  /** When `show` may show other lists than before; undefined where it never will. */
  readonly listChanges?: ListChanges | undefined;
}
