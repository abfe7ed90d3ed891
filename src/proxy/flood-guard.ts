/**
 * A gate that nobody can drown: refusals are recorded one by one up to a rate and counted beyond it, and while the
 * spool fills up no caller may take more than a share of it. What a server tells unasked, as it may at any rate, comes at
 * one that recording it costs nobody else. A wrapper: what it lets through is the inner gate's.
 */
import { errorRow } from '../errors.ts';
import { errorAnswer } from './message/answer.ts';
import type { Id } from './message/message.ts';
import { lookupMethod } from './message/methods.ts';
import { createPace, type PaceOptions } from './pace.ts';
import type { Answer, Direction, Gate, Governable, Origin, Rejection, Ruling } from './gate.ts';

/** Refusals of one source that are recorded one by one, in a second: of an address before we know who it is. */
export const REFUSALS_PER_SECOND = 10;
/** The same of a caller whom we know. */
export const CALLER_REFUSALS_PER_SECOND = 100;
/** The same of a server, of what it asks of clients and is denied. It is denied all the same beyond that. */
export const SERVER_REFUSALS_PER_SECOND = 100;
/** Sources that are told apart; the ones after them are one. */
export const SOURCES_MAX = 1000;
/** How full the spool must be before shares count. */
export const SHARE_FROM = 0.5;
/** Of what has been recorded since then, by one caller. */
export const SHARE_MAX = 0.25;
/** Bytes of a record beside the message that it is about. */
const RECORD_BYTES = 2048;
/** Below it a share says nothing: the first caller after a quiet hour always has all of it. */
const SHARE_BYTES_MIN = 1024 * 1024;
const WINDOW_MS = 1000;

export interface FloodGuardOptions extends PaceOptions {
  /** How full the spool is, from 0 to 1; 0 where there is none. */
  readonly fullness: () => number;
}

type Refusal = Pick<Rejection, 'reason' | 'origin'>;

interface Source {
  windowMs: number;
  recorded: number;
  suppressed: number;
  last: Refusal | undefined;
}

export function guardFloods(gate: Gate, options: FloodGuardOptions): Gate & { flush(): void } {
  const rates = createRates(gate, options.nowMs);
  const pace = createPace(options);
  const exceeds = createShares(options.fullness);

  const reject = (rejection: Rejection): Answer => {
    const { reason, code, details, origin, id } = rejection;
    const known = origin.identity !== undefined;
    const perSecond = known ? CALLER_REFUSALS_PER_SECOND : REFUSALS_PER_SECOND;
    if (rates.admit(sourceOf(origin), perSecond, { reason, origin })) return gate.reject(rejection);
    return { httpStatus: errorRow(code).http ?? 400, body: errorAnswer(id, code, details) };
  };

  /** Whether one more denial of what a server asks is only counted. */
  const isOneTooMany = ({ server }: Origin): boolean => {
    const name = `server ${server.name} (requests)`;
    // Whatever caller it asks, it is the server that is to blame.
    return !rates.admit(name, SERVER_REFUSALS_PER_SECOND, { reason: 'limit', origin: { server } });
  };

  return {
    reject,
    show: (bytes, asked, origin) => gate.show(bytes, asked, origin),
    killSwitch: gate.killSwitch,
    listChanges: gate.listChanges,
    flush() {
      rates.flush();
      pace.tidy();
    },
    async decide(message, origin, direction): Promise<Ruling> {
      if (isNoise(message, direction) && !rates.admit(`server ${origin.server.name}`, REFUSALS_PER_SECOND)) {
        return { forward: false, answer: { httpStatus: 202, body: undefined } };
      }
      if (isNews(message, direction)) await pace.turn(JSON.stringify([origin.server.name, callerOf(origin)]));
      if (exceeds(callerOf(origin), message.bytes.length + RECORD_BYTES)) {
        const id = answerableIdOf(message);
        const answer = reject({ reason: 'limit', code: 'share_exceeded', details: {}, origin, id });
        return { forward: false, answer };
      }
      const asks = direction === 'to_client' && message.kind !== 'notification';
      return gate.decide(message, origin, direction, asks ? () => isOneTooMany(origin) : undefined);
    },
  };
}

interface Rates {
  /** Whether this refusal is recorded by itself. @param refusal what the count is recorded as */
  admit(name: string, perSecond: number, refusal?: Refusal): boolean;
  /** Puts what was suppressed on record, and begins new windows. */
  flush(): void;
}

function createRates(gate: Gate, nowMs: () => number): Rates {
  const sources = new Map<string, Source>();

  const tell = (name: string, source: Source): void => {
    const { suppressed, last } = source;
    source.windowMs = nowMs();
    source.recorded = 0;
    source.suppressed = 0;
    if (suppressed === 0) return;
    const origin = last?.origin ?? {};
    const reason = last?.reason ?? 'parse';
    gate.reject({
      reason,
      code: 'suppressed',
      details: { count: suppressed, source: name },
      origin,
      id: null,
    });
  };

  return {
    admit(name, perSecond, refusal) {
      const key = sources.has(name) || sources.size < SOURCES_MAX ? name : 'others';
      const fresh = { windowMs: nowMs(), recorded: 0, suppressed: 0, last: undefined };
      const source = sources.get(key) ?? fresh;
      sources.set(key, source);
      if (nowMs() - source.windowMs >= WINDOW_MS) tell(key, source);
      if (source.recorded < perSecond) {
        source.recorded += 1;
        return true;
      }
      source.suppressed += 1;
      source.last = refusal ?? source.last;
      return false;
    },
    flush() {
      for (const [name, source] of sources) {
        tell(name, source);
        sources.delete(name);
      }
    },
  };
}

/** @returns whether a caller has had its share of a spool that is filling up */
function createShares(fullness: () => number): (caller: string, bytes: number) => boolean {
  const held = new Map<string, number>();
  let total = 0;
  return (caller, bytes) => {
    if (fullness() < SHARE_FROM) {
      held.clear();
      total = 0;
      return false;
    }
    const key = held.has(caller) || held.size < SOURCES_MAX ? caller : 'others';
    const mine = (held.get(key) ?? 0) + bytes;
    if (mine > SHARE_BYTES_MIN && mine > SHARE_MAX * (total + bytes) && held.size > 1) return true;
    held.set(key, mine);
    total += bytes;
    return false;
  };
}

/** Of the request that is answered when a message is refused. */
function answerableIdOf(message: Governable): Id | null {
  if (message.kind === 'input') return message.within?.id ?? null;
  return message.kind === 'request' ? message.id : null;
}

/** A notification that nobody knows: it is dropped in any case, and a server can send any number of them. */
function isNoise(message: Governable, direction: Direction): boolean {
  return (
    message.kind === 'notification' && lookupMethod(message.method, message.kind, direction) === undefined
  );
}

/** A notification of a server that is recorded. Nobody asked for it, and no decision holds it back. */
function isNews(message: Governable, direction: Direction): boolean {
  if (direction !== 'to_client' || message.kind !== 'notification') return false;
  return lookupMethod(message.method, message.kind, direction)?.record !== 'none';
}

function sourceOf(origin: Partial<Origin>): string {
  if (origin.identity !== undefined) return `caller ${callerOf({ ...origin, identity: origin.identity })}`;
  return origin.clientAddress ?? origin.transport ?? 'unknown';
}

function callerOf({ identity, clientAddress }: Pick<Origin, 'identity' | 'clientAddress'>): string {
  return identity.keyId ?? identity.user ?? identity.agent?.id ?? clientAddress ?? identity.source;
}
