/** Streams that have no end of their own, looked at anew when something else has come into force. */
import { isDeepStrictEqual } from 'node:util';
import type { Rejection } from '../gate.ts';
import { admitNow } from './desk.ts';
import { giveUpVisit, type HttpDesk, type Visit } from './visit.ts';

/** Ends those whose credentials prove something else now, or nothing, and those whose server is another one. */
export async function reviewStreams(desk: HttpDesk): Promise<void> {
  const streams = [...desk.open].filter(({ openEnded }) => openEnded);
  const told = new Set<string>();
  await Promise.all(streams.map((visit) => review(desk, visit, told)));
}

/** @param told sessions that have heard that their lists have changed */
async function review(desk: HttpDesk, visit: Visit, told: Set<string>): Promise<void> {
  const { origin, upstream, client } = visit;
  let changed = false;
  let refusal: Rejection | undefined;
  try {
    // The request still holds the credentials that it came with.
    const admission = await admitNow(desk, visit);
    const same =
      admission.kind === 'admitted' &&
      admission.upstream === upstream &&
      isDeepStrictEqual(admission.origin.identity, origin.identity);
    if (same) return;
    changed = admission.kind === 'admitted' && admission.upstream === upstream;
    if (admission.kind === 'refused') refusal = admission.rejection;
  } catch (error) {
    desk.relay.throttle.say('error', 'review', `a stream could not be looked at anew: ${String(error)}`);
  }
  if (!desk.open.has(visit)) return;
  if (refusal !== undefined) desk.relay.gate.reject(refusal);
  // Its client comes back as somebody who may see other lists, and would not ask for them by itself.
  if (changed) desk.relay.bulletin.tellLast(client, told);
  giveUpVisit(visit, 'revoked');
}
