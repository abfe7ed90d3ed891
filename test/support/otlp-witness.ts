/** Stands between an OTLP/HTTP sender and a collector, passes everything on, and remembers what was said. */
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';

export interface Exchange {
  readonly path: string;
  readonly contentType: string;
  readonly contentEncoding: string | undefined;
  /** The collector's answer. It neither logs nor counts the requests that it answers with 400. */
  readonly status: number;
}

export interface OtlpWitness {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly url: string;
  readonly exchanges: readonly Exchange[];
  readonly close: () => Promise<void>;
}

/** @param target base URL of the collector, http */
export async function startOtlpWitness(target: string): Promise<OtlpWitness> {
  const exchanges: Exchange[] = [];
  const pass = (incoming: IncomingMessage, answer: ServerResponse): void => {
    const { headers, method, url: path = '' } = incoming;
    const outgoing = request(`${target}${path}`, { method, headers }, (response) => {
      const status = response.statusCode ?? 0;
      const contentType = headers['content-type'] ?? '';
      exchanges.push({ path, contentType, contentEncoding: headers['content-encoding'], status });
      answer.writeHead(status, response.headers);
      pipeline(response, answer, () => {});
    });
    outgoing.once('error', () => answer.destroy());
    pipeline(incoming, outgoing, () => {});
  };
  const server = createServer(pass);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    // A server that listens on TCP has an AddressInfo.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    exchanges,
    close: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
