/**
 * Tells clients over HTTP that a list may have changed for them. A legacy session hears it on one of its GET streams,
 * where it has any (MCP 2025-11-25, transports: each message goes on one stream only); in 2026-07-28 it goes on each
 * subscription to such changes.
 */
import type { ServerResponse } from 'node:http';
import { changedMessage, type ListChanges, type ListName } from '../lists/changes.ts';
import type { Id } from '../message/message.ts';
import { frameEvent } from '../message/sse-frame.ts';

/** An open event stream. */
export interface Reader {
  readonly server: string;
  /** Of several with the same one, only one is told; undefined: it has none. */
  readonly session: string | undefined;
  /** The request that subscribed to changes, and of what; undefined for a stream of a session. */
  readonly subscription: { readonly id: Id; readonly lists: () => ReadonlySet<ListName> } | undefined;
  readonly client: ServerResponse;
}

export interface Bulletin {
  /** Takes note of what a server has lists of: of no others is anybody told. */
  learn(server: string, lists: readonly ListName[] | undefined): void;
  /** @returns ends it; to be called before anything is written that is no whole event */
  open(reader: Reader): () => void;
  /**
   * Tells the reader on one stream, which is about to end: what it may see has changed with who it is.
   * @param told sessions that have been told, as `Reader` has them; gets those that now are
   */
  tellLast(client: ServerResponse, told: Set<string>): void;
  close(): void;
}

/** @param changes undefined where lists never change */
export function createBulletin(changes: ListChanges | undefined): Bulletin {
  const known = new Map<string, Set<ListName>>();
  const readers = new Map<Reader, Telling>();
  const tell = ({ server, session, subscription }: Reader, telling: Telling, told: Set<string>): void => {
    if (session !== undefined && told.has(session)) return;
    if (session !== undefined) told.add(session);
    const lists = subscription === undefined ? known.get(server) : subscription.lists();
    for (const name of lists ?? []) telling.say(changedMessage(name, subscription?.id));
  };
  const unsubscribe = changes?.(() => {
    const told = new Set<string>();
    for (const [reader, telling] of readers) tell(reader, telling, told);
  });
  return {
    learn(server, lists = []) {
      if (unsubscribe === undefined || lists.length === 0) return;
      known.set(server, new Set([...(known.get(server) ?? []), ...lists]));
    },
    open(reader) {
      if (unsubscribe === undefined) return () => {};
      const telling = createTelling(reader.client);
      readers.set(reader, telling);
      return () => {
        readers.delete(reader);
        telling.stop();
      };
    },
    tellLast(client, told) {
      for (const [reader, telling] of readers) {
        if (reader.client !== client) continue;
        tell(reader, telling, told);
        telling.hurry();
      }
    },
    close: () => unsubscribe?.(),
  };
}

interface Telling {
  say(message: string): void;
  /** Waits no longer for the client to read what it was sent before. */
  hurry(): void;
  stop(): void;
}

/** Says the same thing once to a client that has not read what it was sent before. */
function createTelling(client: ServerResponse): Telling {
  const unsaid = new Set<string>();
  const write = (): void => {
    for (const data of unsaid) {
      // Without an id: nobody could resume from it, since the upstream has never heard of it.
      const bytes = frameEvent({ data, event: 'message', filled: true, ended: true });
      if (bytes !== undefined) client.write(bytes);
    }
    unsaid.clear();
  };
  return {
    say(message) {
      const waiting = unsaid.size > 0;
      unsaid.add(message);
      if (waiting) return;
      if (client.writableNeedDrain) client.once('drain', write);
      else write();
    },
    hurry() {
      client.off('drain', write);
      write();
    },
    stop() {
      unsaid.clear();
      client.off('drain', write);
    },
  };
}
