/**
 * Stands on a loopback port in front of a destination, hands requests on, and can be told to fail in every way that a
 * destination fails.
 */
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';

/**
 * `pass` hands on; `refuse` has nobody listen; `hang` takes the request and never answers; `lose` hands on, and breaks
 * off before the answer; `slow` hands on after SLOW_MS; a number is the HTTP status that every request gets; a dislike is the status for requests that
 * hold a text, plain or gzipped, while all others are handed on.
 */
export type Fault = 'pass' | 'refuse' | 'hang' | 'lose' | 'slow' | number | Dislike;

const SLOW_MS = 100;

export interface Dislike {
  readonly text: string;
  readonly status: number;
}

export interface FaultFront {
  readonly port: number;
  /** Resolves when it holds for whatever comes next; what hangs at that moment is cut off. */
  set(fault: Fault): Promise<void>;
  /** Requests that have come since the start, those that were handed on, and how many were open at once at most. */
  readonly requests: () => { readonly seen: number; readonly passed: number; readonly atOnce: number };
  close(): Promise<void>;
}

/** @param target the port on loopback that requests are handed on to */
export async function startFaultFront(target: number): Promise<FaultFront> {
  let fault: Fault = 'pass';
  let seen = 0;
  let passed = 0;
  let open = 0;
  let atOnce = 0;
  const server = createServer((incoming, response) => {
    seen += 1;
    open += 1;
    atOnce = Math.max(atOnce, open);
    response.once('close', () => (open -= 1));
    incoming.on('error', () => {});
    if (fault === 'hang') return;
    const present = fault;
    void buffer(incoming).then(
      async (body) => {
        if (present === 'slow') await wait(SLOW_MS);
        const status = statusFor(present, incoming, body);
        if (status !== undefined) {
          response.writeHead(status, { 'content-type': 'text/plain' }).end(`made up: ${status}`);
          return;
        }
        passed += 1;
        handOn(incoming, response, { target, body, losesAnswer: present === 'lose' });
      },
      () => response.destroy(),
    );
  });
  const port = await listen(server, 0);
  return {
    port,
    async set(next) {
      const was = fault;
      fault = next;
      if (next === 'refuse') await stopListening(server);
      else if (was === 'refuse') await listen(server, port);
      else if (was === 'hang') server.closeAllConnections();
    },
    requests: () => ({ seen, passed, atOnce }),
    close: () => stopListening(server),
  };
}

/** The status that is made up for a request; undefined for one that is handed on. */
function statusFor(fault: Fault, { headers }: IncomingMessage, body: Buffer): number | undefined {
  if (typeof fault === 'number') return fault;
  if (typeof fault === 'string') return undefined;
  const plain = headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
  return plain.includes(fault.text) ? fault.status : undefined;
}

function handOn(
  incoming: IncomingMessage,
  response: ServerResponse,
  {
    target,
    body,
    losesAnswer,
  }: { readonly target: number; readonly body: Buffer; readonly losesAnswer: boolean },
): void {
  const { method, url: path, headers } = incoming;
  const outgoing = request({ host: '127.0.0.1', port: target, method, path, headers, agent: false });
  outgoing.on('response', (answer) => {
    answer.on('error', () => response.destroy());
    if (losesAnswer) {
      response.destroy();
      answer.resume();
      return;
    }
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  // What stands behind is down, as a load balancer would say it.
  outgoing.on('error', () => {
    if (response.headersSent) response.destroy();
    else response.writeHead(502).end();
  });
  outgoing.end(body);
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  // A server that listens on TCP has an AddressInfo.
  return (server.address() as AddressInfo).port;
}

async function stopListening(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
