/** What the receiver tells of what it got. */
import { setTimeout as wait } from 'node:timers/promises';

export interface ReceivedStream {
  /** Highest sequence. */
  last: number;
  records: number;
  /** Records that came at or behind a place already passed: sent twice, or out of order. */
  repeated: number;
  /** Places that were passed over. */
  skipped: number;
}

export interface Received {
  readonly records: number;
  readonly requests: number;
  /** Epoch milliseconds of the first and the last record. */
  readonly firstMs: number | undefined;
  readonly lastMs: number | undefined;
  readonly streams: Readonly<Record<string, ReceivedStream>>;
}

export async function readReceived(port: number): Promise<Received> {
  const response = await fetch(`http://127.0.0.1:${port}/`);
  // It is the receiver's own answer.
  return (await response.json()) as Received;
}

export async function forgetReceived(port: number): Promise<void> {
  await fetch(`http://127.0.0.1:${port}/`, { method: 'DELETE' });
}

const POLL_MS = 100;

/** Resolves when so much has come as `isEnough` wants. Rejects when nothing new has come for `quietMs`. */
export async function received(
  port: number,
  isEnough: (received: Received) => boolean,
  quietMs: number,
): Promise<Received> {
  let heard = await readReceived(port);
  let sinceMs = performance.now();
  while (!isEnough(heard)) {
    await wait(POLL_MS);
    const now = await readReceived(port);
    if (now.records > heard.records) sinceMs = performance.now();
    heard = now;
    if (performance.now() - sinceMs > quietMs) {
      throw new Error(`nothing for ${quietMs} ms: ${JSON.stringify(heard)}`);
    }
  }
  return heard;
}
