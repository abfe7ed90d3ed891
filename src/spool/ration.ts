/**
 * What may come in while the spool is as large as it may be. Calls are refused, because their records cannot be kept;
 * what the spool must still say of itself and of calls that were let through before finds room in a reserve.
 */
import { VerdictError } from '../errors.ts';
import type { Entry } from './committer.ts';
import type { SpoolSize } from './keeper.ts';

/** Part of the spool's bytes that calls leave free. */
const RESERVE_SHARE = 1 / 16;
/** More than that nothing needs. */
const RESERVE_BYTES_MAX = 256 * 1024 ** 2;
/** Records that nobody waits for, kept in memory while there is no room; over it, the oldest are lost, and counted. */
export const HELD_MAX = 10_000;
/** What a line has beside the record's halves: its place, offset and CRC. */
const LINE_BYTES = 250;

/** Kinds of records that no call brings with it: few, small, and without them less could be proven. */
const OWN: ReadonlySet<string> = new Set([
  'verdict.gap',
  'verdict.checkpoint',
  'verdict.lifecycle',
  'verdict.outcome',
]);

/** Bytes of the spool from which on calls are refused, where nothing can be freed. */
export function callBytesMax(bytesMax: number): number {
  return bytesMax - Math.min(bytesMax * RESERVE_SHARE, RESERVE_BYTES_MAX);
}

export interface Appended {
  readonly uid: string;
  /** Its `event.name`. */
  readonly name: string;
  readonly entry: Entry;
}

export interface Ration {
  /** Whether the record may be written now; if not, it is held here. */
  admit(record: Appended): boolean;
  /** Of a held record that somebody waits for: gives it up, and says so by rejecting. undefined: it is not here. */
  refuse(uid: string): Promise<never> | undefined;
  /** Takes the size as it was measured. @returns what was held and may be written now, oldest first */
  measured(size: SpoolSize): readonly Appended[];
  /** Whether so much has come in since it was measured that it should be measured again. */
  isStale(): boolean;
  /** Whether calls are refused. */
  isFull(): boolean;
  /** Gives up all that is held. */
  close(): void;
  counts(): { readonly refused: number; readonly lost: number };
}

export function createRation(bytesMax: number): Ration {
  const held = new Map<string, Appended>();
  const counts = { refused: 0, lost: 0 };
  let size: SpoolSize = { bytes: 0, full: false };
  let since = 0;
  /** Bytes of outcomes since the spool is full. */
  let spent = 0;
  const reserve = (bytesMax - callBytesMax(bytesMax)) / 2;

  const hold = (record: Appended): void => {
    // Another program's records may have a uid twice, and one takes the place of the other.
    if (held.has(record.uid)) counts.lost += 1;
    held.set(record.uid, record);
    const [oldest] = held.size > HELD_MAX ? held.keys() : [];
    if (oldest === undefined) return;
    held.delete(oldest);
    counts.lost += 1;
  };

  /** What a call brings with it must not use the reserve up: calls that nobody waits for go on. */
  const isWithin = ({ name, entry }: Appended): boolean => {
    if (!OWN.has(name)) return false;
    return entry.closes === undefined || (!held.has(entry.closes) && spent < reserve);
  };

  return {
    admit(record) {
      const { entry } = record;
      if (size.full && !isWithin(record)) {
        hold(record);
        return false;
      }
      const bytes = entry.head.length + entry.tail.length + LINE_BYTES;
      since += bytes;
      if (size.full && entry.closes !== undefined) spent += bytes;
      return true;
    },
    refuse(uid) {
      if (!held.delete(uid)) return undefined;
      counts.refused += 1;
      return Promise.reject(new VerdictError('audit_unavailable'));
    },
    measured(now) {
      size = now;
      since = 0;
      if (now.full) return [];
      spent = 0;
      const released = [...held.values()];
      held.clear();
      return released;
    },
    isStale: () => !size.full && size.bytes + since > callBytesMax(bytesMax),
    isFull: () => size.full,
    close() {
      counts.lost += held.size;
      held.clear();
    },
    counts: () => ({ ...counts }),
  };
}
