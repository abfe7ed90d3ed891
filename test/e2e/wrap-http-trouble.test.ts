/** `wrap` in front of a server over HTTP that dies, forgets, refuses or is not there; and how it ends itself. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test, type TestContext } from 'node:test';
import { Client as ModernClient } from '@modelcontextprotocol/client';
import { StdioClientTransport as ModernStdio } from '@modelcontextprotocol/client/stdio';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { CLI, runCli, startCommand, type Running } from '../support/cli.ts';
import { freePort } from '../support/free-port.ts';
import { startWrapScene, EVERYTHING, FIXTURE, SELF, type WrapScene } from '../support/wrap-scene.ts';

let scene: WrapScene;
before(async () => {
  scene = await startWrapScene();
});
after(() => scene.close());

describe('a call of 2026-07-28 behind wrap', () => {
  test('has its arguments in the headers that the tool wants them in, once the tools are listed', async (t) => {
    const { client } = await modernFixture(t);
    await client.listTools();
    const result = await client.callTool({ name: 'test_x_mcp_header', arguments: { region: 'Zürich' } });
    assert.notEqual(result.isError, true);
  });

  test('a subscription lasts until it is closed', async (t) => {
    const { client } = await modernFixture(t);
    const changed = Promise.withResolvers<void>();
    client.setNotificationHandler('notifications/tools/list_changed', () => changed.resolve());
    const subscription = await client.listen({ toolsListChanged: true });
    await client.callTool({ name: 'test_trigger_tool_change', arguments: {} });
    await changed.promise;
    await subscription.close();
    await client.listTools();
  });
});

async function modernFixture(
  t: TestContext,
): Promise<{ readonly client: ModernClient; readonly server: Running }> {
  const server = startCommand(process.execPath, [FIXTURE]);
  t.after(() => server.stop('SIGKILL'));
  const [, url = ''] = await server.waitFor(/fixture at (\S+)/);
  const client = new ModernClient(SELF, { versionNegotiation: { mode: { pin: '2026-07-28' } } });
  await client.connect(new ModernStdio(scene.command(url)));
  t.after(() => client.close());
  return { client, server };
}

describe('a server behind wrap that', () => {
  test('dies in the middle of a call: the call has an error, and so has what comes after', async (t) => {
    const { client, server } = await modernFixture(t);
    const params = { name: 'waits_to_be_cancelled', arguments: {} };
    const call = client.callTool(params, { onprogress: () => void server.child.kill('SIGKILL') });
    await assert.rejects(call, /The server up broke off its answer: connection lost/);
    const next = client.callTool({ name: 'test_simple_text', arguments: {} });
    await assert.rejects(next, /The server up cannot be reached: nothing listens there \(ECONNREFUSED\)/);
  });

  test('forgets its sessions when it is started anew: the client is told to connect again', async (t) => {
    const port = await freePort();
    const options = { env: { PORT: String(port) } };
    const first = startCommand(process.execPath, [EVERYTHING, 'streamableHttp'], options);
    t.after(() => first.stop('SIGKILL'));
    await first.waitFor(/listening on port/);
    const client = new Client(SELF);
    await client.connect(new StdioClientTransport(scene.command(`http://127.0.0.1:${port}/mcp`)));
    t.after(() => client.close());
    const echo = () => client.callTool({ name: 'echo', arguments: { message: 'm' } });
    await echo();
    await first.stop('SIGKILL');
    const second = startCommand(process.execPath, [EVERYTHING, 'streamableHttp'], options);
    t.after(() => second.stop('SIGKILL'));
    await second.waitFor(/listening on port/);
    // This one answers 400 to a session that it does not know, in words of its own.
    await assert.rejects(echo(), /No valid session ID provided/);
  });

  test('wants credentials gets those of the environment, and no word of ours tells them', async (t) => {
    const seen: (string | undefined)[] = [];
    const url = await serving(t, (request) => {
      seen.push(request.headers.authorization);
      return request.headers.authorization === 'Bearer s3cret-token' ? 405 : 401;
    });
    const more = ['--log-level', 'debug', '--header', 'authorization: Bearer ${env:UP_TOKEN}'];
    const input = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{}}}\n';
    const right = await runCli(scene.args(url, ...more), {
      input,
      env: { ...scene.env(), UP_TOKEN: 's3cret-token' },
    });
    assert.match(right.stdout, /answered 405/);
    const wrong = await runCli(scene.args(url, ...more), {
      input,
      env: { ...scene.env(), UP_TOKEN: 's3cret-other' },
    });
    assert.match(wrong.stdout, /answered 401 Unauthorized: it does not accept the credentials/);
    assert.deepEqual(seen, ['Bearer s3cret-token', 'Bearer s3cret-other']);
    for (const { code, stdout, stderr } of [right, wrong]) {
      assert.equal(code, 0);
      assert.doesNotMatch(stdout + stderr, /s3cret/);
    }
    assert.doesNotMatch(JSON.stringify(scene.receiver.logs()), /s3cret/);
  });

  test('was never there: the client is told, and the exit code is 4', async () => {
    const input = '{"jsonrpc":"2.0","id":1,"method":"ping"}\n';
    const url = `http://127.0.0.1:${await freePort()}/mcp`;
    const { code, stdout } = await runCli(scene.args(url), { input, env: scene.env() });
    assert.match(stdout, /^\{"jsonrpc":"2.0","id":1,"error":.*cannot be reached/);
    assert.equal(code, 4);
  });
});

test('on SIGTERM wrap ends the session and itself, with what waits told', async (t) => {
  const server = startCommand(process.execPath, [FIXTURE]);
  t.after(() => server.stop('SIGKILL'));
  const [, url = ''] = await server.waitFor(/fixture at (\S+)/);
  const wrap = startCommand(process.execPath, [CLI, ...scene.args(url)], { env: scene.env() });
  t.after(() => wrap.stop('SIGKILL'));
  const say = (message: object): void => {
    wrap.child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  };
  const clientInfo = SELF;
  say({
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo },
  });
  await wrap.waitFor(/"id":1/);
  say({ method: 'notifications/initialized' });
  const _meta = { progressToken: 'p' };
  say({ id: 2, method: 'tools/call', params: { name: 'waits_to_be_cancelled', arguments: {}, _meta } });
  await wrap.waitFor(/"progress":1/);
  wrap.child.kill('SIGTERM');
  // What waits is given some time, as a child is; the second signal says that there is none.
  wrap.child.stdin.end();
  wrap.child.kill('SIGTERM');
  const { code } = await wrap.ended;
  assert.equal(code, 0);
  assert.match(wrap.stdout(), /"id":2,"error".*tools\/call had none yet when mcp-verdict was told to stop/);
});

/** A server that answers each POST with a status. */
async function serving(
  t: TestContext,
  status: (request: { readonly headers: { readonly authorization?: string | undefined } }) => number,
): Promise<string> {
  const server: Server = createServer((request, response) => {
    request.resume();
    response.writeHead(status(request)).end();
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  // A server that listens on TCP has an AddressInfo.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
}
