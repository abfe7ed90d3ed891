/** What is open over HTTP when the kill switch is thrown. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import type { HttpAuthenticator } from '../../../src/identity/authenticate.ts';
import {
  answerJson,
  callTool,
  open,
  scene,
  scriptedGate,
  send,
  startEvents,
  streamReader,
  type Received,
} from '../../support/http-scene.ts';
import { handSwitch } from '../../support/switch.ts';
import { within } from '../../support/within.ts';

/** A caller is whoever its Authorization header names. */
const named: HttpAuthenticator = ({ authorization }) => ({
  ok: true,
  identity: { source: 'api_key', user: authorization[0] ?? 'alice' },
});

interface Held {
  readonly response: ServerResponse;
  readonly gone: Promise<unknown>;
}

/** Calls that the upstream holds until it is told; all else it answers at once. */
async function holding(t: TestContext, answer: 'json' | 'events' = 'json') {
  const killSwitch = handSwitch();
  const gate = scriptedGate(undefined, { killSwitch });
  const waiting: ((held: Held) => void)[] = [];
  const opened = await scene(t, {
    gate,
    authenticate: named,
    upstream(_: IncomingMessage, response, { body }: Received) {
      const method = body.length === 0 ? 'GET' : (JSON.parse(body.toString()) as { method?: string }).method;
      if (method !== 'tools/call' && method !== 'GET') {
        response.writeHead(202).end();
        return;
      }
      if (answer === 'events' || method === 'GET') startEvents(response);
      waiting.shift()?.({ response, gone: once(response, 'close') });
    },
  });
  /** Resolves when the next call has reached the upstream. */
  const held = (): Promise<Held> =>
    within('a call at the upstream', new Promise((resolve) => waiting.push(resolve)));
  return { ...opened, killSwitch, held };
}

const KILLED = { status: 'cancelled', errorType: 'killed' };

describe('a call in flight', () => {
  test('ends with an error that says why, at the client and at the upstream', async (t) => {
    const { port, killSwitch, held, gate } = await holding(t);
    const reached = held();
    const answer = send(port, { body: callTool(7) });
    const { gone } = await reached;
    killSwitch.set({ scope: 'user', id: 'alice', reason: 'stolen laptop' });
    const { status, body } = await answer;
    assert.equal(status, 200);
    const { id, error } = JSON.parse(body.toString()) as {
      id: number;
      error: { code: number; message: string };
    };
    assert.deepEqual([id, error.code], [7, -31403]);
    assert.match(error.message, /^The kill switch is thrown for the user alice: stolen laptop\./);
    await within('the end at the upstream', gone);
    assert.partialDeepStrictEqual(gate.settled, [KILLED]);
  });

  test('whose answer streams ends with that error as its last event', async (t) => {
    const { port, killSwitch, held, gate } = await holding(t, 'events');
    const reached = held();
    const stream = await open(port, { body: callTool(7) });
    await reached;
    killSwitch.set({ scope: 'server', id: 'files' });
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    assert.match(
      Buffer.concat(chunks).toString(),
      /^event: message\ndata: \{"jsonrpc":"2\.0","id":7,"error":\{.*\}\n\n$/,
    );
    assert.partialDeepStrictEqual(gate.settled, [KILLED]);
  });

  test('is told so also by a client that reads its answer late', async (t) => {
    const { port, killSwitch, held } = await holding(t, 'events');
    const reached = held();
    const stream = await open(port, { body: callTool(7) });
    const { response, gone } = await reached;
    const event = `data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":"${'x'.repeat(65_536)}"}}\n\n`;
    // Until nothing goes through any more, however large the buffers on the way are.
    for (let moved = true; moved;) {
      moved = response.write(event);
      response.once('drain', () => (moved = true));
      for (let turn = 0; turn < 100 && !moved; turn += 1)
        await new Promise((resolve) => setImmediate(resolve));
    }
    killSwitch.set({ scope: 'all' });
    await within('the end at the upstream', gone);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    assert.match(Buffer.concat(chunks).toString().slice(-400), /"error":\{"code":-31403/);
  });

  test('of a legacy session is cancelled at the upstream, which would go on else', async (t) => {
    const { port, killSwitch, held, received } = await holding(t);
    const reached = held();
    const answer = send(port, {
      body: callTool('x'),
      headers: ['Mcp-Session-Id', 's1', 'MCP-Protocol-Version', '2025-11-25'],
    });
    await reached;
    killSwitch.set({ scope: 'all' });
    await answer;
    while (received.length < 2) await new Promise((resolve) => setImmediate(resolve));
    const { headers, body } = received[1] ?? assert.fail();
    assert.deepEqual([headers['mcp-session-id'], headers['mcp-protocol-version']], ['s1', '2025-11-25']);
    assert.deepEqual(JSON.parse(body.toString()), {
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: 'x', reason: 'stopped by an operator' },
    });
  });

  test('whose client waits for its answer on another stream is cancelled too', async (t) => {
    const { port, killSwitch, held, gate, received } = await holding(t, 'events');
    const reached = held();
    const session = ['Mcp-Session-Id', 's1'];
    const stream = await open(port, { body: callTool(7), headers: session });
    const { response, gone } = await reached;
    response.write('id: 1\ndata:\n\n');
    await streamReader(stream)('id: 1');
    stream.destroy();
    await within('the end at the upstream', gone);
    while (gate.settled.length === 0 && received.length < 2) {
      killSwitch.set({ scope: 'user', id: 'alice' });
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.partialDeepStrictEqual(gate.settled, [KILLED]);
    while (received.length < 2) await new Promise((resolve) => setImmediate(resolve));
    assert.match(received[1]?.body.toString() ?? '', /notifications\/cancelled.*"requestId":7/);
  });

  test('of somebody else goes on', async (t) => {
    const { port, killSwitch, held, gate } = await holding(t);
    const first = held();
    const alice = send(port, { body: callTool(1) });
    await first;
    const second = held();
    const bob = send(port, { body: callTool(2), headers: ['Authorization', 'bob'] });
    const { response } = await second;
    killSwitch.set({ scope: 'user', id: 'alice' });
    await alice;
    answerJson(response, { jsonrpc: '2.0', id: 2, result: {} });
    assert.match((await bob).body.toString(), /"result"/);
    assert.deepEqual(
      gate.settled.map(({ status }) => status),
      ['cancelled', 'ok'],
    );
  });

  test('that is still being decided never reaches the upstream', async (t) => {
    const killSwitch = handSwitch();
    const decided = Promise.withResolvers<boolean>();
    const asked = Promise.withResolvers<void>();
    const gate = scriptedGate(
      () => {
        asked.resolve();
        return decided.promise;
      },
      { killSwitch },
    );
    const { port, received } = await scene(t, { gate, authenticate: named });
    const answer = send(port, { body: callTool(1) });
    await asked.promise;
    killSwitch.set({ scope: 'all' });
    decided.resolve(true);
    assert.match((await answer).body.toString(), /kill switch/);
    assert.deepEqual(received, []);
    assert.partialDeepStrictEqual(gate.settled, [KILLED]);
  });
});

test('a stream ends in good order', async (t) => {
  const { port, killSwitch, held } = await holding(t);
  const reached = held();
  const stream = await open(port, { method: 'GET' });
  const { gone } = await reached;
  killSwitch.set({ scope: 'all' });
  for await (const chunk of stream) assert.fail(String(chunk));
  await within('the end at the upstream', gone);
});

test('what a client answers to a server goes nowhere, and what the server waits for is settled', async (t) => {
  const { port, killSwitch, held, gate, received } = await holding(t, 'events');
  const session = ['Mcp-Session-Id', 's1'];
  const reached = held();
  const stream = await open(port, { method: 'GET', headers: session });
  const { response } = await reached;
  response.write(
    'data: {"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}\n\n',
  );
  await streamReader(stream)('sampling/createMessage');
  killSwitch.set({ scope: 'user', id: 'alice' });
  assert.partialDeepStrictEqual(await gate.outcomeOf('sampling/createMessage'), KILLED);
  const body = JSON.stringify({ jsonrpc: '2.0', id: 'q', result: {} });
  const before = received.length;
  const answer = await send(port, { body, headers: session });
  assert.equal(answer.status, 403);
  assert.equal(received.length, before);
  assert.partialDeepStrictEqual(gate.rejected, [
    { reason: 'killed', direction: 'to_upstream', id: { text: 'q' } },
  ]);
});

test('a door that has closed hears no more of it', async (t) => {
  const { door, killSwitch } = await holding(t);
  assert.equal(killSwitch.listeners(), 1);
  await door.close(0);
  assert.equal(killSwitch.listeners(), 0);
});
