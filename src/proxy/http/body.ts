/** Reads the body of an HTTP message into memory, up to a limit. */
import type { Readable } from 'node:stream';

export type Body =
  | { readonly ok: true; readonly bytes: Uint8Array }
  /** `size`: larger than allowed; `broken`: it ended before it was whole. */
  | { readonly ok: false; readonly why: 'size' | 'broken' };

/**
 * Never rejects. What comes after the limit is thrown away as it arrives, so that the sender can finish and read
 * the answer; the server's request timeout bounds how long that may go on.
 */
export function readBody(message: Readable, bytesMax: number): Promise<Body> {
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    const collect = (chunk: Uint8Array): void => {
      size += chunk.length;
      if (size <= bytesMax) {
        chunks.push(chunk);
        return;
      }
      message.off('data', collect);
      message.resume();
      resolve({ ok: false, why: 'size' });
    };
    message.on('end', () => {
      const [first] = chunks;
      // Most bodies come in one piece, which is nobody else's: node:http has copied it out of what it read.
      const whole = first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks);
      resolve({ ok: true, bytes: whole });
    });
    message.on('error', () => resolve({ ok: false, why: 'broken' }));
    message.on('close', () => resolve({ ok: false, why: 'broken' }));
    message.on('data', collect);
  });
}
