/** One HTTP request while it is served, and what all of a door's share. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Origin } from '../gate.ts';
import type { MessageLimits } from '../message/message.ts';
import type { AdmissionOptions } from './admission.ts';
import type { GiveUp, Relay } from './exchange.ts';
import type { Upstream } from './upstream.ts';

/** What a door and its requests share. */
export interface HttpDesk {
  readonly relay: Relay;
  /** What is in force now; the same value until something else is. */
  readonly terms: () => Terms;
  /** Requests being served. */
  readonly open: Set<Visit>;
  /** How many of them each caller has, by callerKey. */
  readonly callers: Map<string, number>;
  /** Once set, nothing new is forwarded. */
  closing: boolean;
}

/** What requests are admitted and read by. */
export interface Terms {
  readonly admission: AdmissionOptions;
  readonly messageLimits: Partial<MessageLimits>;
}

/** One request being served. */
export interface Visit {
  readonly request: IncomingMessage;
  readonly client: ServerResponse;
  /** Aborted with a GiveUp. */
  readonly controller: AbortController;
  /** By which it is served. */
  terms: Terms;
  /** What is known so far of where it comes from. */
  origin: Partial<Origin>;
  /** Where it goes, once it is admitted. */
  upstream: Upstream | undefined;
  /** Set once the visit counts for its caller. */
  caller: string | undefined;
  /** Whether it has been recorded that the request cannot be read. */
  faulty: boolean;
  /** Set for a stream that has no end of its own. */
  openEnded: boolean;
  /** Set once all of the answer has been handed over to be sent. */
  answered: boolean;
  /** Resolves when the answer is sent, or given up. */
  done: Promise<void>;
}

/** Ends a visit before its end. */
export function giveUpVisit({ controller, client, answered }: Visit, reason: GiveUp): void {
  controller.abort(reason);
  // Before, whoever is at work on the answer hears the signal.
  if (answered) client.destroy();
}
