/** When cursors are made durable: seldom enough to cost nothing, often enough that few records are sent twice. */
import type { SourceStream } from './stream-source.ts';
import type { Timers } from './timers.ts';

export const FLUSH_INTERVAL_MS = 100;
export const FLUSH_RECORDS = 1000;

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
  /** All that is dirty, now. */
  flush(): void;
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
  };

  return {
    advanced(stream, more) {
      dirty.add(stream);
      records += more;
      if (records >= FLUSH_RECORDS) flush();
      else cancel ??= timers.after(FLUSH_INTERVAL_MS, flush);
    },
    flush,
  };
}
