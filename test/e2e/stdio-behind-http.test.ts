/** Clients over HTTP, servers over stdio, `serve` between them: real ones of all three. */
import assert from 'node:assert/strict';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernHttp,
  type ClientOptions,
} from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { eventually } from '../support/eventually.ts';
import { startOtlpReceiver, type OtlpReceiver } from '../support/otlp-receiver.ts';
import { packaged, startStdioServe, type StdioServeScene } from '../support/stdio-serve-scene.ts';
import { within } from '../support/within.ts';

const SELF = { name: 'e2e', version: '1' };
const FIXTURE = fileURLToPath(new URL('../conformance/fixture-stdio.ts', import.meta.url));

const RULES = `
  - {id: talk, effect: allow, identities: [anonymous], tools: ["everything/*", "dual/*"]}
  - {id: read, effect: allow, identities: [anonymous], tools: ["files/read_text_file", "files/list_directory"]}
  - {id: ask, effect: allow, identities: [anonymous], methods: ["sampling/createMessage", "elicitation/create",
     "roots/list", "resources/*", "prompts/*", "completion/complete", "subscriptions/listen"]}
`;

/** The text of a tool's result. */
const textOf = (result: unknown): string =>
  ((result as { content: readonly { text?: string }[] }).content ?? []).map(({ text }) => text).join('\n');

describe('servers over stdio behind serve', () => {
  let scene: StdioServeScene;
  let receiver: OtlpReceiver;
  let directory: string;

  before(async () => {
    directory = realpathSync(mkdtempSync(join(tmpdir(), 'mcp-verdict-files-')));
    writeFileSync(join(directory, 'note.txt'), 'what the note says');
    receiver = await startOtlpReceiver();
    scene = await startStdioServe({
      servers: {
        everything: packaged('everything', 'stdio'),
        files: packaged('filesystem', directory),
        dual: { command: process.execPath, args: [FIXTURE] },
      },
      rules: RULES,
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BLRP_SCHEDULE_DELAY: '50' },
    });
  });

  after(async () => {
    await scene?.close();
    await receiver?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  async function legacy(t: TestContext, server: string, client = new Client(SELF)): Promise<Client> {
    const transport = new StreamableHTTPClientTransport(scene.url(server));
    await client.connect(transport);
    t.after(async () => {
      await transport.terminateSession();
      await client.close();
    });
    return client;
  }

  async function modern(t: TestContext, server: string, options: ClientOptions): Promise<ModernClient> {
    const client = new ModernClient(SELF, options);
    await client.connect(new ModernHttp(scene.url(server)));
    t.after(() => client.close());
    return client;
  }

  test('SDK 1.32 and server-everything: tools, progress, logs, and what a server asks of its client', async (t) => {
    const client = new Client(SELF, {
      capabilities: { sampling: {}, elicitation: {}, roots: { listChanged: true } },
    });
    client.setRequestHandler(CreateMessageRequestSchema, async () => ({
      model: 'm',
      role: 'assistant',
      content: { type: 'text', text: 'sampled' },
    }));
    client.setRequestHandler(ElicitRequestSchema, async () => ({
      action: 'accept',
      content: { name: 'elicited' },
    }));
    client.setRequestHandler(ListRootsRequestSchema, async () => ({ roots: [{ uri: 'file:///rooted' }] }));
    const logs: string[] = [];
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
      logs.push(JSON.stringify(params.data));
    });
    await legacy(t, 'everything', client);
    const call = (name: string, args: Record<string, unknown> = {}) =>
      client.callTool({ name, arguments: args });
    assert.match(textOf(await call('echo', { message: 'héllo \u2028' })), /héllo \u2028/);
    const steps: number[] = [];
    const long = { name: 'trigger-long-running-operation', arguments: { duration: 0.2, steps: 3 } };
    await client.callTool(long, undefined, { onprogress: ({ progress }) => steps.push(progress) });
    assert.deepEqual(steps, [1, 2, 3]);
    assert.match(textOf(await call('trigger-sampling-request', { prompt: 'p', maxTokens: 5 })), /sampled/);
    assert.match(textOf(await call('trigger-elicitation-request')), /elicited/);
    assert.match(textOf(await call('get-roots-list')), /file:\/\/\/rooted/);
    await eventually('a log message', () => logs.length > 0);
    const { resources } = await client.listResources();
    assert.ok(resources.length > 0);
  });

  test('SDK 1.32 and server-filesystem: each session has a process, and what policy denies is not done', async (t) => {
    const [first, second] = [await legacy(t, 'files'), await legacy(t, 'files')];
    const read = { name: 'read_text_file', arguments: { path: join(directory, 'note.txt') } };
    const texts = await Promise.all(
      [first, second].map(async (client) => textOf(await client.callTool(read))),
    );
    assert.deepEqual(texts, ['what the note says', 'what the note says']);
    const path = join(directory, 'written.txt');
    const denied = await first.callTool({ name: 'write_file', arguments: { path, content: 'x' } });
    assert.equal(denied.isError, true);
    assert.match(textOf(denied), /Denied by policy/);
    const listed = await first.callTool({ name: 'list_directory', arguments: { path: directory } });
    assert.doesNotMatch(textOf(listed), /written/);
  });

  test('SDK 2.4 and a server of both eras: in 2026-07-28, without a session', async (t) => {
    const client = await modern(t, 'dual', { versionNegotiation: { mode: { pin: '2026-07-28' } } });
    const { tools } = await client.listTools();
    assert.ok(tools.some(({ name }) => name === 'test_simple_text'));
    const calls = ['test_simple_text', 'test_tool_with_progress', 'test_simple_text'];
    const steps: number[] = [];
    const results = await Promise.all(
      calls.map((name) =>
        client.callTool({ name, arguments: {} }, { onprogress: ({ progress }) => void steps.push(progress) }),
      ),
    );
    assert.equal(results.length, 3);
    assert.deepEqual(steps, [0, 50, 100]);
  });

  test('SDK 2.4 that tries 2026-07-28 first: it stays with a server of both eras, and falls back with a legacy one', async (t) => {
    const auto: ClientOptions = { versionNegotiation: { mode: 'auto' } };
    const both = await modern(t, 'dual', auto);
    assert.equal(both.getNegotiatedProtocolVersion(), '2026-07-28');
    const old = await modern(t, 'everything', auto);
    assert.equal(old.getNegotiatedProtocolVersion(), '2025-11-25');
    const echoed = await old.callTool({ name: 'echo', arguments: { message: 'still here' } });
    assert.match(textOf(echoed), /still here/);
  });

  test('SDK 2.4 that asks for a round of its user: what the server wants comes with its result', async (t) => {
    const client = new ModernClient(SELF, {
      capabilities: { elicitation: {} },
      versionNegotiation: { mode: { pin: '2026-07-28' } },
    });
    client.setRequestHandler('elicitation/create', async () => ({
      action: 'accept',
      content: { name: 'Ada' },
    }));
    await client.connect(new ModernHttp(scene.url('dual')));
    t.after(() => client.close());
    const name = 'test_input_required_result_elicitation';
    assert.match(textOf(await client.callTool({ name, arguments: {} })), /Hello, Ada!/);
  });

  test('subscriptions/listen of 2026-07-28: what has changed comes on the stream that asked for it', async (t) => {
    const client = await modern(t, 'dual', { versionNegotiation: { mode: { pin: '2026-07-28' } } });
    const { promise, resolve } = Promise.withResolvers<void>();
    client.setNotificationHandler('notifications/tools/list_changed', () => resolve());
    const subscription = await client.listen({ toolsListChanged: true });
    await client.callTool({ name: 'test_trigger_tool_change', arguments: {} });
    await within('the change', promise);
    await subscription.close();
  });

  test('each call is on record with the server and the way that its client came by', async () => {
    await eventually('records of all', () => {
      const names = receiver.logs().map(({ attributes }) => attributes['verdict.server.name']);
      return ['everything', 'files', 'dual'].every((name) => names.includes(name));
    });
    const denied = receiver.logs().find(({ attributes }) => attributes['gen_ai.tool.name'] === 'write_file');
    assert.partialDeepStrictEqual(denied?.attributes, {
      'verdict.decision.effect': 'deny',
      'verdict.server.name': 'files',
      'network.transport': 'tcp',
    });
    assert.equal(denied?.attributes['server.address'], undefined);
  });
});
