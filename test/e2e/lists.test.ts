/**
 * The lists of a real server, as two callers with different keys see them: over HTTP in front of HTTP, over HTTP in
 * front of stdio, and over stdio. What a list shows may be called, and what it does not cannot.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import {
  Client as DualClient,
  StreamableHTTPClientTransport as DualTransport,
  type ClientOptions,
} from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { newApiKey } from '../../src/identity/api-keys.ts';
import { CLI, plainEnvironment, ROOT, startCli, startCommand, type Running } from '../support/cli.ts';
import { freePort } from '../support/free-port.ts';
import { within } from '../support/within.ts';

const EVERYTHING = join(ROOT, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js');

const POLICY = `
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: lists, version: "1"}
identities:
  admins: {any: [{user: chief}]}
rules:
  - {id: admins-tools, effect: allow, identities: [admins], tools: ["*/*"]}
  - {id: admins-rest, effect: allow, identities: [admins], methods: [prompts/get, resources/read]}
  - {id: sums, effect: allow, tools: ["*/get-sum"], when: "args.a < 10"}
  - {id: echo, effect: allow, tools: ["*/echo"]}
  - {id: images, effect: require_approval, tools: ["*/get-tiny-image"]}
  - {id: simple, effect: allow, methods: [prompts/get], when: request.prompt == "simple-prompt"}
  - {id: docs, effect: allow, methods: [resources/read], when: request.uri.endsWith("features.md")}
  - {id: nobody, effect: deny, tools: ["*/get-env"], style: hidden}
`;

interface Seen {
  readonly tools: readonly string[];
  readonly prompts: readonly string[];
  readonly resources: readonly string[];
  readonly templates: number;
}

async function seenBy(client: Client): Promise<Seen> {
  const [{ tools }, { prompts }, { resources }, { resourceTemplates }] = await Promise.all([
    client.listTools(),
    client.listPrompts(),
    client.listResources(),
    client.listResourceTemplates(),
  ]);
  return {
    tools: tools.map(({ name }) => name),
    prompts: prompts.map(({ name }) => name),
    resources: resources.map(({ uri }) => uri),
    templates: resourceTemplates.length,
  };
}

/** What becomes of a call: its error's code, `denied`, or `made`. */
async function call(client: Client, name: string, args: Record<string, unknown> = {}): Promise<string> {
  try {
    const { isError, content } = (await client.callTool({ name, arguments: args })) as {
      isError?: boolean;
      content: { text?: string }[];
    };
    return isError === true && /Denied by policy|Approval needed/.test(content[0]?.text ?? '')
      ? 'denied'
      : 'made';
  } catch (error) {
    return `${(error as { code: number }).code} ${(error as Error).message}`;
  }
}

const HIDDEN = '-32602 MCP error -32602: Tool get-env not found';

describe('the lists of server-everything', () => {
  const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-lists-'));
  const keys = {
    chief: newApiKey({ user: 'chief' }),
    reader: newApiKey({ user: 'reader' }),
    granted: newApiKey({ user: 'chief', grants: ['*/echo', '*/get-env'] }),
  };
  let upstream: Running;
  let proxy: Running;
  const clients: Client[] = [];

  before(async () => {
    const port = await freePort();
    upstream = startCommand(process.execPath, [EVERYTHING, 'streamableHttp'], {
      env: { PORT: String(port) },
    });
    await upstream.waitFor(/listening on port/i);
    writeFileSync(join(directory, 'policy.yaml'), POLICY);
    const entries = Object.values(keys).map(({ entry }) => entry);
    writeFileSync(
      join(directory, 'keys.yaml'),
      JSON.stringify({ apiVersion: 'mcp-verdict/v1', kind: 'ApiKeys', keys: entries }),
    );
    writeFileSync(
      join(directory, 'verdict.yaml'),
      'listen: 127.0.0.1:0\npolicy: [policy.yaml]\nkeys: {directory: keys}\nspool: {directory: spool}\n' +
        `identity: {api_keys: keys.yaml}\nservers:\n  http: {url: "http://127.0.0.1:${port}/mcp"}\n` +
        `  stdio: {command: ${JSON.stringify(process.execPath)}, args: [${JSON.stringify(EVERYTHING)}, stdio]}\n`,
    );
    proxy = startCli(['serve', '--config', 'verdict.yaml'], { cwd: directory });
  });

  after(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await proxy?.stop();
    await upstream?.stop('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });

  async function connect(server: string, key: string): Promise<Client> {
    const [, url = ''] = await proxy.waitFor(new RegExp(`serving ${server} at (\\S+)`));
    const client = new Client({ name: 'test', version: '1' });
    const headers = { authorization: `Bearer ${key}` };
    await client.connect(
      new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }) as never,
    );
    clients.push(client);
    return client;
  }

  for (const server of ['http', 'stdio'] as const) {
    test(`in front of ${server}: each caller sees what it may use, and can use nothing else`, async () => {
      const chief = await connect(server, keys.chief.key);
      const all = await seenBy(chief);
      assert.ok(
        all.tools.length > 10 && all.prompts.length > 2 && all.resources.length > 2 && all.templates > 0,
      );
      assert.ok(!all.tools.includes('get-env'));
      assert.equal(await call(chief, 'get-env'), HIDDEN);

      const reader = await connect(server, keys.reader.key);
      const few = await seenBy(reader);
      assert.deepEqual(few.tools, ['echo', 'get-sum', 'get-tiny-image']);
      assert.deepEqual(few.prompts, ['simple-prompt']);
      assert.ok(few.resources.length === 1 && few.resources[0]?.endsWith('features.md'));
      // Which URIs a template has nobody knows before it is filled in.
      assert.equal(few.templates, all.templates);
      assert.equal(await call(reader, 'echo', { message: 'x' }), 'made');
      assert.equal(await call(reader, 'get-sum', { a: 1, b: 2 }), 'made');
      assert.equal(await call(reader, 'get-sum', { a: 11, b: 2 }), 'denied');
      assert.equal(await call(reader, 'get-tiny-image'), 'denied');
      assert.equal(await call(reader, 'get-env'), HIDDEN);
      for (const tool of all.tools) {
        if (!few.tools.includes(tool)) assert.equal(await call(reader, tool), 'denied', tool);
      }
      for (const name of all.prompts.filter((one) => !few.prompts.includes(one))) {
        await assert.rejects(reader.getPrompt({ name }), { code: -31403 });
      }

      const granted = await connect(server, keys.granted.key);
      assert.deepEqual((await seenBy(granted)).tools, ['echo']);
    });
  }

  test('over stdio, where denials are hidden: what is denied is as if it were not there', async () => {
    const client = new Client({ name: 'test', version: '1' });
    const own = ['--policy', 'policy.yaml', '--spool', 'spool', '--keys-directory', 'keys', '--hide-denied'];
    await client.connect(
      new StdioClientTransport({
        command: process.execPath,
        args: [CLI, 'wrap', ...own, '--', process.execPath, EVERYTHING, 'stdio'],
        cwd: directory,
        env: plainEnvironment() as Record<string, string>,
      }) as never,
    );
    clients.push(client);
    const { tools, prompts } = await seenBy(client);
    assert.deepEqual(tools, ['echo', 'get-sum', 'get-tiny-image']);
    assert.deepEqual(prompts, ['simple-prompt']);
    assert.equal(await call(client, 'get-env'), HIDDEN);
    assert.equal(
      await call(client, 'get-roots-list'),
      '-32602 MCP error -32602: Tool get-roots-list not found',
    );
    assert.equal(await call(client, 'no-such-tool'), '-32602 MCP error -32602: Tool no-such-tool not found');
    await assert.rejects(client.getPrompt({ name: 'args-prompt', arguments: { city: 'x' } }), {
      code: -32602,
      message: 'MCP error -32602: Prompt args-prompt not found',
    });
    assert.equal(await call(client, 'get-tiny-image'), 'denied');
  });
});

describe('a client of its own SDK hears that other policy is in force, and lists anew', () => {
  const FIXTURE = join(ROOT, 'test/conformance/fixture-server.ts');
  const rules = (denied: string): string =>
    POLICY.slice(0, POLICY.indexOf('identities:')) +
    'rules:\n  - {id: tools, effect: allow, identities: [anonymous], tools: ["*/*"]}\n' +
    '  - {id: methods, effect: allow, identities: [anonymous], methods: ["subscriptions/listen"]}\n' +
    `  - {id: no, effect: deny, identities: [anonymous], tools: ["*/${denied}"]}\n`;

  /** @returns the tools that it has first, and those that it is told of when the policy has changed */
  async function relisted(t: TestContext, options: ClientOptions): Promise<readonly (readonly string[])[]> {
    const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-lists-'));
    const fixture = startCommand(process.execPath, [FIXTURE]);
    const ends: (() => Promise<unknown>)[] = [() => fixture.stop('SIGKILL')];
    t.after(async () => {
      for (const end of ends.toReversed()) await end();
      // Last: while the proxy runs it makes files there, and a hook that fails is the last one that runs.
      rmSync(directory, { recursive: true, force: true });
    });
    const [, direct = ''] = await fixture.waitFor(/fixture at (\S+)/);
    const put = (denied: string): void => writeFileSync(join(directory, 'policy.yaml'), rules(denied));
    put('test_simple_text');
    writeFileSync(
      join(directory, 'verdict.yaml'),
      'listen: 127.0.0.1:0\npolicy: [policy.yaml]\nkeys: {directory: keys}\nspool: {directory: spool}\n' +
        `identity: {anonymous: allow}\nservers: {up: {url: ${JSON.stringify(direct)}}}\n`,
    );
    const proxy = startCli(['serve', '--config', 'verdict.yaml'], { cwd: directory });
    ends.push(() => proxy.stop());
    const [, url = ''] = await proxy.waitFor(/serving up at (\S+)/);
    const heard = Promise.withResolvers<readonly { readonly name: string }[]>();
    const onChanged = (error: Error | null, tools: readonly { readonly name: string }[] | null): void => {
      if (error === null) heard.resolve(tools ?? []);
      else heard.reject(error);
    };
    const client = new DualClient(
      { name: 'test', version: '1' },
      { capabilities: {}, ...options, listChanged: { tools: { onChanged } } },
    );
    const listening = Promise.withResolvers<void>();
    const fetchNoting: typeof fetch = async (input, init) => {
      const response = await fetch(input, init);
      // The stream of a session; the client waits for that of a subscription itself.
      if (init?.method === 'GET') listening.resolve();
      return response;
    };
    await client.connect(new DualTransport(new URL(url), { fetch: fetchNoting }));
    ends.push(() => client.close());
    const { tools } = await client.listTools();
    if (options.versionNegotiation === undefined) await within('the stream', listening.promise);
    put('some_other_tool');
    proxy.child.kill('SIGHUP');
    const told = await within('word of the change', heard.promise, 20_000);
    return [tools, told].map((list) =>
      list.map(({ name }) => name).filter((name) => ['test_simple_text', 'some_other_tool'].includes(name)),
    );
  }

  const eras: Readonly<Record<string, ClientOptions>> = {
    '2025-11-25': {},
    '2026-07-28': { versionNegotiation: { mode: { pin: '2026-07-28' } } },
  };
  for (const [era, options] of Object.entries(eras)) {
    test(`in ${era}`, async (t) => {
      assert.deepEqual(await relisted(t, options), [['some_other_tool'], ['test_simple_text']]);
    });
  }
});
