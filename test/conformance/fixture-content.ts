/** What the official suite asks a server for, where no round trip is needed: contents, resources, prompts. */
import { fromJsonSchema, ResourceTemplate, type McpServer } from '@modelcontextprotocol/server';

/** One red pixel. */
const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
/** A header and no sound. */
const WAV = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=';

const text = (value: string) => ({ type: 'text', text: value }) as const;
const image = { type: 'image', data: PNG, mimeType: 'image/png' } as const;
const embedded = (uri: string, mimeType: string, value: string) =>
  ({ type: 'resource', resource: { uri, mimeType, text: value } }) as const;

const CONTENTS = {
  test_simple_text: [text('This is a simple text response for testing.')],
  test_image_content: [image],
  test_audio_content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }],
  test_embedded_resource: [embedded('test://embedded-resource', 'text/plain', 'An embedded resource.')],
  test_multiple_content_types: [
    text('Multiple content types test:'),
    image,
    embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
  ],
  test_streaming_elicitation: [text('Nothing but this on the stream.')],
} as const;

/** Every keyword of JSON Schema 2020-12 that the suite looks for in tools/list. */
const SCHEMA_2020_12 = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: {
    address: {
      $anchor: 'addressDef',
      type: 'object',
      properties: { street: { type: 'string' }, city: { type: 'string' } },
    },
  },
  properties: {
    name: { type: 'string' },
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: { type: 'string' },
    email: { type: 'string' },
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  // oxlint-disable-next-line unicorn/no-thenable
  then: { required: ['phone'] },
  else: { required: ['email'] },
  additionalProperties: false,
} as const;

export function addContents(server: McpServer): void {
  for (const [name, content] of Object.entries(CONTENTS)) {
    server.registerTool(name, { description: name }, async () => ({ content: [...content] }));
  }
  // No scenario calls it: a policy may deny it, and nothing may change.
  server.registerTool('some_other_tool', { description: 'tells when it runs' }, async () => {
    process.stdout.write('some_other_tool has run\n');
    return { content: [text('This is what some_other_tool says.')] };
  });
  server.registerTool('test_error_handling', { description: 'fails' }, () => {
    throw new Error('This tool intentionally returns an error for testing');
  });
  const schema = fromJsonSchema<Record<string, unknown>>(SCHEMA_2020_12);
  server.registerTool(
    'json_schema_2020_12_tool',
    { description: 'a schema', inputSchema: schema },
    (args) => ({
      content: [text(JSON.stringify(args))],
    }),
  );
  const region = { type: 'string', 'x-mcp-header': 'Region' } as const;
  const properties = { region, level: { type: 'integer' } } as const;
  const mirrored = fromJsonSchema<{ region?: string }>({ type: 'object', properties });
  server.registerTool('test_x_mcp_header', { description: 'SEP-2243', inputSchema: mirrored }, (args) => ({
    content: [text(`region=${args.region ?? 'none'}`)],
  }));
}

export function addResources(server: McpServer): void {
  const fixed = (name: string, mimeType: string, body: { text: string } | { blob: string }): void => {
    const uri = `test://${name}`;
    server.registerResource(name, uri, { description: name, mimeType }, async () => ({
      contents: [{ uri, mimeType, ...body }],
    }));
  };
  fixed('static-text', 'text/plain', { text: 'This is the content of the static text resource.' });
  fixed('static-binary', 'image/png', { blob: PNG });
  fixed('watched-resource', 'text/plain', { text: 'Watched.' });
  const template = new ResourceTemplate('test://template/{id}/data', { list: undefined });
  server.registerResource('template', template, { mimeType: 'application/json' }, async (uri, { id }) => ({
    contents: [
      { uri: uri.href, mimeType: 'application/json', text: JSON.stringify({ id, templateTest: true }) },
    ],
  }));
  server.server.setRequestHandler('resources/subscribe', async () => ({}));
  server.server.setRequestHandler('resources/unsubscribe', async () => ({}));
}

export function addPrompts(server: McpServer): void {
  type Content = ReturnType<typeof text> | typeof image | ReturnType<typeof embedded>;
  const messages = (...contents: readonly Content[]) => ({
    messages: contents.map((content) => ({ role: 'user' as const, content })),
  });
  const strings = <Name extends string>(...names: readonly Name[]) =>
    fromJsonSchema<Record<Name, string>>({
      type: 'object',
      properties: Object.fromEntries(names.map((name) => [name, { type: 'string', description: name }])),
      required: [...names],
    });
  server.registerPrompt('test_simple_prompt', { description: 'simple' }, async () =>
    messages(text('This is a simple prompt for testing.')),
  );
  server.registerPrompt(
    'test_prompt_with_arguments',
    { description: 'two arguments', argsSchema: strings('arg1', 'arg2') },
    async ({ arg1, arg2 }) => messages(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)),
  );
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description: 'a resource', argsSchema: strings('resourceUri') },
    async ({ resourceUri }) =>
      messages(
        embedded(resourceUri, 'text/plain', 'Embedded resource content for testing.'),
        text('Process it.'),
      ),
  );
  server.registerPrompt('test_prompt_with_image', { description: 'an image' }, async () =>
    messages(image, text('Please analyze the image above.')),
  );
}
