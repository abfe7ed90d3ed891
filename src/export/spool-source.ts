/** The streams that one exporter delivers, each opened where its cursor stands. */
import type { Citation, CursorPosition, DurablePosition } from '../spool/position.ts';
import type { StreamAnnouncement } from './delivery-message.ts';
import { originOf } from './spooled-log-record.ts';
import type { SourceReader, SourceStream, StreamCursor, StreamSource } from './stream-source.ts';

/** Opens what lies on the disk; a test puts its own in. */
export interface Opener {
  reader(options: {
    readonly stream: string;
    readonly from: CursorPosition | undefined;
    readonly durable: () => DurablePosition | undefined;
    readonly end?: Citation | undefined;
    /** First sequence that retention has not freed. */
    readonly keptFrom: () => number;
  }): SourceReader;
  cursor(stream: string, exporter: string): StreamCursor & { close(): void };
}

export interface SpoolSource extends StreamSource {
  add(stream: StreamAnnouncement): void;
  /** A stream that was written until now is over. */
  end(citation: Citation): void;
  /** Retention has freed what lies before this sequence. */
  kept(stream: string, first: number): void;
  close(): void;
}

export interface SpoolSourceOptions {
  readonly exporter: string;
  readonly open: Opener;
  /** How far each stream is durable by now. */
  readonly durable: (stream: string) => DurablePosition | undefined;
  readonly onFinished: (stream: string) => void;
}

interface Entry extends SourceStream {
  readonly cursor: ReturnType<Opener['cursor']>;
}

export function createSpoolSource(options: SpoolSourceOptions): SpoolSource {
  const { exporter, open, durable, onFinished } = options;
  const entries = new Map<string, Entry>();
  const ends = new Map<string, Citation>();
  const firsts = new Map<string, number>();

  const drop = (stream: string): void => {
    const entry = entries.get(stream);
    entries.delete(stream);
    ends.delete(stream);
    firsts.delete(stream);
    entry?.reader.close();
    entry?.cursor.close();
  };

  return {
    add({ identity, first, durable: announced, end }) {
      const { stream } = announced;
      if (entries.has(stream)) return;
      if (end !== undefined) ends.set(stream, end);
      const cursor = open.cursor(stream, exporter);
      const keptFrom = (): number => Math.max(first, firsts.get(stream) ?? 0);
      const position = (): DurablePosition => durable(stream) ?? announced;
      const reader = createLateReader(
        stream,
        () => ends.get(stream),
        (end) => open.reader({ stream, from: cursor.position(), durable: position, end, keptFrom }),
      );
      entries.set(stream, {
        stream,
        origin: originOf(identity),
        reader,
        cursor,
        before: () => keptFrom() - 1,
        last: () => position().sequence,
      });
    },
    end: (citation) => void ends.set(citation.stream, citation),
    kept: (stream, first) => void firsts.set(stream, first),
    // What is over comes before what is still written, which may never be read to its end.
    streams: () => {
      const all = [...entries.values()];
      return [
        ...all.filter(({ stream }) => ends.has(stream)),
        ...all.filter(({ stream }) => !ends.has(stream)),
      ];
    },
    finished({ stream }) {
      drop(stream);
      onFinished(stream);
    },
    close() {
      for (const stream of entries.keys()) drop(stream);
    },
  };
}

/**
 * Opens the stream when it is first read, and again when it turns out to be over: a reader learns of an end only
 * when it is opened. A pump reads between two batches only, so the cursor then stands where the old reader does.
 */
function createLateReader(
  stream: string,
  endOf: () => Citation | undefined,
  open: (end: Citation | undefined) => SourceReader,
): SourceReader {
  let opened: { readonly reader: SourceReader; readonly end: Citation | undefined } | undefined;
  return {
    stream,
    next(recordsMax, bytesMax) {
      const end = endOf();
      if (opened !== undefined && opened.end !== end) {
        opened.reader.close();
        opened = undefined;
      }
      opened ??= { reader: open(end), end };
      return opened.reader.next(recordsMax, bytesMax);
    },
    position: () => opened?.reader.position?.(),
    ended: () => opened !== undefined && opened.end === endOf() && opened.reader.ended(),
    close() {
      opened?.reader.close();
      opened = undefined;
    },
  };
}
