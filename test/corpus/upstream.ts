/** What stands behind the proxy while the corpus runs: it keeps everything that reaches it. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

const ID = /"id"\s*:\s*("[^"]*"|-?\d+)/;

/** An empty result with the id of a request, digit by digit; undefined for what has no id. */
export function emptyAnswer(message: Uint8Array): string | undefined {
  const id = ID.exec(Buffer.from(message).toString())?.[1];
  return id === undefined ? undefined : `{"jsonrpc":"2.0","id":${id},"result":{"content":[]}}`;
}

export interface Arrival {
  readonly body: Buffer;
  readonly headers: IncomingHttpHeaders;
}

export interface RecordingUpstream {
  readonly url: string;
  /** What has come since the last time it was asked. */
  taken(): Arrival[];
  close(): void;
}

export async function startRecordingUpstream(): Promise<RecordingUpstream> {
  const arrivals: Arrival[] = [];
  const server = createServer((request, response) => {
    void buffer(request).then((body) => {
      arrivals.push({ body, headers: request.headers });
      const answer = emptyAnswer(body);
      if (answer === undefined) response.writeHead(202).end();
      else response.setHeader('content-type', 'application/json').end(answer);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    // A server that listens on TCP has an AddressInfo.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    taken: () => arrivals.splice(0),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
