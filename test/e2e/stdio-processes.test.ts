/** The processes that `serve` starts: as many as it may, for as long as somebody uses them, and none left behind. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { runCli } from '../support/cli.ts';
import { open, send, streamReader, type ClientRequest } from '../support/http-scene.ts';
import { call, SCRIPTED_SERVER, watchPresence } from '../support/stdio-fixtures.ts';
import {
  packaged,
  startStdioServe,
  type StdioServeOptions,
  type StdioServer,
} from '../support/stdio-serve-scene.ts';

const TIMEOUT_MS = 60_000;

const ENVELOPE = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};

async function processScene(t: TestContext, options: Partial<StdioServeOptions> = {}) {
  const presence = await watchPresence();
  t.after(() => presence.close());
  const scripted = (name: string, env: Readonly<Record<string, string>> = {}): StdioServer => ({
    command: process.execPath,
    args: [SCRIPTED_SERVER],
    env: { SCRIPT_PRESENCE: presence.port, SCRIPT_NAME: name, ...env },
  });
  const servers = {
    good: scripted('good'),
    other: scripted('other'),
    stubborn: scripted('stubborn', { SCRIPT_STUBBORN: '1' }),
    everything: packaged('everything', 'stdio'),
    missing: { command: 'no-such-program-anywhere' },
  };
  const scene = await startStdioServe({ servers, ...options });
  t.after(() => scene.close());
  const port = Number(scene.url('good').port);
  const request = (server: string, message: object, headers: readonly string[] = []): ClientRequest => ({
    path: `/${server}/mcp`,
    headers: ['Accept', 'application/json, text/event-stream', ...headers],
    body: JSON.stringify({ jsonrpc: '2.0', ...message }),
  });
  const post = (server: string, message: object, headers: readonly string[] = []) =>
    send(port, request(server, message, headers));
  const initialize = {
    id: 0,
    method: 'initialize',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'e2e', version: '1' } },
  };
  return {
    ...scene,
    presence,
    post,
    /** Gives the answer as soon as its head is there. */
    opening: (server: string, message: object, headers: readonly string[]) =>
      open(port, request(server, message, headers)),
    begun: () => post('good', initialize),
    /** @returns the headers of a session */
    async session(server: string): Promise<readonly string[]> {
      const { headers, body } = await post(server, initialize);
      assert.ok(headers['mcp-session-id'] !== undefined, body.toString());
      return ['Mcp-Session-Id', String(headers['mcp-session-id'])];
    },
    /** Opens the stream of a session, so that it is used. */
    listen: (server: string, headers: readonly string[]) =>
      open(port, { ...request(server, {}, headers), method: 'GET', body: undefined }),
    modern: (server: string) =>
      post(
        server,
        { id: 1, method: 'tools/call', params: { name: 'echo', arguments: {}, _meta: ENVELOPE } },
        ['Mcp-Protocol-Version', '2026-07-28', 'Mcp-Method', 'tools/call', 'Mcp-Name', 'echo'],
      ),
  };
}

test(
  'SIGTERM ends all of them, those that do not obey and those that they have started included',
  { timeout: TIMEOUT_MS },
  async (t) => {
    const { proxy, session, modern, post, presence, listen } = await processScene(t);
    await post('good', call(1, 'breed'), await session('good'));
    await listen('stubborn', await session('stubborn'));
    await modern('other');
    for (const name of ['good', 'grandchild', 'stubborn', 'other']) await presence.arrived(name);
    assert.deepEqual(await proxy.stop(), { code: 0, signal: null });
    for (const name of ['good', 'grandchild', 'stubborn', 'other']) await presence.gone(name);
  },
);

test(
  'a call that is under way when SIGTERM comes is answered before its process ends',
  { timeout: TIMEOUT_MS },
  async (t) => {
    const { proxy, session, opening } = await processScene(t);
    const params = { name: 'trigger-long-running-operation', arguments: { duration: 1, steps: 4 } };
    const message = { id: 1, method: 'tools/call', params: { ...params, _meta: { progressToken: 1 } } };
    const read = streamReader(await opening('everything', message, await session('everything')));
    await read('"progress":1');
    const stopped = proxy.stop();
    await read('Long running operation completed');
    assert.equal((await stopped).code, 0);
  },
);

test(
  'the kill switch of a server ends its processes, of both eras, and no others; lifted, there are new ones',
  { timeout: TIMEOUT_MS },
  async (t) => {
    const { proxy, directory, session, listen, modern, presence, post } = await processScene(t);
    const kill = async (...args: readonly string[]): Promise<void> => {
      const { code, stderr } = await runCli(['kill', ...args, '--file', 'kill.json'], { cwd: directory });
      assert.equal(code, 0, stderr);
    };
    await listen('stubborn', await session('stubborn'));
    await modern('other');
    const good = await session('good');
    for (const name of ['stubborn', 'other', 'good']) await presence.arrived(name);
    await kill('--server', 'stubborn', '--server', 'other');
    await presence.gone('stubborn');
    await presence.gone('other');
    assert.equal((await post('good', call(1, 'echo', { text: 'still here' }), good)).status, 200);
    assert.match((await modern('other')).body.toString(), /kill switch/);
    await kill('lift', '--server', 'other');
    await proxy.waitFor(/the kill switch is lifted for the server other/);
    assert.match((await modern('other')).body.toString(), /"result"/);
  },
);

test('a second signal ends us at once, and none of them stays', { timeout: TIMEOUT_MS }, async (t) => {
  const { proxy, session, post, presence } = await processScene(t);
  void post('stubborn', call(1, 'hang'), await session('stubborn')).catch(() => undefined);
  await presence.arrived('stubborn');
  proxy.child.kill('SIGTERM');
  await proxy.waitFor(/info stopping/);
  proxy.child.kill('SIGTERM');
  assert.equal((await proxy.ended).code, 1);
  await presence.gone('stubborn');
});

test('SIGKILL closes their stdin, and those that heed that end', { timeout: TIMEOUT_MS }, async (t) => {
  const { proxy, session, presence } = await processScene(t);
  await session('good');
  await presence.arrived('good');
  await proxy.stop('SIGKILL');
  await presence.gone('good');
});

test(
  'the end of a session ends its process, and so does the end of a process its session',
  { timeout: TIMEOUT_MS },
  async (t) => {
    const { session, post, presence, listen, proxy } = await processScene(t);
    const headers = await session('good');
    const broken = await post('good', call(1, 'exit', { code: '7' }), headers);
    assert.match(broken.body.toString(), /"id":1,"error":\{"code":-31502.*child_exit/);
    assert.equal((await post('good', call(2, 'echo'), headers)).status, 404);
    await proxy.waitFor(/server good: its process exited with code 7/);
    const again = await session('good');
    assert.equal((await post('good', call(2, 'echo', { text: 'back' }), again)).status, 200);
    const stubborn = await session('stubborn');
    const stream = await listen('stubborn', stubborn);
    const ended = new Promise((resolve) => stream.on('close', resolve));
    stream.resume();
    const port = Number(stream.socket.remotePort);
    const headersOfEnd = ['Accept', '*/*', ...stubborn];
    assert.equal(
      (await send(port, { method: 'DELETE', path: '/stubborn/mcp', headers: headersOfEnd })).status,
      200,
    );
    await ended;
    await presence.gone('stubborn');
  },
);

test(
  'a command that is not there fails the call, on record and for the client',
  { timeout: TIMEOUT_MS },
  async (t) => {
    const { post, proxy } = await processScene(t);
    const answer = await post('missing', {
      id: 5,
      method: 'initialize',
      params: { protocolVersion: '2025-06-18' },
    });
    assert.match(
      answer.body.toString(),
      /"id":5,"error":\{"code":-31502,.*missing cannot be reached: ENOENT/,
    );
    await proxy.waitFor(/server missing: The command no-such-program-anywhere cannot be started/);
  },
);

test(
  'what they write to stderr is ours to show, in the name of their server',
  { timeout: TIMEOUT_MS },
  async (t) => {
    const { session, post, proxy } = await processScene(t);
    await post('good', call(1, 'noise'), await session('good'));
    await proxy.waitFor(/^mcp-verdict info good: a word on stderr$/m);
    await proxy.waitFor(/server good: it wrote to its stdout what is no message: Listening on stdio!/);
  },
);

test(
  'beyond the limits there are none: idle ones make room, used ones do not',
  { timeout: TIMEOUT_MS },
  async (t) => {
    const limits = { children_per_caller: 2, children_per_server: 2, children: 3 };
    const { session, listen, post, presence, begun } = await processScene(t, { limits });
    const [first, second] = [await session('good'), await session('good')];
    await listen('good', first);
    const third = await session('good');
    assert.equal((await post('good', call(1, 'echo'), second)).status, 404);
    await listen('good', third);
    assert.match((await begun()).body.toString(), /cannot be reached: callerChildrenMax/);
    await session('other');
    // The third of three is idle, and goes.
    await session('stubborn');
    await presence.gone('other');
  },
);

test('nobody uses it for as long as it may be idle: it ends', { timeout: TIMEOUT_MS }, async (t) => {
  const { session, modern, presence, listen } = await processScene(t, { limits: { child_idle: '1s' } });
  await session('good');
  await modern('other');
  await listen('stubborn', await session('stubborn'));
  await presence.gone('good');
  await presence.gone('other');
  await presence.arrived('stubborn');
});
