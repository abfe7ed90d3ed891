/** Tools that change under a proxy that runs, through both doors, and the verb that pins them. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test, type TestContext } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernTransport,
  type VersionNegotiationOptions,
} from '@modelcontextprotocol/client';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { Event } from '../../src/event/vocabulary.ts';
import { readLock } from '../../src/service/pins.ts';
import { startChangingServer } from '../support/changing-server.ts';
import { CLI, plainEnvironment, ROOT, runCli, startCli } from '../support/cli.ts';
import { createFetchServer } from '../support/fetch-server.ts';

const TIMEOUT_MS = 240_000;
const TESTS_AT_ONCE = 3;
const PROGRAM = join(import.meta.dirname, '../support/changing-server.ts');

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-pins-'));
after(() => rmSync(root, { recursive: true, force: true }));

const POLICY = `
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: open, version: "1"}
identities: {}
rules:
  - {id: all, effect: allow, identities: [authenticated, anonymous], tools: ["up/*"]}
`;

const GOOD = 'Adds two numbers.';
/** One character. */
const CHANGED = 'Adds two numbers!';

function scene() {
  const directory = mkdtempSync(join(root, 'scene-'));
  writeFileSync(join(directory, 'policy.yaml'), POLICY);
  const describeAs = (text: string): void => writeFileSync(join(directory, 'description'), text);
  describeAs(GOOD);
  const tools = (verb: string, ...args: readonly string[]) =>
    runCli(['tools', verb, ...args], { cwd: directory });
  return { directory, describeAs, tools, file: join(directory, 'description') };
}

const STDIO = ['--server', 'up', '--', process.execPath, PROGRAM, 'description'];

/** A client, and the records of what is in front of it. */
interface Door {
  readonly client: Client;
  readonly records: () => Promise<readonly Event[]>;
}

async function overHttp(
  t: TestContext,
  mode: string,
): Promise<Door & { calls: () => number } & ReturnType<typeof scene>> {
  const made = scene();
  const server = await startChangingServer(made.file);
  t.after(server.close);
  return { ...made, ...(await serve(t, made, { mode, server: { url: server.url } })), calls: server.calls };
}

/** HTTP in front of a server that speaks over stdio. */
async function overBridge(t: TestContext, mode: string): Promise<Door & ReturnType<typeof scene>> {
  const made = scene();
  const server = { command: process.execPath, args: [PROGRAM, 'description'] };
  return { ...made, ...(await serve(t, made, { mode, server })) };
}

async function serve(
  t: TestContext,
  { directory, tools }: ReturnType<typeof scene>,
  { mode, server }: { readonly mode: string; readonly server: object },
): Promise<Door> {
  writeFileSync(
    join(directory, 'verdict.yaml'),
    'listen: 127.0.0.1:0\npolicy: [policy.yaml]\nidentity: {anonymous: allow}\nkeys: {directory: keys}\n' +
      `spool: {directory: spool}\npins: {mode: ${mode}}\nservers: {up: ${JSON.stringify(server)}}\n`,
  );
  const locked = await tools('lock', '--config', 'verdict.yaml');
  assert.equal(locked.code, 0, locked.stderr);
  const proxy = startCli(['serve', '--config', 'verdict.yaml'], { cwd: directory });
  t.after(() => proxy.stop('SIGKILL'));
  const [, url = ''] = await proxy.waitFor(/serving up at (\S+)/);
  const client = new Client({ name: 'test', version: '1' });
  await client.connect(new StreamableHTTPClientTransport(new URL(url)) as never);
  t.after(() => client.close());
  const records = async (): Promise<readonly Event[]> => {
    await client.close();
    await proxy.stop();
    return recordsIn(join(directory, 'spool'));
  };
  return { client, records };
}

async function overStdio(t: TestContext, mode: string): Promise<Door & ReturnType<typeof scene>> {
  const made = scene();
  const { directory, tools } = made;
  const locked = await tools('lock', ...STDIO);
  assert.equal(locked.code, 0, locked.stderr);
  const client = new Client({ name: 'test', version: '1' });
  const own = ['--policy', 'policy.yaml', '--spool', 'spool', '--keys-directory', 'keys', '--pin', mode];
  await client.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: [CLI, 'wrap', ...own, ...STDIO],
      cwd: directory,
      env: Object.fromEntries(
        Object.entries(plainEnvironment()).filter((pair): pair is [string, string] => pair[1] !== undefined),
      ),
      stderr: 'ignore',
    }) as never,
  );
  t.after(() => client.close());
  const records = async (): Promise<readonly Event[]> => {
    await client.close();
    return recordsIn(join(directory, 'spool'));
  };
  return { ...made, client, records };
}

async function recordsIn(spool: string): Promise<readonly Event[]> {
  const { code, stdout, stderr } = await runCli(['records', 'tail', '--spool', spool, '--json']);
  assert.equal(code, 0, stderr);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Event);
}

const namesOf = async (client: Client): Promise<readonly string[]> =>
  (await client.listTools()).tools.map(({ name }) => name);

const call = async (client: Client, name: string) => {
  const { isError, content, _meta } = await client.callTool({ name, arguments: {} });
  const [first] = content as readonly { readonly text: string }[];
  const decision = _meta?.['io.github.mcp-verdict/decision'] as { readonly reason: string } | undefined;
  return { failed: isError === true, text: first?.text ?? '', reason: decision?.reason };
};

const changesIn = (records: readonly Event[]): readonly Event[] =>
  records.filter((record) => record['verdict.lifecycle.state'] === 'tool_changed');

const callsIn = (records: readonly Event[]): readonly unknown[] =>
  records
    .filter((record) => record['mcp.method.name'] === 'tools/call')
    .map((record) => [
      record['gen_ai.tool.name'],
      record['verdict.decision.effect'],
      record['verdict.decision.reason'],
      /^sha256:[0-9a-f]{64}$/.test(String(record['verdict.tool.digest'])),
    ]);

describe(
  'a tool whose description changes by one character while the proxy runs',
  { timeout: TIMEOUT_MS },
  () => {
    for (const [door, open] of [
      ['HTTP', overHttp],
      ['stdio', overStdio],
      ['HTTP to stdio', overBridge],
    ] as const) {
      test(`strict, over ${door}: is gone from lists and denied, is recorded once, and is back when the server is`, async (t) => {
        const { client, records, describeAs } = await open(t, 'strict');
        assert.deepEqual(await namesOf(client), ['steady', 'add']);
        assert.equal((await call(client, 'add')).text, 'called add');
        describeAs(CHANGED);
        assert.deepEqual(await namesOf(client), ['steady']);
        assert.deepEqual(await namesOf(client), ['steady']);
        const denied = await call(client, 'add');
        assert.deepEqual([denied.failed, denied.reason], [true, 'tool_changed']);
        assert.match(denied.text, /mcp-verdict tools lock/);
        assert.ok(!denied.text.includes(CHANGED), 'what the server wrote reaches the model after all');
        assert.equal((await call(client, 'steady')).text, 'called steady');
        describeAs(GOOD);
        assert.deepEqual(await namesOf(client), ['steady', 'add']);
        assert.equal((await call(client, 'add')).failed, false);
        const all = await records();
        const changes = changesIn(all);
        assert.equal(changes.length, 1);
        assert.equal(changes[0]?.['severity.number'], 13);
        assert.deepEqual(changes[0]?.['verdict.tool.difference'], [
          `/description: "${GOOD}" -> "${CHANGED}"`,
        ]);
        assert.deepEqual(
          [
            changes[0]?.['verdict.server.name'],
            changes[0]?.['gen_ai.tool.name'],
            changes[0]?.['verdict.tool.pin'],
          ],
          ['up', 'add', 'strict'],
        );
        assert.deepEqual(callsIn(all), [
          ['add', 'allow', 'rule', true],
          ['add', 'deny', 'tool_changed', true],
          ['steady', 'allow', 'rule', true],
          ['add', 'allow', 'rule', true],
        ]);
      });

      test(`warn, over ${door}: is shown and may be called, and is recorded with its difference`, async (t) => {
        const { client, records, describeAs } = await open(t, 'warn');
        await namesOf(client);
        describeAs(CHANGED);
        const { tools } = await client.listTools();
        assert.equal(tools.find(({ name }) => name === 'add')?.description, CHANGED);
        assert.equal((await call(client, 'add')).failed, false);
        const all = await records();
        assert.deepEqual(
          changesIn(all).map((record) => [record['verdict.tool.pin'], record['verdict.tool.difference']]),
          [['warn', [`/description: "${GOOD}" -> "${CHANGED}"`]]],
        );
        assert.deepEqual(callsIn(all), [['add', 'allow', 'rule', true]]);
      });
    }

    test('strict: a tool that was not there before is hidden, and a call of it does not reach the server', async (t) => {
      const { client, calls, file } = await overHttp(t, 'strict');
      writeFileSync(`${file}.new`, '');
      assert.deepEqual(await namesOf(client), ['steady', 'add']);
      const denied = await call(client, 'new');
      assert.deepEqual([denied.reason, calls()], ['tool_changed', 0]);
      assert.match(denied.text, /Nobody has reviewed the tool new/);
    });

    test('off: the digest is recorded, and nothing else happens', async (t) => {
      const { client, records, describeAs } = await overHttp(t, 'off');
      await namesOf(client);
      await call(client, 'add');
      describeAs(CHANGED);
      await namesOf(client);
      await call(client, 'add');
      const all = await records();
      assert.equal(changesIn(all).length, 0);
      const digests = all
        .filter((record) => record['mcp.method.name'] === 'tools/call')
        .map((record) => record['verdict.tool.digest']);
      assert.equal(new Set(digests).size, 2);
      assert.ok(!digests.includes(undefined));
    });
  },
);

describe('tools lock and tools check', { timeout: TIMEOUT_MS, concurrency: TESTS_AT_ONCE }, () => {
  test('pin what a server lists, find nothing else after, and tell what has changed by where it stands', async () => {
    const { directory, describeAs, tools } = scene();
    const locked = await tools('lock', ...STDIO);
    assert.equal(locked.code, 0, locked.stderr);
    assert.match(
      locked.stdout,
      /^up: 2 tools, asked in MCP 2025-11-25\n\+ up\/add\n {4}\/description: added "Adds two/,
    );
    assert.match(locked.stdout, /\ntools\.lock\.json: written, 2 added\n$/);
    const before = readFileSync(join(directory, 'tools.lock.json'), 'utf8');
    const same = await tools('check', ...STDIO);
    assert.deepEqual([same.code, same.stdout.endsWith('tools.lock.json: nothing has changed\n')], [0, true]);
    describeAs(`${CHANGED}\u202e`);
    writeFileSync(join(directory, 'description.new'), '');
    const changed = await tools('check', ...STDIO);
    assert.equal(changed.code, 1);
    assert.match(
      changed.stdout,
      /\n~ up\/add\n {4}\/description: "Adds two numbers\." -> "Adds two numbers!\\u202e"\n {4}! \/description holds characters that are not seen; .*\n\+ up\/new\n/,
    );
    assert.match(
      changed.stdout,
      /1 added, 1 changed; once somebody has looked at it: mcp-verdict tools lock\n$/,
    );
    assert.equal(readFileSync(join(directory, 'tools.lock.json'), 'utf8'), before, 'check has written');
    const json = await tools('check', '--json', ...STDIO);
    const { changes } = JSON.parse(json.stdout) as { changes: readonly { tool: string; kind: string }[] };
    assert.deepEqual(
      changes.map(({ tool, kind }) => [tool, kind]),
      [
        ['add', 'changed'],
        ['new', 'added'],
      ],
    );
    assert.equal((await tools('lock', ...STDIO)).code, 0);
    assert.equal((await tools('check', ...STDIO)).code, 0);
    rmSync(join(directory, 'description.new'));
    assert.match((await tools('check', ...STDIO)).stdout, /\n- up\/new\n/);
    assert.deepEqual(readdirSync(directory).toSorted(), ['description', 'policy.yaml', 'tools.lock.json']);
  });

  test('ask the servers of a config: the pinned ones, or the one that is named; the entries of others stay', async (t) => {
    const { directory, file, tools } = scene();
    const server = await startChangingServer(file);
    t.after(server.close);
    const config = (servers: string): void =>
      writeFileSync(
        join(directory, 'verdict.yaml'),
        `policy: [policy.yaml]\nidentity: {anonymous: allow}\npins: {mode: off}\nservers:\n${servers}`,
      );
    const entry = (name: string, pin = ''): string => `  ${name}: {url: "${server.url}"${pin}}\n`;
    const asked = async (verb: string, ...args: readonly string[]) => {
      const { code, stdout, stderr } = await tools(verb, '--config', 'verdict.yaml', '--json', ...args);
      const found =
        stdout === ''
          ? undefined
          : (JSON.parse(stdout) as { servers: readonly { server: string }[]; changes: readonly object[] });
      return { code, stderr, servers: found?.servers.map((one) => one.server), changes: found?.changes };
    };
    config(entry('a') + entry('b'));
    assert.deepEqual((await asked('lock')).servers, ['a', 'b']);
    config(entry('a') + entry('b', ', pin: strict'));
    assert.deepEqual((await asked('check')).servers, ['b']);
    assert.deepEqual((await asked('check', '--server', 'a')).servers, ['a']);
    assert.equal((await asked('check', '--server', 'c')).code, 2);
    // A server that is gone from the config goes from the file, unless only another was to be looked at.
    config(entry('b', ', pin: strict'));
    assert.equal((await asked('check', '--server', 'b')).code, 0);
    assert.deepEqual((await asked('check')).changes?.length, 2);
    // One that cannot be asked leaves the file as it is.
    const before = readFileSync(join(directory, 'tools.lock.json'), 'utf8');
    config(`${entry('b', ', pin: strict')}  dead: {url: "http://127.0.0.1:1011/mcp", pin: strict}\n`);
    const failed = await asked('lock');
    assert.equal(failed.code, 4);
    assert.match(failed.stderr, /^fail +upstream +dead: .*cannot be reached/);
    assert.equal(readFileSync(join(directory, 'tools.lock.json'), 'utf8'), before);
  });

  test('ask as a client of every capability: some servers have tools only for those', async () => {
    const { directory, tools } = scene();
    const server = join(ROOT, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js');
    const { code, stderr } = await tools('lock', '--server', 'up', '--', process.execPath, server, 'stdio');
    assert.equal(code, 0, stderr);
    const lock = readLock(join(directory, 'tools.lock.json'), directory).get('up');
    for (const name of [
      'echo',
      'trigger-sampling-request',
      'get-roots-list',
      'trigger-elicitation-request-async',
    ]) {
      assert.ok(lock?.has(name), name);
    }
  });

  test('pin what a server says in each protocol, so that clients of both are shown it', async (t) => {
    const { directory, tools } = scene();
    const handler = createMcpHandler(() => {
      const server = new McpServer({ name: 'dual', version: '1.0.0' });
      // A list is no output schema of 2025-11-25: the SDK puts it into an object for older clients.
      const outputSchema = z.array(z.number());
      server.registerTool('sum', { description: GOOD, outputSchema }, () => ({
        content: [],
        structuredContent: [3],
      }));
      return server;
    });
    const listener = createFetchServer((request) => handler.fetch(request));
    await new Promise<void>((listening) => listener.listen(0, '127.0.0.1', listening));
    t.after(() => (listener.closeAllConnections(), listener.close()));
    // A server that listens on TCP has an AddressInfo.
    const upstream = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/mcp`;
    writeFileSync(
      join(directory, 'verdict.yaml'),
      'listen: 127.0.0.1:0\npolicy: [policy.yaml]\nidentity: {anonymous: allow}\nkeys: {directory: keys}\n' +
        `spool: {directory: spool}\npins: {}\nservers: {up: {url: "${upstream}"}}\n`,
    );
    const locked = await tools('lock', '--config', 'verdict.yaml');
    assert.match(locked.stdout, /^up: 1 tool, asked in MCP 2025-11-25 and 2026-07-28\n/);
    const proxy = startCli(['serve', '--config', 'verdict.yaml'], { cwd: directory });
    t.after(() => proxy.stop('SIGKILL'));
    const [, url = ''] = await proxy.waitFor(/serving up at (\S+)/);
    const modes: readonly VersionNegotiationOptions[] = [{ mode: 'legacy' }, { mode: { pin: '2026-07-28' } }];
    for (const versionNegotiation of modes) {
      const client = new ModernClient({ name: 'test', version: '1' }, { versionNegotiation });
      await client.connect(new ModernTransport(new URL(url)));
      const { tools: listed } = await client.listTools();
      assert.deepEqual(
        listed.map(({ name }) => name),
        ['sum'],
      );
      assert.notEqual((await client.callTool({ name: 'sum', arguments: {} })).isError, true);
      await client.close();
    }
    assert.doesNotMatch(proxy.stderr(), /as it is pinned/);
  });

  test('are asked for by a start that cannot find what they make', async () => {
    const { directory } = scene();
    writeFileSync(
      join(directory, 'verdict.yaml'),
      'policy: [policy.yaml]\nidentity: {anonymous: allow}\nservers: {up: {url: "http://127.0.0.1:9/mcp", pin: strict}}\n',
    );
    for (const args of [
      ['serve', '--config', 'verdict.yaml'],
      ['wrap', '--policy', 'policy.yaml', '--pin', 'strict', ...STDIO],
    ]) {
      const { code, stderr } = await runCli(args, { cwd: directory });
      assert.equal(code, 3, args.join(' '));
      assert.match(stderr, /no such file\.\nTools are pinned with: mcp-verdict tools lock/);
    }
  });
});
