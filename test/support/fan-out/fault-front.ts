/**
 * Stands on a loopback port in front of a destination, hands requests on, and can be told to fail in every way that a
 * destination fails.
 */
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

/**
 * `pass` hands on; `refuse` has nobody listen; `hang` takes the request and never answers; `lose` hands on, and breaks
 * off before the answer; a number is the HTTP status that every request gets.
 */
export type Fault = 'pass' | 'refuse' | 'hang' | 'lose' | number;

export interface FaultFront {
  readonly port: number;
  /** Resolves when it holds for whatever comes next; what hangs at that moment is cut off. */
  set(fault: Fault): Promise<void>;
  /** Requests that have come since the start, and those that were handed on. */
  readonly requests: () => { readonly seen: number; readonly passed: number };
  close(): Promise<void>;
}

/** @param target the port on loopback that requests are handed on to */
export async function startFaultFront(target: number): Promise<FaultFront> {
  let fault: Fault = 'pass';
  let seen = 0;
  let passed = 0;
  const server = createServer((incoming, response) => {
    seen += 1;
    incoming.on('error', () => {});
    if (fault === 'hang') return;
    if (typeof fault === 'number') {
      incoming.resume();
      response.writeHead(fault, { 'content-type': 'text/plain' }).end(`made up: ${fault}`);
      return;
    }
    passed += 1;
    handOn(incoming, response, { target, losesAnswer: fault === 'lose' });
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
    requests: () => ({ seen, passed }),
    close: () => stopListening(server),
  };
}

function handOn(
  incoming: IncomingMessage,
  response: ServerResponse,
  { target, losesAnswer }: { readonly target: number; readonly losesAnswer: boolean },
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
  incoming.pipe(outgoing);
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
