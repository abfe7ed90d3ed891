/**
 * Records that `doctor` sent to see what comes back. Each is a stream of its own that has no second record, so there
 * is nothing to be missed and no end to be shown; whoever adds or removes one changes nothing that is proven.
 */
import { ZERO_HASH } from './stamp.ts';
import { FLAG } from './verify-store.ts';
import type { RecordStore } from './verify-store.ts';
import type { End, StreamFacts } from './verify-stream.ts';

/**
 * Whether a stream is such a record and nothing else. Not where anybody tells of the stream: then it had more records,
 * and somebody put this one in their place.
 * @param slice its records, duplicates too
 */
export function isProbe(
  store: RecordStore,
  slice: Uint32Array,
  { adoptions, checkpoints, gaps }: StreamFacts,
  ends: readonly End[] = [],
): boolean {
  const first = slice[0];
  if (first === undefined || adoptions.length + checkpoints.length + gaps.length + ends.length > 0)
    return false;
  return (
    store.sequence(first) === 1 &&
    store.has(first, FLAG.doctor) &&
    store.previousHash(first) === ZERO_HASH &&
    slice.every((record) => store.same(first, record))
  );
}
