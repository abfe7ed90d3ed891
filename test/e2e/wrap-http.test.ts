/**
 * `wrap` in front of servers that are reached over HTTP, with what people have: the official SDKs' clients, which can
 * only start commands here, server-everything, and a server of both eras.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client as ModernClient, type ClientOptions } from '@modelcontextprotocol/client';
import { StdioClientTransport as ModernStdio } from '@modelcontextprotocol/client/stdio';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { CreateMessageRequestSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { startCommand, type Running } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { startWrapScene, EVERYTHING, FIXTURE, SELF, type WrapScene } from '../support/wrap-scene.ts';

let scene: WrapScene;
before(async () => {
  scene = await startWrapScene();
});
after(() => scene.close());

const texts = (result: object): string => JSON.stringify('content' in result ? result.content : result);

const cancelledCalls = (): number =>
  scene
    .recordsOf('waits_to_be_cancelled')
    .filter(({ outcome }) => outcome?.['verdict.outcome.status'] === 'cancelled').length;

describe('server-everything behind wrap, with the client of SDK 1.32', () => {
  let server: Running;
  let port: number;
  let client: Client;
  let transport: StdioClientTransport;
  before(async () => {
    port = await freePort();
    server = startCommand(process.execPath, [EVERYTHING, 'streamableHttp'], { env: { PORT: String(port) } });
    await server.waitFor(/listening on port/);
    transport = new StdioClientTransport(scene.command(`http://127.0.0.1:${port}/mcp`));
    client = new Client(SELF, {
      capabilities: { sampling: {}, elicitation: {}, roots: { listChanged: true } },
    });
    client.setRequestHandler(CreateMessageRequestSchema, async () => ({
      role: 'assistant' as const,
      content: { type: 'text' as const, text: 'forty-two' },
      model: 'none',
    }));
    client.setRequestHandler(ElicitRequestSchema, async () => ({ action: 'decline' as const }));
    await client.connect(transport);
  });
  after(async () => {
    await client.close();
    await server.stop('SIGKILL');
  });

  test('calls are made, with progress, and the server asks the client back on its own stream and on the call’s', async () => {
    const { tools } = await client.listTools();
    assert.ok(tools.some(({ name }) => name === 'echo'));
    assert.match(texts(await client.callTool({ name: 'echo', arguments: { message: 'grüezi' } })), /grüezi/);
    const progress: number[] = [];
    const long = { name: 'trigger-long-running-operation', arguments: { duration: 0.3, steps: 3 } };
    await client.callTool(long, undefined, { onprogress: ({ progress: at }) => progress.push(at) });
    // The last one can come with the answer, and then this SDK keeps it to itself.
    assert.deepEqual(progress.slice(0, 2), [1, 2]);
    const sampled = await client.callTool({ name: 'trigger-sampling-request', arguments: { prompt: 'p' } });
    assert.match(texts(sampled), /forty-two/);
    assert.match(
      texts(await client.callTool({ name: 'trigger-elicitation-request', arguments: {} })),
      /declined/,
    );
  });

  test('what policy denies is denied, and does not reach the server', async () => {
    const result = await client.callTool({ name: 'get-env', arguments: {} });
    assert.equal(result.isError, true);
    assert.match(texts(result), /Denied by policy/);
  });

  test('a call that is cancelled is cancelled', async () => {
    const cancelling = new AbortController();
    const long = { name: 'trigger-long-running-operation', arguments: { duration: 30, steps: 300 } };
    const call = client.callTool(long, undefined, {
      signal: cancelling.signal,
      onprogress: () => cancelling.abort(),
    });
    await assert.rejects(call);
    // The connection lives.
    assert.match(texts(await client.callTool({ name: 'echo', arguments: { message: 'after' } })), /after/);
  });

  test('at the end the session is ended, and all is recorded: from a pipe, to an address, with its status', async () => {
    await client.close();
    await server.waitFor(/session termination request/i);
    const whole = (): boolean => {
      const [echo] = scene.recordsOf('echo');
      return echo?.outcome !== undefined && scene.recordsOf('get-env').length === 1;
    };
    await eventually('the records', whole);
    const [{ decision, outcome } = { decision: {}, outcome: {} }] = scene.recordsOf('echo');
    assert.partialDeepStrictEqual(decision, {
      'verdict.server.name': 'up',
      'network.transport': 'pipe',
      'server.address': '127.0.0.1',
      'server.port': port,
      'mcp.protocol.version': '2025-11-25',
      'verdict.decision.effect': 'allow',
    });
    assert.match(String(decision['mcp.session.id']), /^\w+/);
    assert.partialDeepStrictEqual(outcome, {
      'verdict.outcome.status': 'ok',
      'http.response.status_code': 200,
    });
    const methods = scene.receiver.logs().map(({ attributes }) => attributes['mcp.method.name']);
    for (const method of [
      'transport/stream',
      'transport/delete',
      'sampling/createMessage',
      'elicitation/create',
    ])
      assert.ok(methods.includes(method), method);
  });
});

const MODES: readonly (readonly [string, ClientOptions['versionNegotiation'], string])[] = [
  ['legacy', undefined, 'legacy'],
  ['auto', { mode: 'auto' }, 'modern'],
  ['pinned', { mode: { pin: '2026-07-28' } }, 'modern'],
];
for (const [title, versionNegotiation, era] of MODES) {
  describe(`a server of both eras behind wrap, with the client of SDK 2.4 (${title})`, () => {
    let server: Running;
    let client: ModernClient;
    before(async () => {
      server = startCommand(process.execPath, [FIXTURE]);
      const [, url = ''] = await server.waitFor(/fixture at (\S+)/);
      client = new ModernClient(SELF, {
        capabilities: { sampling: {}, elicitation: {}, roots: {} },
        ...(versionNegotiation === undefined ? {} : { versionNegotiation }),
      });
      client.setRequestHandler('elicitation/create', async () => ({
        action: 'accept' as const,
        content: { name: 'Ada', response: 'yes' },
      }));
      client.setRequestHandler('sampling/createMessage', async () => ({
        role: 'assistant' as const,
        content: { type: 'text' as const, text: 'Paris' },
        model: 'none',
      }));
      await client.connect(new ModernStdio(scene.command(url)));
    });
    after(async () => {
      await client.close();
      await server.stop('SIGKILL');
    });
    const call = async (name: string, args: Record<string, unknown> = {}) =>
      texts(await client.callTool({ name, arguments: args }));

    test('the era is the one that was asked for, and calls are made, with progress', async () => {
      assert.equal(client.getProtocolEra(), era);
      await client.listTools();
      const progress: number[] = [];
      const params = { name: 'test_tool_with_progress', arguments: {} };
      await client.callTool(params, { onprogress: ({ progress: at }) => progress.push(at) });
      assert.deepEqual(progress, [0, 50, 100]);
    });

    test('the server asks the client back, in the way of its era', async () => {
      if (era === 'modern') {
        assert.match(await call('test_input_required_result_elicitation'), /Hello, Ada!/);
        assert.match(await call('test_input_required_result_sampling'), /Paris/);
        return;
      }
      assert.match(await call('test_elicitation', { message: 'm' }), /action=accept/);
      assert.match(await call('test_sampling', { prompt: 'p' }), /Paris/);
      // The server ends the stream, and the answer is fetched.
      assert.match(await call('test_reconnection'), /has come back for it/);
    });

    test('a call that is cancelled is over, and recorded as that', async () => {
      const before = cancelledCalls();
      const cancelling = new AbortController();
      const params = { name: 'waits_to_be_cancelled', arguments: {} };
      const { signal } = cancelling;
      await assert.rejects(client.callTool(params, { signal, onprogress: () => cancelling.abort() }));
      await client.close();
      await eventually('a record of it', () => cancelledCalls() > before);
    });
  });
}
