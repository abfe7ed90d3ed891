/** Tools that change under a proxy that runs, through each door. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Event } from '../../src/event/vocabulary.ts';
import { startChangingServer } from '../support/changing-server.ts';
import { CLI, plainEnvironment, runCli, startCli } from '../support/cli.ts';
import { CHANGED, GOOD, pin, PROGRAM, scene, type PinsScene } from '../support/pins-scene.ts';

const TIMEOUT_MS = 240_000;
const TESTS_AT_ONCE = 3;

/** A client, and the records of what is in front of it. */
interface Door {
  readonly client: Client;
  readonly records: () => Promise<readonly Event[]>;
}

async function overHttp(t: TestContext, mode: string): Promise<Door & { calls: () => number } & PinsScene> {
  const made = scene();
  const server = await startChangingServer(made.file);
  t.after(server.close);
  return { ...made, ...(await serve(t, made, { mode, server: { url: server.url } })), calls: server.calls };
}

/** HTTP in front of a server that speaks over stdio. */
async function overBridge(t: TestContext, mode: string): Promise<Door & PinsScene> {
  const made = scene();
  const server = { command: process.execPath, args: [PROGRAM, 'description'] };
  return { ...made, ...(await serve(t, made, { mode, server })) };
}

async function serve(
  t: TestContext,
  made: PinsScene,
  { mode, server }: { readonly mode: string; readonly server: object },
): Promise<Door> {
  const { directory } = made;
  writeFileSync(
    join(directory, 'verdict.yaml'),
    'listen: 127.0.0.1:0\npolicy: [policy.yaml]\nidentity: {anonymous: allow}\nkeys: {directory: keys}\n' +
      `spool: {directory: spool}\npins: {mode: ${mode}}\nservers: {up: ${JSON.stringify(server)}}\n`,
  );
  await pin(made);
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

async function overStdio(t: TestContext, mode: string): Promise<Door & PinsScene> {
  const made = scene();
  const { directory, stdio } = made;
  await pin(made);
  const client = new Client({ name: 'test', version: '1' });
  const own = ['--policy', 'policy.yaml', '--spool', 'spool', '--keys-directory', 'keys', '--pin', mode];
  await client.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: [CLI, 'wrap', ...own, ...stdio],
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
  { timeout: TIMEOUT_MS, concurrency: TESTS_AT_ONCE },
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
