/** The verb that pins tools, in front of real servers. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  Client,
  StreamableHTTPClientTransport,
  type VersionNegotiationOptions,
} from '@modelcontextprotocol/client';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { readLock } from '../../src/service/pins.ts';
import { startChangingServer } from '../support/changing-server.ts';
import { ROOT, runCli, startCli } from '../support/cli.ts';
import { createFetchServer } from '../support/fetch-server.ts';
import { CHANGED, GOOD, scene } from '../support/pins-scene.ts';

const TIMEOUT_MS = 240_000;
const TESTS_AT_ONCE = 3;

describe('tools lock and tools check', { timeout: TIMEOUT_MS, concurrency: TESTS_AT_ONCE }, () => {
  test('pin what a server lists, find nothing else after, and tell what has changed by where it stands', async () => {
    const { directory, describeAs, tools, stdio } = scene();
    const locked = await runCli(['tools', 'lock', ...stdio], { cwd: directory });
    assert.equal(locked.code, 0, locked.stderr);
    assert.match(
      locked.stdout,
      /^up: 2 tools, asked in MCP 2025-11-25\n\+ up\/add\n {4}\/description: added "Adds two/,
    );
    assert.match(locked.stdout, /\ntools\.lock\.json: written, 2 added\n$/);
    const before = readFileSync(join(directory, 'tools.lock.json'), 'utf8');
    const same = await tools('check', ...stdio);
    assert.deepEqual([same.code, same.stdout.endsWith('tools.lock.json: nothing has changed\n')], [0, true]);
    describeAs(`${CHANGED}\u202e`);
    writeFileSync(join(directory, 'description.new'), '');
    const changed = await runCli(['tools', 'check', ...stdio], { cwd: directory });
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
    const json = await tools('check', '--json', ...stdio);
    const { changes } = JSON.parse(json.stdout) as { changes: readonly { tool: string; kind: string }[] };
    assert.deepEqual(
      changes.map(({ tool, kind }) => [tool, kind]),
      [
        ['add', 'changed'],
        ['new', 'added'],
      ],
    );
    assert.equal((await tools('lock', ...stdio)).code, 0);
    assert.equal((await tools('check', ...stdio)).code, 0);
    rmSync(join(directory, 'description.new'));
    assert.match((await tools('check', ...stdio)).stdout, /\n- up\/new\n/);
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
      const client = new Client({ name: 'test', version: '1' }, { versionNegotiation });
      await client.connect(new StreamableHTTPClientTransport(new URL(url)));
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
    const { directory, stdio } = scene();
    writeFileSync(
      join(directory, 'verdict.yaml'),
      'policy: [policy.yaml]\nidentity: {anonymous: allow}\nservers: {up: {url: "http://127.0.0.1:9/mcp", pin: strict}}\n',
    );
    for (const args of [
      ['serve', '--config', 'verdict.yaml'],
      ['wrap', '--policy', 'policy.yaml', '--pin', 'strict', ...stdio],
    ]) {
      const { code, stderr } = await runCli(args, { cwd: directory });
      assert.equal(code, 3, args.join(' '));
      assert.match(stderr, /no such file\.\nTools are pinned with: mcp-verdict tools lock/);
    }
  });
});
