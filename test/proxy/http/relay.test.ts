import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http from 'node:http';
import * as net from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import {
  answerJson,
  callTool,
  open,
  scriptedGate,
  scene,
  send,
  TRACEPARENT,
} from '../../support/http-scene.ts';
import { oddCall } from '../../support/odd-call.ts';
import { within } from '../../support/within.ts';

function parsed(body: Buffer): { id?: unknown; error?: { code: number; message: string }; result?: unknown } {
  return JSON.parse(body.toString()) as ReturnType<typeof parsed>;
}

describe('a message that may go on', () => {
  test('reaches the upstream byte for byte, and the answer the client', async (t) => {
    const answer = '{ "jsonrpc":"2.0","result": {"n":9007199254740993.0,"N":1e400,"n ":"\\u00e9"},"id":1 }\n';
    const { port, received } = await scene(t, {
      upstream: (_, response) =>
        void response.writeHead(200, { 'content-type': 'application/json' }).end(answer),
    });
    const agent = new http.Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    await fc.assert(
      fc.asyncProperty(oddCall(/^[ \t\r\n]{0,3}$/), async (body) => {
        const result = await send(port, { body, agent });
        assert.equal(result.body.toString(), answer);
        assert.equal(received.at(-1)?.body.toString(), body);
      }),
      { numRuns: 60 },
    );
  });

  test('goes to the configured URL, with the listed headers, our trace and the configured credentials', async (t) => {
    const { port, received, gate } = await scene(t, { upstreamHeaders: { authorization: 'Bearer ours' } });
    const sent = {
      Authorization: 'Bearer client',
      Cookie: 'c=1',
      'Mcp-Session-Id': 's',
      'X-Api-Key': 'k',
      'Accept-Encoding': 'gzip',
      traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
    };
    await send(port, {
      body: callTool(1),
      path: '/files/mcp?tenant=evil',
      headers: Object.entries(sent).flat(),
    });
    const [{ headers, url, method }] = received as [(typeof received)[0]];
    assert.equal(method, 'POST');
    assert.equal(url, '/up/mcp?tenant=1');
    delete headers.host;
    assert.deepEqual(headers, {
      'accept-encoding': 'identity',
      authorization: 'Bearer ours',
      connection: 'keep-alive',
      'content-length': String(callTool(1).length),
      'content-type': 'application/json',
      'mcp-session-id': 's',
      traceparent: TRACEPARENT,
      tracestate: 'v=1',
    });
    assert.equal(gate.decided[0]?.origin.traceparent, sent.traceparent);
    assert.equal(gate.decided[0]?.origin.sessionId, 's');
  });

  test('is answered with the listed headers only', async (t) => {
    const { port } = await scene(t, {
      upstream: (_, response) => {
        response.writeHead(200, {
          'content-type': 'application/json',
          'mcp-session-id': 's',
          'set-cookie': 'c=1',
          'content-security-policy': 'script-src *',
          server: 'x',
        });
        response.end('{"jsonrpc":"2.0","id":1,"result":{}}');
      },
    });
    const { headers } = await send(port, { body: callTool(1) });
    delete headers.date;
    assert.deepEqual(headers, {
      connection: 'close',
      'content-length': '36',
      'content-security-policy': "default-src 'none'; sandbox",
      'content-type': 'application/json',
      'mcp-session-id': 's',
      'x-content-type-options': 'nosniff',
    });
  });

  test('that is a notification gets the upstream’s 202 and no body', async (t) => {
    const { port, received } = await scene(t);
    const body = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
    const result = await send(port, { body });
    assert.deepEqual([result.status, result.body.length], [202, 0]);
    assert.equal(received[0]?.body.toString(), body);
  });
});

describe('a message that is refused', () => {
  test('never reaches the upstream, and the gate’s answer is sent', async (t) => {
    const { port, received } = await scene(t, { gate: scriptedGate(() => false) });
    const result = await send(port, { body: callTool(7) });
    assert.equal(result.status, 200);
    assert.deepEqual(parsed(result.body).id, 7);
    const note = await send(port, { body: '{"jsonrpc":"2.0","method":"notifications/initialized"}' });
    assert.deepEqual([note.status, note.body.length], [202, 0]);
    assert.deepEqual(received, []);
  });
});

describe('outcomes', () => {
  const rpcError = { jsonrpc: '2.0', id: 1, error: { code: -32602, message: 'no' } };
  const cases: [what: string, status: number, body: unknown, outcome: object][] = [
    ['a result', 200, { jsonrpc: '2.0', id: 1, result: {} }, { status: 'ok' }],
    ['a tool error', 200, { jsonrpc: '2.0', id: 1, result: { isError: true } }, { status: 'tool_error' }],
    ['a JSON-RPC error', 200, rpcError, { status: 'rpc_error', rpcCode: '-32602' }],
    ['a JSON-RPC error in a 404', 404, rpcError, { status: 'rpc_error', httpStatus: 404 }],
    [
      'an error without id in a 400',
      400,
      { ...rpcError, id: null },
      { status: 'rpc_error', httpStatus: 400 },
    ],
    ['a page in a 500', 500, 'oops', { status: 'transport_error', errorType: '500' }],
    ['a result in a 500', 500, { jsonrpc: '2.0', id: 1, result: {} }, { status: 'transport_error' }],
    ['another id', 200, { jsonrpc: '2.0', id: 2, result: {} }, { errorType: 'id_mismatch' }],
  ];
  for (const [what, status, value, expected] of cases) {
    test(`${what} passes unchanged and is recorded as it is`, async (t) => {
      const { port, gate } = await scene(t, {
        upstream: (_, response) => answerJson(response, value, status),
      });
      const result = await send(port, { body: callTool(1) });
      assert.equal(result.status, status);
      assert.equal(result.body.toString(), JSON.stringify(value));
      const outcome = await gate.outcomeOf('tools/call');
      assert.partialDeepStrictEqual(outcome, { size: result.body.length, httpStatus: status, ...expected });
      assert.equal(gate.settled.length, 1);
    });
  }

  test('a request that gets no answer in a 202 is not called a success', async (t) => {
    const { port, gate } = await scene(t, { upstream: (_, response) => void response.writeHead(202).end() });
    assert.equal((await send(port, { body: callTool(1) })).status, 202);
    assert.partialDeepStrictEqual(gate.settled, [{ status: 'transport_error', errorType: 'no_answer' }]);
  });
});

describe('what an upstream may not answer', () => {
  const cases: [what: string, body: string][] = [
    ['a request of its own', '{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{}}'],
    ['a request in disguise', '{"jsonrpc":"2.0","id":1,"Method":"sampling/createMessage","result":{}}'],
    ['a batch', '[{"jsonrpc":"2.0","id":1,"result":{}}]'],
    ['an event stream that is not called one', 'data: {"jsonrpc":"2.0","id":1,"result":{}}\n\n'],
  ];
  for (const [what, body] of cases) {
    test(`${what} as a body stays behind, is recorded, and the client gets an error for its id`, async (t) => {
      const { port, gate } = await scene(t, {
        upstream: (_, response) =>
          void response.writeHead(200, { 'content-type': 'application/json' }).end(body),
      });
      const result = await send(port, { body: callTool(1) });
      assert.equal(result.status, 200);
      assert.equal(parsed(result.body).error?.code, -31502);
      assert.equal(parsed(result.body).id, 1);
      assert.equal(gate.rejected[0]?.reason, 'parse');
      assert.partialDeepStrictEqual(gate.settled, [{ status: 'transport_error', errorType: 'parse' }]);
    });
  }

  test('a request of its own stays behind also with an error status', async (t) => {
    const body = { jsonrpc: '2.0', id: 1, method: 'elicitation/create', params: {} };
    const { port } = await scene(t, { upstream: (_, response) => answerJson(response, body, 400) });
    const result = await send(port, { body: callTool(1) });
    assert.doesNotMatch(result.body.toString(), /elicitation/);
  });

  test('a body to a notification, where nobody waits for one, is left out', async (t) => {
    const { port } = await scene(t, { upstream: (_, response) => void response.end('thanks') });
    const result = await send(port, { body: '{"jsonrpc":"2.0","method":"notifications/initialized"}' });
    assert.deepEqual([result.status, result.body.length], [200, 0]);
  });

  test('a compressed body, which cannot be looked into, stays behind', async (t) => {
    const { port, gate } = await scene(t, {
      upstream: (_, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'),
    });
    assert.equal(parsed((await send(port, { body: callTool(1) })).body).error?.code, -31502);
    assert.partialDeepStrictEqual(gate.settled, [{ errorType: 'content_encoding' }]);
  });

  const frame = JSON.stringify({ jsonrpc: '2.0', id: 1, result: '' }).length;
  for (const [size, passes] of [
    [1_000, true],
    [1_001, false],
  ] as const) {
    test(`an answer of ${size} bytes ${passes ? 'passes' : 'does not pass'} a limit of 1000`, async (t) => {
      const value = { jsonrpc: '2.0', id: 1, result: 'x'.repeat(size - frame) };
      const { port, gate } = await scene(t, {
        limits: { answerBytesMax: 1_000 },
        upstream: (_, response) => answerJson(response, value),
      });
      const result = await send(port, { body: callTool(1) });
      assert.equal(parsed(result.body).error === undefined, passes);
      assert.equal(gate.settled[0]?.errorType, passes ? undefined : 'parse_size');
    });
  }

  for (const method of ['POST', 'GET', 'DELETE']) {
    test(`a redirect to ${method} is an error and is not followed`, async (t) => {
      const { port, gate, received } = await scene(t, {
        upstream: (_, response) => void response.writeHead(307, { location: '/elsewhere' }).end(),
      });
      const result = await send(port, { method, body: method === 'POST' ? callTool(1) : undefined });
      assert.equal(result.status, method === 'POST' ? 200 : 502);
      assert.match(parsed(result.body).error?.message ?? '', /files.*redirect/);
      assert.equal(received.length, 1);
      assert.equal(gate.settled[0]?.errorType, method === 'POST' ? '307' : undefined);
      assert.equal(result.headers.location, undefined);
    });
  }
});

describe('an upstream that fails', () => {
  async function deadPort(): Promise<URL> {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    return new URL(`http://127.0.0.1:${port}/mcp`);
  }

  test('by being down: the error names the server, the outcome the cause', async (t) => {
    const { port, gate } = await scene(t, { upstreamUrl: await deadPort() });
    const result = await send(port, { body: callTool('x') });
    assert.equal(result.status, 200);
    assert.equal(parsed(result.body).id, 'x');
    assert.match(parsed(result.body).error?.message ?? '', /files cannot be reached: ECONNREFUSED/);
    assert.partialDeepStrictEqual(gate.settled, [{ status: 'transport_error', errorType: 'ECONNREFUSED' }]);
    assert.equal((await send(port, { method: 'GET' })).status, 502);
    assert.equal(
      (await send(port, { body: '{"jsonrpc":"2.0","method":"notifications/initialized"}' })).status,
      502,
    );
  });

  test('by never finishing its TLS handshake: the time to connect ends it', async (t) => {
    const mute = net.createServer((socket) => void socket.on('error', () => {}));
    mute.listen(0, '127.0.0.1');
    await once(mute, 'listening');
    t.after(() => mute.close());
    const upstreamUrl = new URL(`https://127.0.0.1:${(mute.address() as AddressInfo).port}/mcp`);
    const { port, gate } = await scene(t, { upstreamUrl, limits: { connectTimeoutMs: 20 } });
    assert.match((await send(port, { body: callTool(1) })).body.toString(), /cannot be reached: ETIMEDOUT/);
    assert.partialDeepStrictEqual(gate.settled, [{ errorType: 'ETIMEDOUT' }]);
  });

  test('by breaking off before its answer: the call is not sent again', async (t) => {
    const { port, gate, received } = await scene(t, { upstream: (request) => void request.socket.destroy() });
    const result = await send(port, { body: callTool(1) });
    assert.match(parsed(result.body).error?.message ?? '', /files broke off/);
    assert.equal(received.length, 1);
    assert.partialDeepStrictEqual(gate.settled, [{ status: 'transport_error', errorType: 'ECONNRESET' }]);
  });

  test('by breaking off a kept connection that was good before: the call is not sent again', async (t) => {
    let calls = 0;
    const { port, received } = await scene(t, {
      upstream: (request, response) => {
        if (++calls === 1) answerJson(response, { jsonrpc: '2.0', id: 1, result: {} });
        else request.socket.destroy();
      },
    });
    await send(port, { body: callTool(1) });
    assert.match(parsed((await send(port, { body: callTool(2) })).body).error?.message ?? '', /broke off/);
    assert.equal(received.length, 2);
  });

  test('by breaking off in the middle of a body: the client gets an error, not half an answer', async (t) => {
    const { port, gate } = await scene(t, {
      upstream: (request, response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
        response.write('{"jsonrpc":"2.0",', () => request.socket.destroy());
      },
    });
    const result = await send(port, { body: callTool(1) });
    assert.equal(parsed(result.body).error?.code, -31502);
    assert.partialDeepStrictEqual(gate.settled, [{ status: 'transport_error', errorType: 'ECONNRESET' }]);
  });
});

describe('a client that goes away', () => {
  test('while the upstream works: the upstream’s request is aborted and the call cancelled', async (t) => {
    const reached = Promise.withResolvers<http.IncomingMessage>();
    const { port, gate } = await scene(t, { upstream: (request) => reached.resolve(request) });
    const client = http.request({ port, method: 'POST', path: '/files/mcp', host: '127.0.0.1' });
    client.on('error', () => {});
    client.end(callTool(1));
    const upstream = await reached.promise;
    const gone = once(upstream.socket, 'close');
    client.destroy();
    await within('the end of the request to the upstream', gone);
    assert.equal((await gate.outcomeOf('tools/call')).status, 'cancelled');
  });

  test('while the gate decides: nothing reaches the upstream, and the call counts as cancelled', async (t) => {
    const asked = Promise.withResolvers<void>();
    const decided = Promise.withResolvers<boolean>();
    const gate = scriptedGate(() => {
      asked.resolve();
      return decided.promise;
    });
    const { port, received } = await scene(t, { gate });
    const client = http.request({ port, method: 'POST', path: '/files/mcp', host: '127.0.0.1' });
    const gone = new Promise((resolve) => client.on('error', resolve));
    client.end(callTool(1));
    await asked.promise;
    client.destroy();
    await gone;
    // By the time that a later request has been answered, the door has seen the earlier one go.
    await send(port, { path: '/unknown/mcp' });
    decided.resolve(true);
    assert.equal((await gate.outcomeOf('tools/call')).status, 'cancelled');
    assert.deepEqual(received, []);
  });
});

test('GET and DELETE cross with our trace, as a message does, and come back as they are', async (t) => {
  const { port, received } = await scene(t, {
    upstream: (_, response) => void response.writeHead(405, { allow: 'POST' }).end(),
  });
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
  for (const method of ['GET', 'DELETE']) {
    const headers = ['Mcp-Session-Id', 's', 'Last-Event-Id', '7', 'traceparent', traceparent];
    const result = await send(port, { method, headers });
    assert.deepEqual([result.status, result.headers.allow], [405, 'POST']);
    const at = received.at(-1);
    assert.equal(at?.method, method);
    assert.equal(at?.headers['mcp-session-id'], 's');
    assert.equal(at?.headers['last-event-id'], '7');
    assert.equal(at?.headers['traceparent'], TRACEPARENT);
  }
});

test('a session that the upstream does not know stays a 404', async (t) => {
  const body = { jsonrpc: '2.0', id: null, error: { code: -32001, message: 'Session not found' } };
  const { port } = await scene(t, { upstream: (_, response) => answerJson(response, body, 404) });
  const response = await open(port, { body: callTool(1), headers: ['Mcp-Session-Id', 'gone'] });
  response.resume();
  assert.equal(response.statusCode, 404);
});
