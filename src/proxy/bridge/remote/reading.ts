/** Reads what the server answers, in the two forms that it may have, and no faster than it is taken. */
import { createSseSplitter, type SseEvent } from '../../message/sse.ts';
import { errorCode, type UpstreamAnswer } from '../../http/upstream.ts';
import type { Share } from './budget.ts';

export interface ReadingLimits {
  /** Bytes of one message. */
  readonly lineBytesMax: number;
  /** What may be held meanwhile; given back by whoever asked for the reading. */
  readonly share: Share;
}

export type Gathered =
  | { readonly ok: true; readonly bytes: Uint8Array }
  /** A code of Node's or of the error table. */
  | { readonly ok: false; readonly errorType: string };

/** Reads a body whole. Never rejects. */
export async function gather(response: UpstreamAnswer, limits: ReadingLimits): Promise<Gathered> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      // Leaving the loop ends the connection.
      if (size > limits.lineBytesMax) return { ok: false, errorType: TOO_LARGE };
      if (!limits.share.hold(size)) return { ok: false, errorType: TOO_MUCH };
      chunks.push(chunk);
    }
    return { ok: true, bytes: Buffer.concat(chunks) };
  } catch (error) {
    return { ok: false, errorType: errorCode(error) };
  }
}

export const TOO_LARGE = 'parse_size';
export const TOO_MUCH = 'overfull';

/** Where a stream has got to, over all the connections that have carried it. */
export interface Place {
  /** Id of the last event that was taken, where events have ids. */
  lastEventId: string | undefined;
  /** What the server said last about when to come back. */
  retryMs: number | undefined;
}

/**
 * Reads a stream of events until it ends. Never rejects.
 * @param take is waited for before the next event is read
 * @returns why it broke off, as Gathered has it; undefined where it ended in good order
 */
export async function readEvents(
  response: UpstreamAnswer,
  limits: ReadingLimits,
  place: Place,
  take: (message: Uint8Array) => Promise<void>,
): Promise<string | undefined> {
  const splitter = createSseSplitter({ eventBytesMax: limits.lineBytesMax });
  let held = 0;
  try {
    for await (const chunk of response as AsyncIterable<Uint8Array>) {
      const events = splitter.push(chunk);
      // What is left of a chunk after its last event is no longer than the chunk.
      held = events.length > 0 ? chunk.length : held + chunk.length;
      if (!limits.share.hold(held)) return TOO_MUCH;
      for (const event of events) await takeEvent(event, place, take);
    }
    return undefined;
  } catch (error) {
    response.destroy();
    return errorCode(error);
  }
}

/** Ids go into a header later on. One that is not plain ASCII leaves the place where it was. */
const PLAIN = /^[\x20-\x7e]*$/;

async function takeEvent(
  { data, event, id, retry }: SseEvent,
  place: Place,
  take: (message: Uint8Array) => Promise<void>,
): Promise<void> {
  // MCP's messages are events without a name, and what has one may be no message (WHATWG HTML, server-sent events).
  const isMessage = event === undefined || event === '' || event === 'message';
  if (isMessage && data !== undefined && data !== '') await take(Buffer.from(data));
  if (retry !== undefined) place.retryMs = Number(retry);
  if (id !== undefined && PLAIN.test(id)) place.lastEventId = id === '' ? undefined : id;
}
