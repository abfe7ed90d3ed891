/** What the desk makes of requests besides their messages: verbs, types, and what a refusal tells. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { callTool, scene, scriptedGate, send } from '../../support/http-scene.ts';

describe('GET and DELETE', () => {
  const verbs: [method: string, pseudo: string, allow: string][] = [
    ['GET', 'transport/stream', 'POST, DELETE'],
    ['DELETE', 'transport/delete', 'POST, GET'],
  ];
  for (const [method, pseudo, allow] of verbs) {
    test(`${method} is decided as ${pseudo}, with identity and session`, async (t) => {
      const { port, gate, received } = await scene(t, {
        upstream: (_, response) => void response.writeHead(204).end(),
      });
      await send(port, { method, headers: ['Mcp-Session-Id', 's'] });
      assert.partialDeepStrictEqual(gate.decided, [
        {
          message: { kind: 'transport', method: pseudo },
          origin: { sessionId: 's' },
          direction: 'to_upstream',
        },
      ]);
      assert.equal(received[0]?.method, method);
    });

    test(`${method} that is denied is a 405, which says that there is no such thing here`, async (t) => {
      const { port, received } = await scene(t, { gate: scriptedGate(() => false) });
      const answer = await send(port, { method });
      assert.deepEqual([answer.status, answer.headers.allow], [405, allow]);
      assert.deepEqual(received, []);
    });
  }
});

describe('the type of a body', () => {
  for (const type of ['application/json; charset=utf-7', "text/plain; charset*=utf-8''utf-16"]) {
    test(`${type}: 415, recorded, and nothing reaches gate or upstream`, async (t) => {
      const { port, gate, received } = await scene(t);
      const answer = await send(port, { headers: ['Content-Type', type], body: callTool(1) });
      assert.equal(answer.status, 415);
      assert.partialDeepStrictEqual(gate.rejected, [{ reason: 'parse', code: 'content_type' }]);
      assert.deepEqual([gate.decided, received], [[], []]);
    });
  }

  for (const type of [undefined, 'text/plain', 'application/json; charset="UTF-8"; x=y']) {
    test(`${String(type)} is application/json for the upstream`, async (t) => {
      const { port, received } = await scene(t, { upstreamHeaders: { 'Content-Type': 'text/html' } });
      await send(port, { headers: type === undefined ? [] : ['Content-Type', type], body: callTool(1) });
      assert.equal(received[0]?.headers['content-type'], 'application/json');
    });
  }
});

describe('a refusal', () => {
  test('of a message whose headers disagree tells its method and tool', async (t) => {
    const { port, gate } = await scene(t);
    await send(port, { headers: ['Mcp-Name', 'write'], body: callTool(5, 'read') });
    assert.partialDeepStrictEqual(gate.rejected, [
      {
        code: 'header_mismatch',
        direction: 'to_upstream',
        message: { method: 'tools/call', call: { tool: 'read' } },
      },
    ]);
  });

  test('of a call with wrong params tells its tool and trace', async (t) => {
    const { port, gate } = await scene(t);
    const params = { name: 'drop', arguments: 5, _meta: { traceparent: 'tp', tracestate: 'ts' } };
    await send(port, { body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }) });
    assert.partialDeepStrictEqual(gate.rejected, [
      { code: 'parse_params', message: { call: { tool: 'drop', traceparent: 'tp', tracestate: 'ts' } } },
    ]);
  });

  test('of what an upstream answers says which way it went, and what it was', async (t) => {
    const body = '{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{}}';
    const { port, gate } = await scene(t, {
      upstream: (_, response) =>
        void response.writeHead(200, { 'content-type': 'application/json' }).end(body),
    });
    await send(port, { body: callTool(1) });
    assert.partialDeepStrictEqual(gate.rejected, [
      { direction: 'to_client', message: { method: 'sampling/createMessage' } },
    ]);
  });

  test('of credentials says what is wrong with them', async (t) => {
    const message = 'the key k_0001 has expired';
    const { port, gate } = await scene(t, {
      authenticate: () => ({ ok: false, reason: 'identity_invalid', message }),
    });
    const { body } = await send(port, { body: callTool(1) });
    assert.match(body.toString(), /k_0001 has expired/);
    assert.deepEqual(gate.rejected[0]?.details, { detail: message });
  });
});

test('an upstream that fails every call is told of once, and counted', async (t) => {
  const { port, warnings, door } = await scene(t, { upstreamUrl: new URL('http://127.0.0.1:1/mcp') });
  for (let id = 0; id < 5; id++) await send(port, { body: callTool(id) });
  assert.equal(warnings.length, 1);
  await door.close(0);
  assert.match(warnings[1] ?? '', /repeated 4 times/);
});
