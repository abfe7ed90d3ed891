import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import {
  answerJson,
  callTool,
  open,
  raw,
  scriptedGate,
  scene,
  send,
  startEvents,
} from '../../support/http-scene.ts';

function rawCall(port: number, id: number): string {
  const body = callTool(id);
  return `POST /files/mcp HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

describe('closing', () => {
  /** A scene whose upstream holds its answers until it is told. */
  async function holding(t: TestContext) {
    const reached = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const opened = await scene(t, {
      async upstream(request, response, { body }) {
        if (request.method === 'GET') {
          startEvents(response);
          return;
        }
        reached.resolve();
        await go.promise;
        answerJson(response, {
          jsonrpc: '2.0',
          id: (JSON.parse(body.toString()) as { id: number }).id,
          result: {},
        });
      },
    });
    return { ...opened, reached: reached.promise, answer: go.resolve };
  }

  test('lets a call in flight finish, ends streams at once, and takes nothing new', async (t) => {
    const { port, door, gate, reached, answer, received } = await holding(t);
    const stream = await open(port, { method: 'GET' });
    const call = await raw(t, port, rawCall(port, 1));
    await reached;
    const closed = door.close(60_000);
    // In good order: a client reads the end of the stream, not a broken connection.
    for await (const chunk of stream) assert.fail(String(chunk));
    // A request behind the one in flight, on the connection that is still open.
    call.socket.write(rawCall(port, 2));
    while (gate.rejected.length === 0) await new Promise((resolve) => setImmediate(resolve));
    answer();
    await closed;
    const [first, second] = (await call.rest).split(/(?=HTTP\/1\.1 )/);
    assert.match(first ?? '', /"id":1,"result":\{\}/);
    assert.match(second ?? '', /connection: close[^]*"id":2,"error":\{"code":-31503/i);
    assert.partialDeepStrictEqual(gate.rejected, [{ reason: 'shutdown', id: { text: '2' } }]);
    assert.partialDeepStrictEqual(gate.settled, [{ status: 'ok' }]);
    assert.equal(received.length, 2);
    await assert.rejects(send(port, { body: callTool(3) }), { code: 'ECONNREFUSED' });
  });

  test('gives up what is still open at the deadline, and records it as cancelled', async (t) => {
    const { port, door, gate, reached } = await holding(t);
    const call = send(port, { body: callTool(1) });
    const broken = assert.rejects(call, { code: 'ECONNRESET' });
    await reached;
    await door.close(1);
    await broken;
    assert.partialDeepStrictEqual(gate.settled, [{ status: 'cancelled', errorType: 'shutdown' }]);
  });

  test('does not wait for a listening subscription, which has no end', async (t) => {
    const { port, door, gate } = await scene(t, { upstream: (_, response) => void startEvents(response) });
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'subscriptions/listen',
      params: { _meta: { ...meta, 'io.modelcontextprotocol/clientCapabilities': {} } },
    });
    const headers = ['Mcp-Method', 'subscriptions/listen', 'Mcp-Protocol-Version', '2026-07-28'];
    const stream = await open(port, { body, headers });
    await door.close(60_000);
    for await (const chunk of stream) assert.fail(String(chunk));
    assert.partialDeepStrictEqual(gate.settled, [{ method: 'subscriptions/listen', status: 'cancelled' }]);
  });

  test('does not wait beyond the deadline for a body that never comes', async (t) => {
    const { port, door } = await scene(t);
    const { rest } = await raw(
      t,
      port,
      `POST /files/mcp HTTP/1.1\r\nHost: localhost:${port}\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n`,
    );
    await door.close(1);
    await rest;
  });

  test('does not hang on a gate that never decides', async (t) => {
    const asked = Promise.withResolvers<void>();
    const gate = scriptedGate(() => {
      asked.resolve();
      return new Promise<boolean>(() => {});
    });
    const { port, door } = await scene(t, { gate });
    const broken = assert.rejects(send(port, { body: callTool(1) }));
    await asked.promise;
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const state = { open: true };
    const closed = door.close(5_000).then(() => (state.open = false));
    while (state.open) {
      t.mock.timers.tick(5_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await closed;
    t.mock.timers.reset();
    await broken;
  });
});
