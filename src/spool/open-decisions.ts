/** Which allowed decisions still wait for their outcome: what a segment's header names. */
import { OPEN_MAX } from './segment.ts';

/** Characters of a uid that is kept; a UUID has 36. */
const UID_CHARS_MAX = 64;

export interface OpenDecisions {
  open(uid: string): void;
  close(uid: string): void;
  /** Oldest first. */
  list(): readonly string[];
}

/** @param openMax over it, the oldest is forgotten */
export function createOpenDecisions(uids: Iterable<string> = [], openMax: number = OPEN_MAX): OpenDecisions {
  const open = new Set<string>();
  const decisions: OpenDecisions = {
    open(uid) {
      if (uid.length > UID_CHARS_MAX) return;
      open.add(uid);
      if (open.size <= openMax) return;
      const [oldest] = open;
      if (oldest !== undefined) open.delete(oldest);
    },
    close: (uid) => void open.delete(uid),
    list: () => [...open],
  };
  for (const uid of uids) decisions.open(uid);
  return decisions;
}
