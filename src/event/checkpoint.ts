/** Signed statements about how far a stream has come: what makes a rewritten or shortened history visible. */
import { signPlace } from './signing.ts';
import type { SignedPlace, SigningKey } from './signing.ts';
import type { Fields } from './vocabulary.ts';

/** While records flow. An attacker with the disk can rewrite unseen no more than this. */
export const CHECKPOINT_BUSY_MS = 10_000;
/** While nothing is recorded: silence that lasts longer is an end, not idleness. */
export const CHECKPOINT_IDLE_MS = 60_000;

/** The fields of a `verdict.checkpoint` record. Any stream may carry it, also that of whoever adopted the stream. */
export function checkpointFields(key: SigningKey, place: SignedPlace): Fields {
  return {
    'verdict.checkpoint.stream': place.stream,
    'verdict.checkpoint.sequence': place.sequence,
    'verdict.checkpoint.hash': place.hash,
    'verdict.checkpoint.signature': signPlace(key, place),
    'verdict.checkpoint.key_id': key.id,
  };
}

/** All times in milliseconds of one monotonic clock. */
export interface CheckpointState {
  readonly nowMs: number;
  /** When the last checkpoint was emitted; before the first, when the stream was opened. */
  readonly lastMs: number;
  /** Whether anything but checkpoints was recorded since. */
  readonly recorded: boolean;
}

/** Milliseconds until the next checkpoint is due, 0 when it is. Ask again after each record that ends idleness. */
export function nextCheckpointDelayMs({ nowMs, lastMs, recorded }: CheckpointState): number {
  const interval = recorded ? CHECKPOINT_BUSY_MS : CHECKPOINT_IDLE_MS;
  return Math.min(Math.max(lastMs + interval - nowMs, 0), interval);
}
