/** How the fixture client gets to the suite's server: over HTTP, or over stdio through `wrap`. */
import { StreamableHTTPClientTransport, type Transport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import type { Route } from './fixture-client.ts';

export function httpRoute(url: string): Route {
  return {
    open: () => new StreamableHTTPClientTransport(new URL(url)),
    openDiscovered: (answer) => {
      const answering: typeof fetch = async (input, init) => {
        const body: unknown = typeof init?.body === 'string' ? JSON.parse(init.body) : undefined;
        const { method, id } = (body ?? {}) as { readonly method?: string; readonly id?: unknown };
        return method === 'server/discover' ? Response.json(answer(id)) : fetch(input, init);
      };
      return new StreamableHTTPClientTransport(new URL(url), { fetch: answering });
    },
  };
}

export interface Command {
  readonly command: string;
  readonly args: string[];
  readonly env: Record<string, string>;
}

export function stdioRoute(command: Command): Route {
  return {
    open: () => inPlace(new StdioClientTransport({ ...command, stderr: 'ignore' })),
    openDiscovered: (answer) => {
      const transport = inPlace(new StdioClientTransport({ ...command, stderr: 'ignore' }));
      const { send } = transport;
      transport.send = async (message, options) => {
        const isDiscovery = 'method' in message && message.method === 'server/discover' && 'id' in message;
        if (isDiscovery) transport.onmessage?.(answer(message.id) as never);
        else await send(message, options);
      };
      return transport;
    },
  };
}

/** The SDK asks a second process of its own for the era; the suite's servers count what they are asked. */
function inPlace(inner: StdioClientTransport): Transport {
  const outer: Transport = {
    async start() {
      const handlers: Pick<Transport, 'onmessage' | 'onerror' | 'onclose'> = {
        onmessage: (message) => outer.onmessage?.(message),
        onerror: (error) => outer.onerror?.(error),
        onclose: () => outer.onclose?.(),
      };
      Object.assign(inner, handlers);
      await inner.start();
    },
    send: (message) => inner.send(message),
    close: () => inner.close(),
  };
  return outer;
}
