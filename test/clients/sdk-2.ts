/** The client of SDK 2.4, in each of its modes. */
import {
  Client,
  StreamableHTTPClientTransport,
  type ClientOptions,
  type McpSubscription,
} from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { playWith, tap, type Ears, type RequestOptions, type Session } from './play.ts';
import type { Endpoint, Method, Player } from './script.ts';

// The SDK checks what it is given at run time; a script's params are of every shape.
type Params = never;
type Send = (client: Client, params: Params, options: RequestOptions) => Promise<unknown>;

const SENDS: Readonly<Record<Exclude<Method, 'subscriptions/listen'>, Send>> = {
  'tools/list': (client, params, options) => client.listTools(params, options),
  'prompts/list': (client, params, options) => client.listPrompts(params, options),
  'resources/list': (client, params, options) => client.listResources(params, options),
  'resources/templates/list': (client, params, options) => client.listResourceTemplates(params, options),
  'tools/call': (client, params, options) => client.callTool(params, options),
  'prompts/get': (client, params, options) => client.getPrompt(params, options),
  'resources/read': (client, params, options) => client.readResource(params, options),
  'completion/complete': (client, params, options) => client.complete(params, options),
  'resources/subscribe': (client, params, options) => client.subscribeResource(params, options),
  'resources/unsubscribe': (client, params, options) => client.unsubscribeResource(params, options),
  'logging/setLevel': (client, { level }, options) => client.setLoggingLevel(level, options),
  ping: (client, _, options) => client.ping(options),
};

type Negotiation = ClientOptions['versionNegotiation'];

const inMode = (
  name: string,
  player: Omit<Player, 'name' | 'speaks' | 'play'>,
  versionNegotiation: Negotiation,
): Player => ({
  name: `SDK 2.4 ${name}`,
  ...player,
  speaks: ['http', 'stdio'],
  goes: ({ server }) => server === 'everything' || server === 'fixture',
  play: (endpoint, script) => playWith((ears) => open(endpoint, ears, versionNegotiation), script),
});

export const sdk2Legacy = inMode(
  'legacy',
  {
    revision: '2025-11-25',
    legacy: true,
    fast: [
      'serve in front of everything (http)',
      'wrap in front of fixture (stdio)',
      'serve in front of fixture (stdio)',
    ],
  },
  { mode: 'legacy' },
);
export const sdk2Auto = inMode(
  'auto',
  {
    revision: '2026-07-28',
    legacy: true,
    // It finds a server of each era.
    fast: [
      'serve in front of everything (http)',
      'serve in front of fixture (http)',
      'wrap in front of everything (stdio)',
      'serve in front of fixture (stdio)',
    ],
  },
  { mode: 'auto' },
);
export const sdk2Pinned = inMode(
  'pinned',
  { revision: '2026-07-28', legacy: false },
  { mode: { pin: '2026-07-28' } },
);

async function open(endpoint: Endpoint, ears: Ears, versionNegotiation: Negotiation): Promise<Session> {
  const capabilities = { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } };
  const client = new Client(
    { name: 'sdk-2', version: '2.4' },
    { capabilities, ...(versionNegotiation && { versionNegotiation }) },
  );
  for (const method of ['sampling/createMessage', 'elicitation/create', 'roots/list'] as const)
    client.setRequestHandler(method, ({ params }) => ears.answer({ method, params }) as never);
  client.fallbackNotificationHandler = (said) => ears.hear(said);
  // A client is no EventTarget.
  // oxlint-disable-next-line unicorn/prefer-add-event-listener
  client.onerror = (error) => ears.trouble(error);
  const transport = transportTo(endpoint);
  await client.connect(transport);
  const subscriptions: McpSubscription[] = [];
  return {
    arrived: tap(transport),
    server: {
      version: client.getNegotiatedProtocolVersion(),
      info: client.getServerVersion(),
      capabilities: client.getServerCapabilities(),
      instructions: client.getInstructions(),
    },
    async request({ method, params }, options) {
      if (method !== 'subscriptions/listen') return await SENDS[method](client, params as Params, options);
      const subscription = await client.listen(params as Params, options);
      subscriptions.push(subscription);
      return subscription.honoredFilter;
    },
    async close() {
      for (const subscription of subscriptions) await subscription.close();
      if (transport instanceof StreamableHTTPClientTransport) await transport.terminateSession();
      await client.close();
    },
  };
}

function transportTo(endpoint: Endpoint): StreamableHTTPClientTransport | StdioClientTransport {
  if (endpoint.kind === 'stdio')
    return new StdioClientTransport({
      ...endpoint,
      args: [...endpoint.args],
      env: { ...endpoint.env },
      stderr: 'ignore',
    });
  return new StreamableHTTPClientTransport(new URL(endpoint.url), {
    requestInit: { headers: endpoint.headers },
  });
}
