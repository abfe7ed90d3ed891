/**
 * The clients that the suite tests, all in this process: to load one for each of fifty runs takes longer than what they
 * do. The suite starts client-program.ts, which says here what is to be played.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { playScenario, type Play } from './fixture-client.ts';
import { startGrowingProxy, wrapCommand, type GrowingProxy } from './proxy.ts';
import { httpRoute, stdioRoute } from './routes.ts';

const PROGRAM = fileURLToPath(new URL('client-program.ts', import.meta.url));

/** How the client gets to the suite's server: by itself, through `serve`, or over stdio through `wrap`. */
export type ClientRoute = 'direct' | 'proxied' | 'wrapped';

interface Order extends Play {
  readonly route: ClientRoute;
  readonly url: string;
}

export interface ClientHost {
  /**
   * What the suite is to start for these scenarios, and nothing for others; it puts the URL of its server behind it,
   * and a shell reads the whole.
   */
  readonly command: (route: ClientRoute, scenarios: readonly string[]) => string;
  readonly close: () => Promise<void>;
}

export async function startClientHost(): Promise<ClientHost> {
  const proxy = await startGrowingProxy('allows everything');
  const server = createServer((incoming, response) => {
    void text(incoming)
      .then((order) => play(JSON.parse(order) as Order, proxy))
      .then(
        () => response.end(),
        (error: unknown) => response.writeHead(500).end(`${String(error)}\n`),
      );
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  // A server that listens on TCP has an AddressInfo.
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    command: (route, scenarios) =>
      `case $MCP_CONFORMANCE_SCENARIO in ${scenarios.join('|')}) ;; *) exit ;; esac; ` +
      `exec ${process.execPath} ${PROGRAM} ${url} ${route}`,
    async close() {
      server.close();
      server.closeAllConnections();
      await proxy.stop();
    },
  };
}

async function play({ route, url, ...what }: Order, proxy: GrowingProxy): Promise<void> {
  if (route !== 'wrapped') {
    await playScenario(httpRoute(route === 'direct' ? url : await proxy.add(url)), what);
    return;
  }
  const wrap = wrapCommand(url);
  await playScenario(stdioRoute(wrap), what).finally(wrap.remove);
}
