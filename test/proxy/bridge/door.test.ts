/** The door in front of a server over stdio: decided, recorded and bound to its caller like any other. */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { VerdictError } from '../../../src/errors.ts';
import type { HttpAuthenticator } from '../../../src/identity/authenticate.ts';
import {
  ALICE,
  answerTo,
  BOB,
  bridgeScene,
  call,
  FILES,
  initialize,
  lineOf,
  idIn,
  modern,
  progress,
  sampling,
} from '../../support/bridge-scene.ts';
import {
  open,
  scene,
  scriptedGate,
  send,
  streamReader,
  type ScriptedGate,
} from '../../support/http-scene.ts';
import { within } from '../../support/within.ts';

/** Who says that he is Bob is. */
const byName: HttpAuthenticator = ({ authorization }) => ({
  ok: true,
  identity: authorization[0] === 'Bearer bob' ? BOB : ALICE,
});

const MODERN = (method: string): string[] => ['Mcp-Protocol-Version', '2026-07-28', 'Mcp-Method', method];

const text = (message: object): string => JSON.stringify({ jsonrpc: '2.0', ...message });

async function doorScene(t: TestContext, gate: ScriptedGate = scriptedGate()) {
  const behind = bridgeScene(t);
  const { bridge } = behind;
  const { port, change } = await scene(t, { gate, bridge, authenticate: byName });
  change({ servers: new Map([['files', FILES]]) });
  const accept = ['Accept', 'application/json, text/event-stream'];
  const request = (message: object | string | undefined, headers: readonly string[] = []) => ({
    headers: [...accept, ...headers],
    ...(message === undefined ? {} : { body: typeof message === 'string' ? message : text(message) }),
  });
  return {
    ...behind,
    behind,
    gate,
    port,
    change,
    post: (message: object | string, headers?: readonly string[]) => send(port, request(message, headers)),
    opening: (message: object | undefined, headers?: readonly string[]) =>
      open(port, { ...request(message, headers), ...(message === undefined ? { method: 'GET' } : {}) }),
    async session(): Promise<readonly string[]> {
      const answer = send(port, request(initialize()));
      const server = await behind.server(0);
      await server.line('initialize');
      server.say(answerTo(0, { protocolVersion: '2025-11-25' }));
      return ['Mcp-Session-Id', String((await answer).headers['mcp-session-id'])];
    },
  };
}

describe('a call over HTTP to a server over stdio', () => {
  test('is decided as one that came by TCP for a server without an address, and its outcome is recorded', async (t) => {
    const { session, post, servers, gate } = await doorScene(t);
    const answer = post(call(1), await session());
    await servers[0]?.line('"id":1');
    servers[0]?.say(answerTo(1));
    assert.equal((await answer).status, 200);
    const { origin } = gate.decided[1] ?? assert.fail();
    assert.deepEqual([origin.server, origin.transport], [{ name: 'files' }, 'tcp']);
    assert.partialDeepStrictEqual(await gate.outcomeOf('tools/call'), { status: 'ok', httpStatus: 200 });
  });

  test('that policy refuses never reaches the process', async (t) => {
    const gate = scriptedGate((message) => message.method !== 'tools/call');
    const { session, post, servers } = await doorScene(t, gate);
    const headers = await session();
    assert.match((await post(call(1), headers)).body.toString(), /"isError":true/);
    assert.equal((await post({ method: 'notifications/initialized' }, headers)).status, 202);
    await servers[0]?.line('initialized');
    assert.equal(servers[0]?.got.length, 2);
  });

  test('whose process ends fails, for the record and for the client', async (t) => {
    const { session, post, servers, gate } = await doorScene(t);
    const answer = post(call(1), await session());
    await servers[0]?.line('"id":1');
    servers[0]?.exit(1);
    assert.match((await answer).body.toString(), /"id":1,"error":\{"code":-31502.*child_exit/);
    assert.partialDeepStrictEqual(await gate.outcomeOf('tools/call'), {
      status: 'transport_error',
      errorType: 'child_exit',
    });
  });

  test('whose connection breaks before the answer has the outcome that the resumed stream brings', async (t) => {
    const { session, opening, servers, gate } = await doorScene(t);
    const headers = await session();
    const broken = opening(call(1, { progressToken: 1 }), headers);
    await servers[0]?.line('"id":1');
    servers[0]?.say(progress(1));
    await streamReader(await broken)('"progress":1');
    (await broken).destroy();
    servers[0]?.say(answerTo(1, { isError: true }));
    const resumed = await opening(undefined, [...headers, 'Last-Event-ID', '2-1']);
    await within('the answer', streamReader(resumed)('"isError"'));
    assert.partialDeepStrictEqual(await gate.outcomeOf('tools/call'), { status: 'tool_error' });
  });

  test('of 2026-07-28 whose client goes is cancelled', async (t) => {
    const { opening, behind, gate } = await doorScene(t);
    const headers = [...MODERN('tools/call'), 'Mcp-Name', 'read'];
    const broken = opening(modern(1, 'tools/call', { progressToken: 1 }), headers);
    const id = idIn(await lineOf(behind, 0));
    const server = await behind.server(0);
    server.say(progress(id));
    (await broken).destroy();
    assert.match(await server.line('cancelled'), new RegExp(`"requestId":${id}`));
    assert.partialDeepStrictEqual(await gate.outcomeOf('tools/call'), { status: 'cancelled' });
  });
});

describe('what a server over stdio asks of a client', () => {
  test('is refused to the server where policy says so, and the client never sees it', async (t) => {
    const gate = scriptedGate((message) => message.method !== 'sampling/createMessage');
    const { session, post, servers } = await doorScene(t, gate);
    const headers = await session();
    const answer = post(call(1), headers);
    await servers[0]?.line('"id":1');
    servers[0]?.say(sampling('s'));
    assert.match((await servers[0]?.line('"id":"s"')) ?? '', /"error".*Denied/);
    servers[0]?.say(answerTo(1));
    assert.doesNotMatch((await answer).body.toString(), /sampling/);
  });

  test('is answered by the client that was asked, once, and by nobody else', async (t) => {
    const { session, post, servers, gate } = await doorScene(t);
    const headers = await session();
    const answer = post(call(1), headers);
    await servers[0]?.line('"id":1');
    servers[0]?.say(sampling('s'));
    await within(
      'a decision',
      until(() => gate.decided.length > 2),
    );
    const response = { id: 's', result: { model: 'm' } };
    assert.equal((await post(response, [...headers, 'Authorization', 'Bearer bob'])).status, 404);
    assert.equal((await post(response, headers)).status, 202);
    assert.equal((await post(response, headers)).status, 202);
    await servers[0]?.line('"model"');
    servers[0]?.say(answerTo(1));
    await answer;
    assert.equal(servers[0]?.got.filter((line) => line.includes('"model"')).length, 1);
    assert.partialDeepStrictEqual(gate.rejected.at(-1), { code: 'response_unasked' });
  });
});

describe('what is started', () => {
  test('is what the configuration says, whatever a request says', async (t) => {
    const { port, post, commands, failStarts } = await doorScene(t);
    const evil = { command: 'evil', args: ['-c', 'evil'], env: { NODE_OPTIONS: 'evil' }, cwd: '/evil' };
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'a' } };
    const begin = { id: 0, method: 'initialize', params: { ...params, ...evil, _meta: evil } };
    const headers = Object.entries(evil).flatMap(([name, value]) => [
      `Mcp-Param-${name}`,
      JSON.stringify(value),
    ]);
    const paths = ['/files/mcp?command=evil&args=evil', '/evil/mcp', '/files/mcp/../../evil', '/%66iles/mcp'];
    const accept = ['Accept', '*/*'];
    failStarts(new VerdictError('command_failed'));
    const asked = [
      ...paths.map((path) => send(port, { path, headers: [...accept, ...headers], body: text(begin) })),
      post({ ...begin, ...evil }, headers),
      post({ ...modern(1), ...evil }, headers),
      post(modern('evil', 'server/discover', evil), MODERN('server/discover')),
    ];
    await within('all answers', Promise.all(asked));
    assert.deepEqual(commands, [FILES.command, FILES.command]);
  });
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}
