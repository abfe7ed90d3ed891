/** A client that does what each client scenario of the official suite wants to see; the SDK's own, in both eras. */
import { Client, type ClientOptions, type Transport } from '@modelcontextprotocol/client';

/** A way to the suite's server. */
export interface Route {
  open(): Transport;
  /**
   * The same, for servers of the suite that answer neither initialize nor server/discover: the client's own half
   * answers server/discover in their place.
   */
  openDiscovered(answer: (id: unknown) => object): Transport;
}

/** What the suite wants to see, in its own words. */
export interface Play {
  readonly scenario?: string;
  readonly protocolVersion?: string;
  /** JSON, where a scenario has more to say. */
  readonly context?: string;
}

type Scenario = (route: Route, play: Play) => Promise<void>;

const SELF = { name: 'conformance-client', version: '1.0.0' } as const;
const MODERN = '2026-07-28';
const AUTO: ClientOptions = { capabilities: {}, versionNegotiation: { mode: 'auto' } };
const optionsOf = ({ protocolVersion }: Play): ClientOptions =>
  protocolVersion === MODERN ? AUTO : { capabilities: {} };

interface Connection {
  readonly options: ClientOptions;
  /** Some of the suite's servers answer neither initialize nor server/discover: the client then answers itself. */
  readonly discoverLocally?: boolean;
  readonly prepare?: (client: Client) => void;
}

async function connected(route: Route, connection: Connection, use: (client: Client) => Promise<unknown>) {
  const client = new Client(SELF, connection.options);
  connection.prepare?.(client);
  const transport = connection.discoverLocally === true ? route.openDiscovered(discovered) : route.open();
  try {
    await client.connect(transport);
    await use(client);
  } finally {
    await client.close();
  }
}

const discovered = (id: unknown): object => {
  const capabilities = { tools: { listChanged: true }, resources: {}, prompts: {} };
  const _meta = { 'io.modelcontextprotocol/serverInfo': SELF };
  return { jsonrpc: '2.0', id, result: { supportedVersions: [MODERN], capabilities, _meta } };
};

const call = (client: Client, name: string, args: Record<string, unknown> = {}) =>
  client.callTool({ name, arguments: args });

/** A refusal can be what the scenario wants. */
const tryCall = async (client: Client, name: string, args: Record<string, unknown> = {}): Promise<void> => {
  await call(client, name, args).catch((error: unknown) =>
    process.stderr.write(`${name}: ${String(error)}\n`),
  );
};

interface Context {
  readonly toolCalls?: readonly { readonly name: string; readonly arguments: Record<string, unknown> }[];
}

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  initialize: (route, play) => connected(route, { options: optionsOf(play) }, (client) => client.listTools()),
  tools_call: (route, play) =>
    connected(route, { options: optionsOf(play) }, async (client) => {
      await client.listTools();
      await call(client, 'add_numbers', { a: 5, b: 3 });
    }),
  'request-metadata': (route) =>
    connected(
      route,
      { options: { ...AUTO, capabilities: { roots: {}, sampling: {}, elicitation: {} } } },
      async () => {},
    ),
  'elicitation-sep1034-client-defaults': (route) =>
    connected(
      route,
      {
        options: { capabilities: { elicitation: { form: { applyDefaults: true } } } },
        prepare: (client) =>
          client.setRequestHandler('elicitation/create', async () => ({ action: 'accept', content: {} })),
      },
      async (client) => {
        await client.listTools();
        await call(client, 'test_client_elicitation_defaults');
      },
    ),
  'sse-retry': (route) =>
    connected(route, { options: { capabilities: {} } }, async (client) => {
      await client.listTools();
      await call(client, 'test_reconnection');
    }),
  'sep-2322-client-request-state': (route) =>
    connected(
      route,
      {
        options: { ...AUTO, capabilities: { elicitation: {} } },
        discoverLocally: true,
        prepare: (client) =>
          client.setRequestHandler('elicitation/create', async () => ({
            action: 'accept',
            content: { confirmed: true },
          })),
      },
      async (client) => {
        for (const name of ['echo_state', 'no_state', 'unrelated']) await call(client, `test_mrtr_${name}`);
        await tryCall(client, 'test_mrtr_no_result_type');
      },
    ),
  'http-standard-headers': (route) =>
    connected(route, { options: AUTO, discoverLocally: true }, async (client) => {
      const { tools } = await client.listTools();
      for (const { name } of tools.slice(0, 1)) await call(client, name);
      const { resources } = await client.listResources();
      for (const { uri } of resources.slice(0, 1)) await client.readResource({ uri });
      const { prompts } = await client.listPrompts();
      for (const { name } of prompts.slice(0, 1)) await client.getPrompt({ name, arguments: {} });
    }),
  'http-custom-headers': (route, { context = '{}' }) =>
    connected(route, { options: AUTO, discoverLocally: true }, async (client) => {
      await client.listTools();
      const { toolCalls } = JSON.parse(context) as Context;
      for (const { name, arguments: args } of toolCalls ?? []) await call(client, name, args);
    }),
  'http-invalid-tool-headers': (route) =>
    connected(route, { options: AUTO, discoverLocally: true }, async (client) => {
      const { tools } = await client.listTools();
      for (const { name } of tools) await tryCall(client, name, { region: 'us-west1' });
    }),
  'json-schema-ref-no-deref': (route) =>
    connected(route, { options: { capabilities: {} } }, (client) => client.listTools()),
  'json-schema-2020-12-preservation': (route, play) =>
    connected(route, { options: optionsOf(play) }, async (client) => {
      const { tools } = await client.listTools();
      const schema = tools.find(({ name }) => name === 'json_schema_2020_12_tool')?.inputSchema;
      await call(client, 'json_schema_echo', { schema });
    }),
};

export async function playScenario(route: Route, play: Play): Promise<void> {
  const scenario = SCENARIOS[play.scenario ?? ''];
  if (scenario === undefined) throw new Error(`no such scenario: ${play.scenario}`);
  await scenario(route, play);
}
