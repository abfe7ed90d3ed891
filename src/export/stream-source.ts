/** What a pump reads from, and what it leaves behind. */
import type { CursorPosition, StreamReader } from '../spool/position.ts';
import type { Origin } from './spooled-log-record.ts';

/** How far one exporter has been acknowledged in one stream. */
export interface StreamCursor {
  /** undefined before the first acknowledgement. */
  position(): CursorPosition | undefined;
  /** In memory. */
  advance(position: CursorPosition): void;
  /** Onto stable storage; throws when it cannot. */
  flush(): void;
}

export interface SourceReader extends StreamReader {
  /** All before it has been handed out or named as damage; undefined before the first batch. */
  position?(): CursorPosition | undefined;
}

export interface SourceStream {
  /** UUID. */
  readonly stream: string;
  readonly origin: Origin;
  readonly reader: SourceReader;
  readonly cursor: StreamCursor;
  /** Sequence before the first record that is kept: an exporter begins behind it, wherever its cursor is. */
  before(): number;
  /** Last durable sequence. */
  last(): number;
}

export interface StreamSource {
  /** What one exporter has yet to deliver, oldest stream first; a list of its own each time. */
  streams(): readonly SourceStream[];
  /** The stream is over and all of it acknowledged, durably. */
  finished(stream: SourceStream): void;
}

/** Last sequence of a stream that its exporter has had acknowledged, or can have no more. */
export function acknowledged(stream: SourceStream): number {
  return Math.max(stream.cursor.position()?.sequence ?? 0, stream.before());
}

/** Records of all streams that are durable and not acknowledged. */
export function backlogOf(source: StreamSource): number {
  return source.streams().reduce((sum, stream) => sum + Math.max(0, stream.last() - acknowledged(stream)), 0);
}
