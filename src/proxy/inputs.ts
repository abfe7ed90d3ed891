/**
 * What a server asks for within an answer or a notification is decided like a request of its own: else 2026-07-28,
 * which has no such requests, would be the way around every rule about them.
 */
import type { Asked, Gate, InputMessage, Origin, Refuse, Shown } from './gate.ts';
import { inputsOfAnswer, inputsOfParams, type Input } from './message/inputs.ts';
import type { Id, NotificationMessage } from './message/message.ts';

/** A response, as a door has read it. */
export interface ReadResponse {
  readonly bytes: Uint8Array;
  /** Of the request that it answers. */
  readonly id: Id | null;
  /** undefined where that is not known. */
  readonly asked: Asked | undefined;
  /** See ReadAnswer. */
  readonly asks?: true;
}

/**
 * What the client gets of a response: what it may see of it, or, where one of its inputs is refused, the refusal in its
 * place.
 */
export async function admitResponse(gate: Gate, response: ReadResponse, origin: Origin): Promise<Shown> {
  const { id, asked, asks } = response;
  const shown = gate.show(response.bytes, asked, origin);
  if (!shown.ok || asks === undefined) return shown;
  const found = inputsOfAnswer(shown.bytes);
  if (!found.ok) return found;
  const within = { ...(asked ?? UNKNOWN), id };
  // On a connection that agrees on none, each request says which revision it is of.
  const protocolVersion = asked?.protocolVersion ?? origin.protocolVersion;
  const refused = await firstRefused(gate, found.inputs, { within, origin: { ...origin, protocolVersion } });
  if (refused === undefined) return shown;
  const { body } = refused.answer;
  return body === undefined ? WORDLESS : { ok: true, bytes: body };
}

/** For a gate that refuses and does not say what to answer: the response must not pass for that. */
const WORDLESS: Shown = { ok: false, code: 'denied', details: { detail: 'Denied by policy.' } };

const UNKNOWN: Asked = { method: '', modern: false, protocolVersion: undefined };

/** A gate for which a notification passes only if all that it asks for does. A wrapper. */
export function guardInputs<Inner extends Gate>(gate: Inner): Inner {
  return {
    ...gate,
    async decide(message, origin, direction, onlyCounted) {
      if (direction === 'to_client' && message.kind === 'notification') {
        const refused = await refusedNotification(gate, message, origin);
        if (refused !== undefined) return refused;
      }
      return gate.decide(message, origin, direction, onlyCounted);
    },
  };
}

const DROPPED: Refuse = { forward: false, answer: { httpStatus: 202, body: undefined } };

async function refusedNotification(
  gate: Gate,
  message: NotificationMessage,
  origin: Origin,
): Promise<Refuse | undefined> {
  const found = inputsOfParams(message.params);
  if (found.ok) return await firstRefused(gate, found.inputs, { within: undefined, origin });
  const { code, details } = found;
  gate.reject({ reason: 'parse', code, details, origin, id: null, message, direction: 'to_client' });
  return DROPPED;
}

/** Decides them in turn, up to the first that is refused. */
async function firstRefused(
  gate: Gate,
  inputs: readonly Input[],
  { within, origin }: Pick<InputMessage, 'within'> & { readonly origin: Origin },
): Promise<Refuse | undefined> {
  for (const { method, call } of inputs) {
    const message: InputMessage = { kind: 'input', method, call, bytes: NO_BYTES, within };
    const ruling = await gate.decide(message, origin, 'to_client');
    if (!ruling.forward) return ruling;
  }
  return undefined;
}

const NO_BYTES = new Uint8Array();
