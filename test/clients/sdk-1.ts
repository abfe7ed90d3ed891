/** The client of SDK 1.32. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  CallToolResultSchema,
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  type ClientResult,
} from '@modelcontextprotocol/sdk/types.js';
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
  'tools/call': (client, params, options) => client.callTool(params, CallToolResultSchema, options),
  'prompts/get': (client, params, options) => client.getPrompt(params, options),
  'resources/read': (client, params, options) => client.readResource(params, options),
  'completion/complete': (client, params, options) => client.complete(params, options),
  'resources/subscribe': (client, params, options) => client.subscribeResource(params, options),
  'resources/unsubscribe': (client, params, options) => client.unsubscribeResource(params, options),
  'logging/setLevel': (client, { level }, options) => client.setLoggingLevel(level, options),
  ping: (client, _, options) => client.ping(options),
};

export const sdk1: Player = {
  name: 'SDK 1.32',
  revision: '2025-11-25',
  legacy: true,
  speaks: ['http', 'stdio'],
  fast: [
    'serve in front of everything (http)',
    'wrap in front of everything (stdio)',
    'serve in front of everything (stdio)',
    'serve in front of fixture (http)',
    'wrap in front of files (stdio)',
    'serve in front of memory (stdio)',
  ],
  play: (endpoint, script) => playWith((ears) => open(endpoint, ears), script),
};

async function open(endpoint: Endpoint, ears: Ears): Promise<Session> {
  const capabilities = { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } };
  const client = new Client({ name: 'sdk-1', version: '1.32' }, { capabilities });
  for (const schema of [CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema])
    client.setRequestHandler(schema, ({ method, params }) => ears.answer({ method, params }) as ClientResult);
  client.fallbackNotificationHandler = (said) => ears.hear(said);
  // A client is no EventTarget.
  // oxlint-disable-next-line unicorn/prefer-add-event-listener
  client.onerror = (error) => ears.trouble(error);
  const transport = transportTo(endpoint);
  await client.connect(transport as Transport);
  return {
    arrived: tap(transport),
    server: {
      info: client.getServerVersion(),
      capabilities: client.getServerCapabilities(),
      instructions: client.getInstructions(),
    },
    request({ method, params }, options) {
      if (method === 'subscriptions/listen') throw new Error('this client knows no subscriptions/listen');
      return SENDS[method](client, params as Params, options);
    },
    // Without ending the session, as most programs go.
    close: () => client.close(),
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
