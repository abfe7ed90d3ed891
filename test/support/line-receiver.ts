/** An HTTP server that keeps the lines of what is posted to it, and can be gone for a while. */
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { freePort } from './free-port.ts';

export interface LineReceiver {
  readonly url: string;
  /** In the order of coming. */
  readonly lines: readonly string[];
  /** Breaks off all requests; resolves when nothing listens any more. */
  stop(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

export async function startLineReceiver(): Promise<LineReceiver> {
  const port = await freePort();
  const lines: string[] = [];
  let server: Server | undefined;
  const start = async (): Promise<void> => {
    const next = createServer((request, response) => {
      void buffer(request)
        .then((bytes) => {
          const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes;
          lines.push(...body.toString().split('\n').filter(Boolean));
          response.end();
        })
        .catch(() => response.destroy());
    });
    await new Promise<void>((listening) => next.listen(port, '127.0.0.1', listening));
    server = next;
  };
  const stop = async (): Promise<void> => {
    const current = server;
    server = undefined;
    current?.closeAllConnections();
    if (current !== undefined) await new Promise((closed) => current.close(closed));
  };
  await start();
  return { url: `http://127.0.0.1:${port}/records`, lines, start, stop, close: stop };
}
