/**
 * Word that a list may have changed for its readers although the server has changed nothing: other policy is in
 * force (MCP 2025-11-25, list_changed notifications; 2026-07-28, subscriptions).
 */
import { isObject, type Json } from '../../event/json.ts';
import type { Id } from '../message/message.ts';

/** What a server says that it has, and a client can be told the change of: the names of its capabilities. */
export const LIST_NAMES = ['tools', 'prompts', 'resources'] as const;

export type ListName = (typeof LIST_NAMES)[number];

/** Calls the listener after each change. @returns ends that */
export type ListChanges = (listener: () => void) => () => void;

/** @param version what lists depend on: they may have changed where any of it is another value than before */
export function createListChanges(version: () => readonly unknown[]): {
  readonly subscribe: ListChanges;
  /** Looks whether anything has changed, and says so. */
  check(): void;
} {
  const listeners = new Set<() => void>();
  let last = version();
  return {
    subscribe(listener) {
      // Its own entry, so that whoever subscribes twice has to leave twice.
      const entry = (): void => listener();
      listeners.add(entry);
      return () => void listeners.delete(entry);
    },
    check() {
      const now = version();
      const same = now.length === last.length && now.every((part, index) => Object.is(part, last[index]));
      last = now;
      if (same) return;
      for (const listener of listeners) listener();
    },
  };
}

/** @param subscription the id of the request that asked to be told (2026-07-28); older revisions have none */
export function changedMessage(name: ListName, subscription?: Id): string {
  const params =
    subscription === undefined ? '' : `,"params":{"_meta":{"${SUBSCRIPTION_META}":${subscription.json}}}`;
  return `{"jsonrpc":"2.0","method":"notifications/${name}/list_changed"${params}}`;
}

const SUBSCRIPTION_META = 'io.modelcontextprotocol/subscriptionId';

/** The notification with which a server begins to serve a subscription (2026-07-28). */
export const ACKNOWLEDGED = 'notifications/subscriptions/acknowledged';

/** What ACKNOWLEDGED says that a client will be told. */
export function acknowledgedLists(params: ReadonlyMap<string, Json>): ReadonlySet<ListName> {
  const filter = params.get('notifications');
  return new Set(LIST_NAMES.filter((name) => isObject(filter) && filter.get(`${name}ListChanged`) === true));
}

/** The id of the subscription that a notification belongs to, as it stands in its `_meta`. */
export function subscriptionOf(params: ReadonlyMap<string, Json>): Json | undefined {
  const meta = params.get('_meta');
  return isObject(meta) ? meta.get(SUBSCRIPTION_META) : undefined;
}
