/** Record ids: UUID version 7 (RFC 9562, section 5.7), strictly increasing (section 6.2, method 2). */
import { randomFillSync } from 'node:crypto';

/** Fills the bytes given with random ones. */
export type RandomSource = (bytes: Uint8Array) => void;

/** @param nowMs milliseconds since the Unix epoch */
export type UidSource = (nowMs: number, random?: RandomSource) => string;

const MS_MAX = 2 ** 48 - 1;
/** rand_a and rand_b together: what is left beside time, version and variant. */
const TAIL_BITS = 74n;
const TAIL_END = 1n << TAIL_BITS;
const RAND_B_BITS = 62n;
const RAND_B_MASK = (1n << RAND_B_BITS) - 1n;
/** Within one millisecond the next id is 1 to 2^32 further, so that it cannot be guessed from the one before. */
const STEP_BITS = 32n;

/** Random bytes drawn at once: a draw costs the same, whatever its size. */
const POOL_BYTES = 4096;

function createRandomPool(): RandomSource {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  return (bytes) => {
    if (used + bytes.length > POOL_BYTES) {
      randomFillSync(pool);
      used = 0;
    }
    bytes.set(pool.subarray(used, used + bytes.length));
    used += bytes.length;
  };
}

/** A source whose every uid is greater than the one before, whatever the clock does. */
export function createUidSource(): UidSource {
  const bytes = new Uint8Array(10);
  const view = new DataView(bytes.buffer);
  const pool = createRandomPool();
  let lastMs = -1;
  let lastTail = 0n;
  return (nowMs, random = pool) => {
    random(bytes);
    const fresh = ((BigInt(view.getUint16(0)) << 64n) | view.getBigUint64(2)) & (TAIL_END - 1n);
    const ms = Number.isFinite(nowMs) ? Math.min(Math.max(Math.floor(nowMs), 0), MS_MAX) : 0;
    const tail = lastTail + (fresh & ((1n << STEP_BITS) - 1n)) + 1n;
    if (ms > lastMs) {
      lastMs = ms;
      lastTail = fresh;
    } else if (tail < TAIL_END) {
      lastTail = tail;
    } else {
      lastMs += 1;
      lastTail = fresh;
    }
    return format(lastMs, lastTail);
  };
}

/** A new `log.record.uid`; strictly increasing within the process. */
export const newUid: UidSource = createUidSource();

function format(ms: number, tail: bigint): string {
  const time = ms.toString(16).padStart(12, '0');
  const randA = (tail >> RAND_B_BITS).toString(16).padStart(3, '0');
  const randB = ((tail & RAND_B_MASK) | (2n << RAND_B_BITS)).toString(16).padStart(16, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randA}-${randB.slice(0, 4)}-${randB.slice(4)}`;
}
