/** Serves over node:http what answers the requests of the web platform, as the SDK's servers of both eras do. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';

/** @param text the request's body, which has been read from it already */
export type Answering = (request: Request, text: string) => Promise<Response>;

/** A server that does not listen yet. */
export function createFetchServer(answering: Answering): Server {
  return createServer((incoming, outgoing) => {
    // A client that goes takes its connection with it, which ends the pipeline.
    handle(answering, incoming, outgoing).catch(() => outgoing.destroy());
  });
}

async function handle(
  answering: Answering,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  outgoing.on('close', () => gone.abort());
  const text = (await buffer(incoming)).toString();
  const request = new Request(`http://${incoming.headers.host ?? 'localhost'}${incoming.url ?? '/'}`, {
    method: incoming.method ?? 'GET',
    headers: Object.entries(incoming.headers).map(([name, value]): [string, string] => [name, String(value)]),
    body: text === '' ? null : text,
    signal: gone.signal,
  });
  const response = await answering(request, text);
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.flushHeaders();
  if (response.body === null) outgoing.end();
  // The types of the platform's two streams differ; the streams do not.
  else await pipeline(Readable.fromWeb(response.body as NodeReadableStream), outgoing);
}
