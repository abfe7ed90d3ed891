/**
 * The clients that the suite tests, all in this process: to load one for each of fifty runs takes longer than what they
 * do. The suite starts client-program.ts, which says here what is to be played.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { playScenario, type Play } from './fixture-client.ts';
import { startProxy, wrapCommand } from './proxy.ts';
import { httpRoute, stdioRoute } from './routes.ts';

const PROGRAM = fileURLToPath(new URL('client-program.ts', import.meta.url));

/** How the client gets to the suite's server: by itself, through `serve`, or over stdio through `wrap`. */
export type ClientRoute = 'direct' | 'proxied' | 'wrapped';

interface Order extends Play {
  readonly route: ClientRoute;
  readonly url: string;
}

export interface ClientHost {
  /** What the suite is to start; it puts the URL of its server behind it. */
  readonly command: (route: ClientRoute) => string;
  readonly close: () => void;
}

export async function startClientHost(): Promise<ClientHost> {
  const server = createServer((incoming, response) => {
    void text(incoming)
      .then((order) => play(JSON.parse(order) as Order))
      .then(
        () => response.end(),
        (error: unknown) => response.writeHead(500).end(`${String(error)}\n`),
      );
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  // A server that listens on TCP has an AddressInfo.
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    command: (route) => `${process.execPath} ${PROGRAM} ${url} ${route}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function play({ route, url, ...what }: Order): Promise<void> {
  if (route === 'direct') {
    await playScenario(httpRoute(url), what);
    return;
  }
  if (route === 'proxied') {
    const proxy = await startProxy(url, 'allows everything');
    try {
      await playScenario(httpRoute(proxy.url), what);
    } finally {
      await proxy.stop();
    }
    return;
  }
  const wrap = wrapCommand(url);
  await playScenario(stdioRoute(wrap), what).finally(wrap.remove);
}
