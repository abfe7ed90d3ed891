/** What the main thread and the writer thread say to each other: plain data only. */
import type { Entry } from './committer.ts';
import type { Citation, DurablePosition } from './position.ts';
import type { StreamIdentity } from './segment.ts';

/** `sync`: recorded means on stable storage. `os`: recorded means written, which outlives us but not the machine. */
export type Durability = 'sync' | 'os';

/** What the thread is started with. */
export interface WriterPlan {
  readonly directory: string;
  readonly identity: StreamIdentity;
  readonly durability: Durability;
  readonly segmentBytes?: number | undefined;
  /** Where the last writer of this process was durable when it died; what lies beyond was refused. */
  readonly predecessor?: Citation | undefined;
}

/** A stream as it begins, or as it was left by another process. */
export interface StreamBegun {
  readonly identity: StreamIdentity;
  readonly position: DurablePosition;
}

export type ToWriter =
  | { readonly kind: 'commit'; readonly entries: readonly Entry[] }
  | { readonly kind: 'stop' };

export type FromWriter =
  | { readonly kind: 'ready'; readonly stream: StreamBegun }
  /** The spool cannot be written at all; the thread ends. */
  | { readonly kind: 'failed'; readonly text: string }
  | { readonly kind: 'committed'; readonly position: DurablePosition }
  | { readonly kind: 'refused'; readonly text: string }
  /** A stream is over although the process lives on; `next` continues it. */
  | { readonly kind: 'succeeded'; readonly end: Citation; readonly next: StreamBegun; readonly text: string }
  | { readonly kind: 'stopped'; readonly end: Citation; readonly sealed: boolean };
