/** Lines out of a readable stream and into a writable one, with backpressure both ways. */
import type { Line, LineSplitter } from './line-splitter.ts';

export interface LineReader {
  /** Resolves when the stream has ended and its last line has been taken; after `stop`, never. */
  readonly done: Promise<void>;
  /** Chunks read so far: whether anything still moves. */
  readonly chunks: number;
  /** Whether the stream is paused because whoever takes the lines has no room. */
  readonly waiting: boolean;
  /** Reads and hands on no further. */
  stop(): void;
}

/**
 * Hands each line to `take`, in order.
 * @param take returns a promise where no further line may come before it resolves; the stream is paused meanwhile
 */
export function readLines(
  source: NodeJS.ReadableStream,
  splitter: LineSplitter,
  take: (line: Line) => Promise<void> | undefined,
): LineReader {
  const done = Promise.withResolvers<void>();
  const queue: Line[] = [];
  let chunks = 0;
  let waiting = false;
  let ended = false;
  let stopped = false;

  const deliver = async (): Promise<void> => {
    if (waiting) return;
    for (let line = queue.shift(); line !== undefined; line = queue.shift()) {
      const room = take(line);
      if (room === undefined) continue;
      waiting = true;
      source.pause();
      await room;
      waiting = false;
      if (!stopped) source.resume();
    }
    if (ended && !stopped) done.resolve();
  };
  const onData = (chunk: Uint8Array | string): void => {
    chunks += 1;
    queue.push(...splitter.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk));
    void deliver();
  };
  const onEnd = (): void => {
    if (ended || stopped) return;
    ended = true;
    queue.push(...splitter.end());
    void deliver();
  };
  source.on('data', onData);
  // A stream that fails has nothing more to say, just as one that ends.
  for (const event of ['end', 'close', 'error']) source.on(event, onEnd);
  source.resume();

  return {
    done: done.promise,
    get chunks() {
      return chunks;
    },
    get waiting() {
      return waiting;
    },
    stop() {
      stopped = true;
      queue.length = 0;
      source.off('data', onData);
      source.pause();
    },
  };
}

export interface LineWriter {
  /**
   * Writes one framed line, never mixed with another.
   * @returns resolves when there is room for the next one: true, or false where the stream is broken or ended
   */
  write(framed: Uint8Array): Promise<boolean>;
  /** Lines that have left this process so far. */
  readonly flushed: number;
  /** Resolves when all that was written has left this process, or the stream is broken. */
  flush(): Promise<void>;
  /** Ends the stream. */
  end(): void;
}

/** @param onBroken called once, when the other end has gone (EPIPE) */
export function createLineWriter(
  target: NodeJS.WritableStream,
  onBroken: (error: Error) => void,
): LineWriter {
  let broken = false;
  let drain: PromiseWithResolvers<void> | undefined;
  const wake = (): void => {
    drain?.resolve();
    drain = undefined;
  };
  const gone = Promise.withResolvers<void>();
  let flushed = 0;
  const onFlushed = (): void => {
    flushed += 1;
  };
  const fail = (): void => {
    broken = true;
    wake();
    gone.resolve();
  };
  target.on('drain', wake);
  target.on('close', fail);
  target.on('error', (error: Error) => {
    const first = !broken;
    fail();
    if (first) onBroken(error);
  });

  return {
    async write(framed) {
      if (broken || !target.writable) return false;
      if (!target.write(framed, onFlushed)) {
        drain ??= Promise.withResolvers<void>();
        await drain.promise;
      }
      return !broken;
    },
    get flushed() {
      return flushed;
    },
    async flush() {
      if (broken || !target.writable) return;
      const written = new Promise<void>((resolve) => {
        target.write(new Uint8Array(0), () => resolve());
      });
      await Promise.race([written, gone.promise]);
    },
    end() {
      target.end();
    },
  };
}

/** A message that we made, as a line. */
export function frame(message: Uint8Array): Uint8Array {
  return Buffer.concat([message, LF]);
}

const LF = Uint8Array.of(0x0a);
