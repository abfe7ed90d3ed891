/** Requests that never become one are answered and recorded like any other refusal. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { callTool, raw, scene, send, startEvents } from '../../support/http-scene.ts';
import { within } from '../../support/within.ts';

describe('what is no request', () => {
  const host = 'Host: localhost\r\n';
  const cases: [what: string, text: string, status: number, code: string][] = [
    ['no HTTP', 'hello\r\n\r\n', 405, 'http_method'],
    ['an unknown verb', `BREW /files/mcp HTTP/1.1\r\n${host}\r\n`, 405, 'http_method'],
    ['a verb in lower case', `post /files/mcp HTTP/1.1\r\n${host}\r\n`, 405, 'http_method'],
    ['another version', `POST /files/mcp HTTP/9.9\r\n${host}\r\n`, 400, 'http_malformed'],
    ['a header without a colon', `POST /files/mcp HTTP/1.1\r\n${host}x\r\n\r\n`, 400, 'http_malformed'],
    [
      'two lengths',
      `POST /files/mcp HTTP/1.1\r\n${host}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`,
      400,
      'http_malformed',
    ],
    [
      'a length and chunks',
      `POST /files/mcp HTTP/1.1\r\n${host}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
      400,
      'http_malformed',
    ],
    ['a large head', `GET /files/mcp HTTP/1.1\r\nx: ${'x'.repeat(2_000)}\r\n\r\n`, 431, 'http_oversize'],
    ['CONNECT', `CONNECT evil.example:443 HTTP/1.1\r\n${host}\r\n`, 405, 'http_method'],
    [
      'an expectation',
      `POST /files/mcp HTTP/1.1\r\n${host}Expect: x\r\nContent-Length: 1\r\n\r\n`,
      417,
      'http_expectation',
    ],
  ];
  for (const [what, text, status, code] of cases) {
    test(`${what}: ${status}, recorded once with its address, and the connection ends`, async (t) => {
      const { port, gate, received } = await scene(t, { limits: { headerBytesMax: 1_000 } });
      const { rest } = await raw(t, port, text);
      const answer = await within('the end of the connection', rest);
      assert.match(
        answer,
        new RegExp(`^HTTP/1.1 ${status} [^]*\\r\\nconnection: close\\r\\n[^]*"error"`, 'i'),
      );
      assert.equal(/\r\nallow: POST, GET, DELETE\r\n/i.test(answer), status === 405);
      assert.deepEqual(
        gate.rejected.map((rejection) => [rejection.reason, rejection.code, rejection.origin.clientAddress]),
        [['parse', code, '127.0.0.1']],
      );
      assert.deepEqual([gate.decided, received], [[], []]);
    });
  }

  test('half a body: recorded once, with what its head has told', async (t) => {
    const { port, gate, received } = await scene(t);
    const socket = connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    socket.end(`POST /files/mcp HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Length: 99\r\n\r\n{`);
    await within('the end of the connection', once(socket.resume(), 'close'));
    // By the time that a later request has been answered, the door has seen the earlier one go.
    await send(port, { body: callTool(1) });
    assert.partialDeepStrictEqual(gate.rejected, [
      { code: 'http_malformed', origin: { server: { name: 'files' } } },
    ]);
    assert.equal(gate.rejected.length, 1);
    assert.equal(received.length, 1);
  });

  test('a connection that asks nothing leaves no record', async (t) => {
    const { port, gate } = await scene(t);
    const quiet = connect(port, '127.0.0.1');
    const reset = connect(port, '127.0.0.1');
    await Promise.all([once(quiet, 'connect'), once(reset, 'connect')]);
    quiet.end();
    reset.resetAndDestroy();
    await within('the end of the connection', once(quiet.resume(), 'close'));
    await send(port, { body: callTool(1) });
    assert.deepEqual(gate.rejected, []);
  });

  test('behind a request whose answer is on its way: recorded, and not written into that answer', async (t) => {
    const { port, gate } = await scene(t, {
      upstream: (_, response) => startEvents(response)({ jsonrpc: '2.0', id: 1, result: {} }),
    });
    const call = callTool(1);
    const head = `POST /files/mcp HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Length: ${call.length}\r\n\r\n`;
    const { socket, rest } = await raw(t, port, head + call);
    await once(socket, 'data');
    socket.write('rubbish\r\n\r\n');
    const answer = await within('the end of the connection', rest);
    assert.equal(answer.split('HTTP/1.1').length, 2, answer);
    assert.equal(gate.rejected.length, 1);
  });
});
