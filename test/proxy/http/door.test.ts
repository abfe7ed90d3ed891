import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Authentication } from '../../../src/identity/identity.ts';
import { createHttpDoor } from '../../../src/proxy/http/door.ts';
import {
  callTool,
  open,
  raw,
  scene,
  send,
  startEvents,
  streamReader,
  type ClientRequest,
} from '../../support/http-scene.ts';

const INITIALIZED = '{"jsonrpc":"2.0","method":"notifications/initialized"}';

function refuseAll(reason: 'identity_missing' | 'identity_invalid') {
  return (): Authentication => ({ ok: false, reason, message: 'no' });
}

describe('what the door refuses', () => {
  const json = ['Content-Type', 'application/json'];
  const modern = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
  const cases: [what: string, request: ClientRequest, status: number, code: string][] = [
    ['a foreign Host', { host: 'evil.example', body: callTool(1) }, 403, 'origin_refused'],
    ['no Host', { host: null, body: callTool(1) }, 403, 'origin_refused'],
    ['two Hosts', { headers: ['Host', 'evil.example'], body: callTool(1) }, 403, 'origin_refused'],
    [
      'a foreign Origin',
      { headers: ['Origin', 'https://evil.example'], body: callTool(1) },
      403,
      'origin_refused',
    ],
    ['Origin: null', { headers: ['Origin', 'null'], body: callTool(1) }, 403, 'origin_refused'],
    ['an unknown server', { path: '/nope/mcp', body: callTool(1) }, 404, 'server_unknown'],
    [
      'a key of every object as a server',
      { path: '/constructor/mcp', body: callTool(1) },
      404,
      'server_unknown',
    ],
    ['a path below', { path: '/files/mcp/', body: callTool(1) }, 404, 'server_unknown'],
    [
      'a path that normalizes to a good one',
      { path: '/x/../files/mcp', body: callTool(1) },
      404,
      'server_unknown',
    ],
    ['an encoded path', { path: '/file%73/mcp', body: callTool(1) }, 404, 'server_unknown'],
    ['a whole URL', { path: 'http://localhost/files/mcp', body: callTool(1) }, 404, 'server_unknown'],
    ['PUT', { method: 'PUT', body: callTool(1) }, 405, 'http_method'],
    ['HEAD', { method: 'HEAD' }, 405, 'http_method'],
    ['OPTIONS from no page', { method: 'OPTIONS' }, 405, 'http_method'],
    [
      'two session ids',
      { headers: ['Mcp-Session-Id', 'a', 'mcp-session-id', 'b'], body: callTool(1) },
      400,
      'header_mismatch',
    ],
    [
      'two session ids on GET',
      { method: 'GET', headers: ['Mcp-Session-Id', 'a', 'mcp-session-id', 'b'] },
      400,
      'header_mismatch',
    ],
    [
      'a header that names another tool',
      { headers: ['Mcp-Name', 'write'], body: callTool(1) },
      400,
      'header_mismatch',
    ],
    [
      'a header that names another method',
      { headers: ['Mcp-Method', 'ping'], body: callTool(1) },
      400,
      'header_mismatch',
    ],
    [
      'a modern request without its headers',
      { body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: modern } }) },
      400,
      'header_mismatch',
    ],
    ['no body', { headers: json }, 400, 'parse_json'],
    ['what is not JSON', { body: 'x' }, 400, 'parse_json'],
    [
      'what is not JSON, under another type',
      { headers: ['Content-Type', 'text/plain'], body: 'x' },
      400,
      'parse_json',
    ],
    ['two messages in one', { body: `[${INITIALIZED}]` }, 400, 'parse_batch'],
    [
      'a key that stands twice',
      { body: callTool(1).replace('"name"', '"name":"x","name"') },
      400,
      'parse_duplicate_key',
    ],
    [
      'a compressed body',
      { headers: ['Content-Encoding', 'gzip'], body: gzipSync(callTool(1)) },
      400,
      'parse_json',
    ],
    [
      'a body that says it is compressed',
      { headers: ['Content-Encoding', 'br'], body: callTool(1) },
      400,
      'parse_json',
    ],
  ];
  for (const [what, request, status, code] of cases) {
    test(`${what}: ${status}, recorded, and nothing reaches gate or upstream`, async (t) => {
      const { port, gate, received } = await scene(t);
      const result = await send(port, request);
      assert.equal(result.status, status);
      assert.deepEqual(
        gate.rejected.map((rejection) => rejection.code),
        [code],
      );
      assert.deepEqual([gate.decided, received], [[], []]);
      assert.equal(result.headers.allow, status === 405 ? 'POST, GET, DELETE' : undefined);
      assert.equal(gate.rejected[0]?.origin.clientAddress, '127.0.0.1');
    });
  }

  test('a second Host behind thousands of other headers', async (t) => {
    const { port, gate } = await scene(t);
    const many = Array.from({ length: 2_500 }, () => ['a', '']).flat();
    const result = await send(port, { headers: [...many, 'Host', 'evil.example'], body: callTool(1) });
    assert.equal(result.status, 403);
    assert.equal(gate.decided.length, 0);
  });

  test('a header section over its limit, before anything else', async (t) => {
    const { port, gate } = await scene(t, { limits: { headerBytesMax: 1_000 } });
    assert.equal((await send(port, { headers: ['a', 'x'.repeat(500)], body: callTool(1) })).status, 200);
    assert.equal((await send(port, { headers: ['a', 'x'.repeat(1_000)], body: callTool(1) })).status, 431);
    assert.equal(gate.decided.length, 1);
  });

  test('an id is answered where it could be read', async (t) => {
    const { port } = await scene(t);
    const { body } = await send(port, { headers: ['Mcp-Name', 'write'], body: callTool(5) });
    assert.partialDeepStrictEqual(JSON.parse(body.toString()), { id: 5, error: { code: -32020 } });
  });
});

describe('the door and identity', () => {
  test('no credentials: 401 with a challenge, before the body is looked at', async (t) => {
    const { port, gate } = await scene(t, { authenticate: refuseAll('identity_missing') });
    for (const method of ['POST', 'GET', 'DELETE']) {
      const result = await send(port, { method, body: method === 'POST' ? '{{{' : undefined });
      assert.deepEqual([result.status, result.headers['www-authenticate']], [401, 'Bearer']);
    }
    assert.deepEqual(
      gate.rejected.map(({ reason, origin }) => [reason, origin.server?.name]),
      Array.from({ length: 3 }, () => ['identity_missing', 'files']),
    );
  });

  test('a 401 is answered while the body is still on its way', async (t) => {
    const { port } = await scene(t, { authenticate: refuseAll('identity_missing') });
    const { socket, rest } = await raw(
      t,
      port,
      `POST /files/mcp HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Length: 9\r\n\r\n`,
    );
    await once(socket, 'data');
    socket.destroy();
    assert.match(await rest, /^HTTP\/1\.1 401 /);
  });

  test('wrong credentials are told apart from none', async (t) => {
    const { port } = await scene(t, { authenticate: refuseAll('identity_invalid') });
    const result = await send(port, { body: callTool(1) });
    assert.equal(result.headers['www-authenticate'], 'Bearer error="invalid_token"');
  });

  test('every Authorization header is shown to the authenticator', async (t) => {
    const seen: (readonly string[])[] = [];
    const { port } = await scene(t, {
      authenticate: ({ authorization }) => {
        seen.push(authorization);
        return { ok: false, reason: 'identity_invalid', message: 'no' };
      },
    });
    await send(port, {
      body: callTool(1),
      headers: ['Authorization', 'Bearer a', 'authorization', 'Bearer b'],
    });
    assert.deepEqual(seen, [['Bearer a', 'Bearer b']]);
  });

  test('an authenticator that throws lets nobody in', async (t) => {
    const { port, received, warnings } = await scene(t, {
      authenticate: () => Promise.reject(new Error('key store')),
    });
    await assert.rejects(send(port, { body: callTool(1) }));
    assert.deepEqual(received, []);
    assert.match(warnings.join(), /key store/);
  });
});

describe('the door and pages', () => {
  const page = ['Origin', 'https://app.example'];
  const allowedOrigins = ['https://app.example'];

  test('a preflight of an allowed page is answered with the headers of MCP only', async (t) => {
    const { port, received, gate } = await scene(t, { allowedOrigins });
    const wanted = 'authorization, Mcp-Session-Id,mcp-param-x, cookie, x-api-key';
    const headers = [
      ...page,
      'Access-Control-Request-Method',
      'POST',
      'Access-Control-Request-Headers',
      wanted,
    ];
    const result = await send(port, { method: 'OPTIONS', headers });
    assert.equal(result.status, 204);
    assert.partialDeepStrictEqual(result.headers, {
      'access-control-allow-origin': 'https://app.example',
      'access-control-allow-methods': 'POST, GET, DELETE',
      'access-control-allow-headers': 'authorization, mcp-session-id, mcp-param-x',
      'access-control-max-age': '600',
      vary: 'Origin',
    });
    assert.deepEqual([received, gate.rejected], [[], []]);
  });

  test('an allowed page may read answers and refusals, a foreign one neither', async (t) => {
    const { port } = await scene(t, { allowedOrigins });
    for (const body of [callTool(1), 'x']) {
      const { headers } = await send(port, { headers: page, body });
      assert.equal(headers['access-control-allow-origin'], 'https://app.example');
      assert.match(headers['access-control-expose-headers'] ?? '', /mcp-session-id.*www-authenticate/);
    }
    const foreign = await send(port, { headers: ['Origin', 'https://evil.example'], body: callTool(1) });
    assert.equal(foreign.headers['access-control-allow-origin'], undefined);
  });
});

describe('limits of the door', () => {
  const size = callTool(1).length;
  const cases: [what: string, bytesMax: number, status: number][] = [
    ['at its limit passes', size, 200],
    ['over its limit is a 413', size - 1, 413],
  ];
  for (const [what, bytesMax, status] of cases) {
    test(`a message ${what}, with and without a declared length`, async (t) => {
      const { port, gate } = await scene(t, { messageLimits: { bytesMax } });
      assert.equal((await send(port, { body: callTool(1) })).status, status);
      const chunked = [
        'Transfer-Encoding: chunked',
        'Connection: close',
        '',
        size.toString(16),
        callTool(1),
        '0',
        '',
        '',
      ];
      const { rest } = await raw(
        t,
        port,
        `POST /files/mcp HTTP/1.1\r\nHost: localhost:${port}\r\n${chunked.join('\r\n')}`,
      );
      assert.match(await rest, new RegExp(`^HTTP/1.1 ${status} `));
      assert.deepEqual(
        gate.rejected.map(({ code }) => code),
        status === 413 ? ['parse_size', 'parse_size'] : [],
      );
    });
  }

  test('a client that still writes a body that is too large can read its 413', async (t) => {
    const { port } = await scene(t, { messageLimits: { bytesMax: 1_000 } });
    const size = 8 * 1024 * 1024;
    const head = `POST /files/mcp HTTP/1.1\r\nHost: localhost:${port}\r\nConnection: close\r\nContent-Length: ${size}\r\n\r\n`;
    const { socket, rest } = await raw(t, port, head + 'x'.repeat(size));
    assert.match(await rest, /^HTTP\/1\.1 413 [^]*-32600/);
    assert.equal(socket.errored, null);
  });

  test('a header section or a body that trickles in ends the connection, a long answer does not', async (t) => {
    const held = Promise.withResolvers<ReturnType<typeof startEvents>>();
    const { port, gate } = await scene(t, {
      limits: { headersTimeoutMs: 20, bodyTimeoutMs: 40 },
      upstream: (_, response) => held.resolve(startEvents(response)),
    });
    const stream = await open(port, { method: 'GET' });
    const head = `POST /files/mcp HTTP/1.1\r\nHost: localhost:${port}\r\n`;
    const slow = await Promise.all([raw(t, port, head), raw(t, port, `${head}Content-Length: 9\r\n\r\n{`)]);
    await Promise.all(slow.map(({ rest }) => rest));
    assert.deepEqual(
      gate.rejected.map(({ code, origin }) => [code, origin.server?.name]),
      // Of the one that had come as far as its body we know where it was meant to go.
      [
        ['http_slow', undefined],
        ['http_slow', 'files'],
      ],
    );
    // The stream began before the connections that have run out of time.
    (await held.promise)({ jsonrpc: '2.0', id: 1, result: {} });
    await streamReader(stream)('"result"');
  });

  test('one request too many at a time is refused, and the next after one has ended is served', async (t) => {
    const held = Promise.withResolvers<ServerResponse>();
    const { port, gate } = await scene(t, {
      limits: { exchangesMax: 1 },
      upstream: (request, response) => {
        if (request.method === 'GET') {
          startEvents(response);
          held.resolve(response);
        } else response.writeHead(202).end();
      },
    });
    const stream = await open(port, { method: 'GET' });
    assert.equal((await send(port, { body: INITIALIZED })).status, 503);
    assert.partialDeepStrictEqual(gate.rejected, [{ reason: 'limit', code: 'busy', details: { max: 1 } }]);
    (await held.promise).end();
    stream.resume();
    await once(stream, 'end');
    assert.equal((await send(port, { body: INITIALIZED })).status, 202);
  });
});

describe('listening', () => {
  test('an address that is taken is named', async (t) => {
    const { port, gate } = await scene(t);
    const settings = { servers: new Map(), authenticate: refuseAll('identity_missing') };
    const door = createHttpDoor({
      gate,
      settings: () => settings,
      listen: { host: '127.0.0.1', port },
      diagnostics: { error() {}, warn() {}, info() {}, debug() {} },
    });
    await assert.rejects(door.listen(), {
      code: 'listen_failed',
      message: new RegExp(`127.0.0.1:${port}: EADDRINUSE`),
    });
  });
});
