/** An HTTP server on loopback that does what a test says. */
import { once } from 'node:events';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { within } from './within.ts';

export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

export type Handler = (
  request: http.IncomingMessage,
  response: http.ServerResponse,
  received: Received,
) => void | Promise<void>;

export interface ScriptedUpstream {
  readonly url: URL;
  /** What has come whole, in order. */
  readonly received: Received[];
  /** The first request that fits; waits for it. */
  arrived(what: string, fits: (received: Received) => boolean): Promise<Received>;
  /** Connections that stand. */
  connections(): Promise<number>;
  close(): void;
}

/** @param handler called once a request has come whole */
export async function startUpstream(handler: Handler): Promise<ScriptedUpstream> {
  const received: Received[] = [];
  const waiting: (() => void)[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => {});
    response.on('error', () => {});
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const one = { method, url, headers, body: Buffer.concat(chunks) };
      received.push(one);
      void handler(request, response, one);
      for (const wake of waiting.splice(0)) wake();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/up/mcp?tenant=1`),
    received,
    async arrived(what, fits) {
      for (;;) {
        const found = received.find(fits);
        if (found !== undefined) return found;
        await within(what, new Promise<void>((resolve) => waiting.push(resolve)));
      }
    },
    connections: () =>
      new Promise((resolve, reject) => {
        server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
      }),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
