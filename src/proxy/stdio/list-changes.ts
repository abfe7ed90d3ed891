/**
 * Tells a client over stdio that a list may have changed for it: unasked since `initialize`, in 2026-07-28 on each of
 * its subscriptions to such changes.
 */
import { acknowledgedLists, ACKNOWLEDGED, changedMessage, subscriptionOf } from '../lists/changes.ts';
import { idOf, type NotificationMessage } from '../message/message.ts';
import type { Connection } from './connection.ts';
import { frame } from './line-stream.ts';

/** @returns ends it */
export function tellOfListChanges(connection: Connection): () => void {
  const { gate, down } = connection;
  let waiting = false;
  const tell = async (): Promise<void> => {
    waiting = false;
    for (const text of messages(connection)) await down.onward.write(frame(Buffer.from(text)));
  };
  const unsubscribe = gate.listChanges?.(() => {
    // What waits for its turn will be true of this change as well.
    if (waiting) return;
    waiting = true;
    down.lane.push(0, Promise.resolve(tell));
  });
  return unsubscribe ?? (() => {});
}

function messages({ protocolVersion, lists, up }: Connection): string[] {
  const unasked = protocolVersion === undefined ? [] : [...lists].map((name) => changedMessage(name));
  const asked = up.requests.subscriptions().flatMap(({ id, lists: subscribed }) => {
    return [...subscribed].map((name) => changedMessage(name, id));
  });
  return [...unasked, ...asked];
}

/** Takes note of what a server has told a client that it will hear of. */
export function noteSubscription({ up }: Connection, { method, params }: NotificationMessage): void {
  if (method !== ACKNOWLEDGED) return;
  const id = idOf(subscriptionOf(params));
  if (id !== undefined) up.requests.subscribe(id.json, acknowledgedLists(params));
}
