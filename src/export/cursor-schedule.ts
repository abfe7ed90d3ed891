/** When cursors are made durable: seldom enough to cost nothing, often enough that few records are sent twice. */
import type { SourceStream } from './stream-source.ts';
import type { Timers } from './timers.ts';

export const FLUSH_INTERVAL_MS = 100;
export const FLUSH_RECORDS = 1000;
/** After a disk that refused: what it holds back may be all that could be freed on it. */
export const FLUSH_RETRY_MS = 3000;

export interface CursorScheduleOptions {
  readonly timers: Timers;
  /** Of a cursor that is durable now. */
  readonly onFlushed: (stream: SourceStream) => void;
  /** The disk refused: the cursor stays dirty, and a crash now means duplicates, never a loss. */
  readonly onFailed: (stream: SourceStream, error: unknown) => void;
}

export interface CursorSchedule {
  /** So many records more of this stream are acknowledged. */
  advanced(stream: SourceStream, records: number): void;
  /** All that is dirty, now; what the disk refuses is tried again later. */
  flush(): void;
  /** Whether all that this stream has had acknowledged is durable. */
  isDurable(stream: SourceStream): boolean;
}

export function createCursorSchedule({ timers, onFlushed, onFailed }: CursorScheduleOptions): CursorSchedule {
  const dirty = new Set<SourceStream>();
  let records = 0;
  let cancel: (() => void) | undefined;

  const flush = (): void => {
    cancel?.();
    cancel = undefined;
    records = 0;
    for (const stream of dirty) {
      try {
        stream.cursor.flush();
        dirty.delete(stream);
        onFlushed(stream);
      } catch (error) {
        onFailed(stream, error);
      }
    }
    if (dirty.size > 0) cancel ??= timers.after(FLUSH_RETRY_MS, flush);
  };

  return {
    advanced(stream, more) {
      dirty.add(stream);
      records += more;
      if (records >= FLUSH_RECORDS) flush();
      else cancel ??= timers.after(FLUSH_INTERVAL_MS, flush);
    },
    flush,
    isDurable: (stream) => !dirty.has(stream),
  };
}
