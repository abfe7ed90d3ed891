/**
 * Server-sent events, split as they come in (WHATWG HTML, server-sent events, "parsing an event stream"). Nothing
 * is held back once an event has ended. What a client gets of them is made anew (sse-frame.ts).
 */
import { VerdictError } from '../../errors.ts';

export interface SseEvent {
  /** The data lines, joined by LF; undefined where there was none, so that no client sees an event. */
  readonly data: string | undefined;
  readonly event?: string | undefined;
  readonly id?: string | undefined;
  readonly retry?: string | undefined;
  /** Whether there was any line: a comment or an unknown field is one. */
  readonly filled: boolean;
  /** Whether its blank line has come; false at most for the last event of a stream. */
  readonly ended: boolean;
}

export interface SseOptions {
  /** Bytes that one event may have. */
  readonly eventBytesMax: number;
}

export interface SseSplitter {
  /**
   * The events that end in this chunk.
   * @throws VerdictError `parse_size` for an event that is too large, but only once the events before it have
   *   been returned; from then on always
   */
  push(chunk: Uint8Array): SseEvent[];

  /**
   * What is left at the end of the stream, if anything. Its data counts although clients should drop it, because
   * not every client does.
   * @throws VerdictError as push
   */
  end(): SseEvent[];
}

export function createSseSplitter(options: SseOptions): SseSplitter {
  return new Splitter(options.eventBytesMax);
}

const LF = 0x0a;
const CR = 0x0d;

class Splitter implements SseSplitter {
  readonly #bytesMax: number;
  /** Of the event that has not ended yet. */
  #pieces: Uint8Array[] = [];
  #size = 0;
  #lineIsEmpty = true;
  /** Whether the last byte was a CR, so that an LF now is the rest of the same line end. */
  #afterCr = false;
  #isFirst = true;
  #overflowed = false;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  push(chunk: Uint8Array): SseEvent[] {
    const events: SseEvent[] = [];
    let start = 0;
    for (let at = 0; at < chunk.length && !this.#overflowed; at += 1) {
      const byte = chunk[at] ?? 0;
      if (!this.#endsEvent(byte, this.#size === 0 && at === start)) continue;
      if (byte === CR && chunk[at + 1] === LF) at += 1;
      this.#keep(chunk.subarray(start, at + 1));
      start = at + 1;
      if (!this.#overflowed) events.push(this.#take(true));
    }
    this.#keep(chunk.subarray(start));
    if (events.length === 0) this.#refuseOverflow();
    return events;
  }

  end(): SseEvent[] {
    this.#refuseOverflow();
    return this.#size > 0 ? [this.#take(false)] : [];
  }

  #endsEvent(byte: number, isFirstOfEvent: boolean): boolean {
    const isRestOfLineEnd = this.#afterCr && byte === LF;
    this.#afterCr = byte === CR;
    // Where the CR has ended an event in an earlier chunk, its LF is an event of nothing.
    if (isRestOfLineEnd) return isFirstOfEvent;
    const wasEmpty = this.#lineIsEmpty;
    this.#lineIsEmpty = byte === LF || byte === CR;
    return wasEmpty && this.#lineIsEmpty;
  }

  #keep(bytes: Uint8Array): void {
    this.#size += bytes.length;
    if (this.#size > this.#bytesMax) {
      this.#overflowed = true;
      this.#pieces = [];
    } else if (bytes.length > 0) {
      this.#pieces.push(bytes);
    }
  }

  #take(ended: boolean): SseEvent {
    const [piece] = this.#pieces;
    const bytes = this.#pieces.length === 1 && piece ? piece : Buffer.concat(this.#pieces);
    const event = { ...readEvent(bytes, this.#isFirst), ended };
    this.#pieces = [];
    this.#size = 0;
    this.#lineIsEmpty = true;
    this.#isFirst = false;
    return event;
  }

  #refuseOverflow(): void {
    if (this.#overflowed) throw new VerdictError('parse_size', { max: this.#bytesMax });
  }
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const LINE_END = /\r\n|\r|\n/;

function readEvent(bytes: Uint8Array, isFirst: boolean): Omit<SseEvent, 'ended'> {
  const decoded = utf8.decode(bytes);
  // Only at the start of the stream is a byte order mark none of the field's name.
  const text = isFirst && decoded.startsWith('\ufeff') ? decoded.slice(1) : decoded;
  const data: string[] = [];
  let event: string | undefined;
  let id: string | undefined;
  let retry: string | undefined;
  let filled = false;
  for (const line of text.split(LINE_END)) {
    if (line === '') continue;
    filled = true;
    const [field, value] = readField(line);
    if (field === 'data') data.push(value);
    else if (field === 'event') event = value;
    else if (field === 'id' && !value.includes('\0')) id = value;
    else if (field === 'retry' && /^\d+$/.test(value)) retry = value;
  }
  return { data: data.length > 0 ? data.join('\n') : undefined, event, id, retry, filled };
}

/** A comment is a field without a name. */
function readField(line: string): readonly [field: string, value: string] {
  const colon = line.indexOf(':');
  if (colon < 0) return [line, ''];
  const value = line.slice(colon + 1);
  return [line.slice(0, colon), value.startsWith(' ') ? value.slice(1) : value];
}
