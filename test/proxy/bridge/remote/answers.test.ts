/** What a server over HTTP may answer to a request, and what a client over stdio then gets. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { assertAlone, INITIALIZE, type Message, remoteScene, stream } from '../../../support/remote-scene.ts';
import { call } from '../../../support/stdio-fixtures.ts';

const RESULT = { content: [] };

/** A script that does something of its own for tools/call, and answers all else. */
const toCall = (run: (response: ServerResponse, message: Message) => void) => {
  return (message: Message, response: ServerResponse): boolean => {
    if (message.method !== 'tools/call') return false;
    run(response, message);
    return true;
  };
};

const json = (response: ServerResponse, text: string, status = 200): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(text);
};

/** Bodies and streams that are good answers, and the line that the client gets. */
const GOOD: readonly (readonly [string, (response: ServerResponse) => void, string, string])[] = [
  [
    'a JSON body',
    (response) => json(response, '{"jsonrpc":"2.0","id":7,"result":{"n":9007199254740993}}'),
    '{"jsonrpc":"2.0","id":7,"result":{"n":9007199254740993}}',
    'ok',
  ],
  [
    'JSON over many lines: each line end is a blank now, all else is as it was',
    (response) => json(response, '{\n  "jsonrpc": "2.0",\r\n  "id": 7,\n  "result": {}\n}\n'),
    '{   "jsonrpc": "2.0",    "id": 7,   "result": {} } ',
    'ok',
  ],
  [
    'JSON after a byte order mark',
    (response) => json(response, '\ufeff{"jsonrpc":"2.0","id":7,"result":{}}'),
    '{"jsonrpc":"2.0","id":7,"result":{}}',
    'ok',
  ],
  [
    'JSON by another name',
    (response) => response.writeHead(200).end('{"jsonrpc":"2.0","id":7,"result":{"isError":true}}'),
    '{"jsonrpc":"2.0","id":7,"result":{"isError":true}}',
    'tool_error tool_error',
  ],
  [
    'an event stream',
    (response) => {
      stream(response)({ id: 7, result: RESULT });
      response.end();
    },
    '{"jsonrpc":"2.0","id":7,"result":{"content":[]}}',
    'ok',
  ],
  [
    'an event whose data stands on several lines',
    (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
      response.end(': hello\n\nevent: message\ndata: {"jsonrpc":"2.0",\ndata: "id":7,"result":{}}\n\n');
    },
    '{"jsonrpc":"2.0", "id":7,"result":{}}',
    'ok',
  ],
  [
    'an answer after an event that has another name, and one of no data',
    (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(
        'event: ping\ndata: {"jsonrpc":"2.0","id":7,"result":{"no":1}}\n\nid: 1\n\ndata: {"jsonrpc":"2.0","id":7,"result":{}}\n\n',
      );
    },
    '{"jsonrpc":"2.0","id":7,"result":{}}',
    'ok',
  ],
  [
    'an error with the id of the request, whatever its status',
    (response) => json(response, '{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"bad"}}', 400),
    '{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"bad"}}',
    'rpc_error -32602',
  ],
  [
    'an error without an id: over HTTP it belongs to the request, and on a line it gets its id',
    (response) =>
      json(
        response,
        '{"jsonrpc":"2.0","error":{"code":-32022,"message":"v","data":{"supported":["a"]}},"id":null}',
        400,
      ),
    '{"jsonrpc":"2.0","id":7,"error":{"code":-32022,"message":"v","data":{"supported":["a"]}}}',
    'rpc_error -32022',
  ],
  [
    'an error with a word for an id',
    (response) =>
      json(response, '{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"m"}}', 406),
    '{"jsonrpc":"2.0","id":7,"error":{"code":-32600,"message":"m"}}',
    'rpc_error -32600',
  ],
  [
    'an error without an id at the end of a stream',
    (response) => {
      stream(response)({ id: null, error: { code: -32603, message: 'm' } });
      response.end();
    },
    '{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"m"}}',
    'rpc_error -32603',
  ],
];
for (const [title, run, line, outcome] of GOOD) {
  test(`the client gets ${title}`, async (t) => {
    const s = await remoteScene(t, toCall(run));
    s.client.send(call(7, 'x'));
    assert.equal(await s.client.line('"id"'), line);
    assert.deepEqual(s.gate.settled, [`7 ${outcome}`]);
    assert.deepEqual(s.gate.rejected, []);
  });
}

test('the status of the answer is in the outcome, of a JSON body and of a stream', async (t) => {
  const s = await remoteScene(t, (message, response) => {
    if (message.id === 1) json(response, '{"jsonrpc":"2.0","id":1,"result":{}}', 201);
    else stream(response)({ id: 2, result: {} });
  });
  s.client.send(call(1, 'x'), call(2, 'x'));
  await s.client.line('"id":1');
  await s.client.line('"id":2');
  assert.deepEqual(
    s.gate.outcomes.map(({ httpStatus = 0 }) => httpStatus).toSorted((a, b) => a - b),
    [200, 201],
  );
});

/** What is no answer: what the client is told of it, and what the record says. */
const BAD: readonly (readonly [string, (response: ServerResponse) => void, RegExp, string])[] = [
  [
    'credentials that are refused',
    (response) => json(response, '{"error":"invalid_token"}', 401),
    /files answered 401 Unauthorized: it does not accept the credentials .*--header/,
    '401',
  ],
  ['a 403', (response) => response.writeHead(403).end('no'), /403 Forbidden: it does not allow/, '403'],
  [
    'a 404',
    (response) => response.writeHead(404).end('<html>'),
    /404 Not Found: nothing is at that URL/,
    '404',
  ],
  ['a 405', (response) => response.writeHead(405).end(), /405 Method Not Allowed: no messages/, '405'],
  [
    'a 429 that says when to come back',
    (response) => response.writeHead(429, { 'retry-after': '30' }).end(),
    /429 Too Many Requests: it is asked too often, and wants 30 s to pass first/,
    '429',
  ],
  [
    'a 503 whose wait is no number',
    (response) => response.writeHead(503, { 'retry-after': 'never\u00ff' }).end('{"a":'),
    /503 Service Unavailable: it fails, so look into its own log or try again later\./,
    '503',
  ],
  [
    'a 418',
    (response) => response.writeHead(418).end(),
    /418 I'm a Teapot: it does not take the request/,
    '418',
  ],
  [
    'an error that is none',
    (response) => json(response, '{"jsonrpc":"2.0","id":null,"error":{"code":"x"}}', 400),
    /400 Bad Request/,
    '400',
  ],
  [
    'a redirect',
    (response) => response.writeHead(307, { location: 'http://elsewhere.example/mcp?secret=1' }).end(),
    /files answered with a redirect, which is not followed/,
    '307',
  ],
  [
    'an answer that is compressed',
    (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'),
    /it is compressed/,
    'content_encoding',
  ],
  [
    'no answer at all',
    (response) => response.writeHead(202).end(),
    /took the request, and that was all/,
    'no_answer',
  ],
  ['an empty body', (response) => json(response, ''), /took the request, and that was all/, 'no_answer'],
  ['garbage', (response) => json(response, '{"jsonrpc":"2.0",'), /no answer to tools\/call/, 'parse'],
  ['a page', (response) => response.writeHead(200).end('<html>'), /no answer to tools\/call/, 'parse'],
  ['a batch', (response) => json(response, '[{"jsonrpc":"2.0","id":7,"result":{}}]'), /no answer/, 'parse'],
  [
    'a line end within a string',
    (response) => json(response, '{"jsonrpc":"2.0","id":7,"result":{"a":"b\nc"}}'),
    /no answer/,
    'parse',
  ],
  [
    'a request of the server’s own',
    (response) => json(response, '{"jsonrpc":"2.0","id":7,"method":"roots/list"}'),
    /no answer/,
    'parse',
  ],
  [
    'the answer to another request',
    (response) => json(response, '{"jsonrpc":"2.0","id":8,"result":{}}'),
    /that of another request/,
    'id_mismatch',
  ],
  [
    'a body that breaks off',
    (response) => breakOff(response, 'application/json'),
    /connection lost/,
    'ECONNRESET',
  ],
  [
    'a stream that breaks off',
    (response) => breakOff(response, 'text/event-stream'),
    /connection lost/,
    'ECONNRESET',
  ],
  [
    'a stream that ends in good order without it',
    (response) => {
      stream(response)({ method: 'notifications/message', params: { level: 'info', data: 1 } });
      response.end();
    },
    /its stream ended without one/,
    'no_answer',
  ],
  [
    'an event that the end of the stream cuts off',
    (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end('data: {"jsonrpc":"2.0","id":7,"result":{}}\n');
    },
    /its stream ended without one/,
    'no_answer',
  ],
  [
    'a connection that closes first',
    (response) => response.destroy(),
    /has closed the connection/,
    'ECONNRESET',
  ],
  [
    'a body that is too large',
    (response) => json(response, `{"jsonrpc":"2.0","id":7,"result":"${'x'.repeat(2_000)}"}`),
    /larger than 2000 bytes/,
    'parse_size',
  ],
  [
    'an event that is too large',
    (response) => stream(response)({ id: 7, result: 'x'.repeat(2_000) }),
    /larger than 2000 bytes/,
    'parse_size',
  ],
];

function breakOff(response: ServerResponse, type: string): void {
  response.writeHead(200, { 'content-type': type });
  response.write('{"jsonrpc"', () => response.destroy());
}

for (const [title, run, words, errorType] of BAD) {
  test(`the client is told of ${title}, and the call has its outcome`, async (t) => {
    const s = await remoteScene(t, toCall(run), { limits: { lineBytesMax: 2_000 } });
    s.client.send(call(7, 'x'));
    const line = await s.client.line('"id":7');
    assert.match((JSON.parse(line) as { error: { message: string } }).error.message, words);
    assert.deepEqual(s.gate.settled, [`7 transport_error ${errorType}`]);
    // It is none of the session's that something went wrong: the next call is served.
    s.client.send({ id: 9, method: 'ping' });
    await s.client.line('"id":9');
  });
}

test('an answer that is of no use gives its connection back, also where its body has no end', async (t) => {
  const s = await remoteScene(t, (_, response) => {
    response.writeHead(302, { location: '/' }).write('<html>');
  });
  s.client.send(call(7, 'x'));
  await s.client.line('"id":7');
  await assertAlone(s);
});

test('what is no message is recorded as what it is', async (t) => {
  const bodies = ['{"jsonrpc":"2.0","id":1,"method":"roots/list"}', '{"a":', '[1]'];
  const s = await remoteScene(t, ({ id }, response) => json(response, bodies[Number(id)] ?? ''));
  s.client.send(call(0, 'x'), call(1, 'x'), call(2, 'x'));
  for (const id of [0, 1, 2]) await s.client.line(`"id":${id}`);
  assert.deepEqual(s.gate.rejected.map(({ code }) => code).sort(), [
    'parse_batch',
    'parse_envelope',
    'parse_json',
  ]);
});

test('a person is told where a redirect goes, without what may be secret in it', async (t) => {
  const s = await remoteScene(t, (_, response) => {
    response.writeHead(308, { location: '/mcp/?token=1' }).end();
  });
  s.client.send(INITIALIZE);
  await s.client.line('redirect');
  const [told = ''] = s.diagnostics.lines.filter((line) => line.includes('redirects to'));
  assert.match(told, /redirects to http:\/\/127\.0\.0\.1:\d+\/mcp\/; name that URL/);
});

test('a server that cannot be reached is told as that, once it is asked, and the exit code says so', async (t) => {
  // The port of a server that has closed is free, and nothing listens there.
  const gone = await remoteScene(t);
  gone.upstream.close();
  const s = await remoteScene(t, undefined, { url: gone.upstream.url });
  s.client.send(INITIALIZE);
  assert.match(
    await s.client.line('"id":"init"'),
    /cannot be reached: nothing listens there \(ECONNREFUSED\)/,
  );
  s.client.send(call(1, 'x'));
  await s.client.line('"id":1');
  s.client.stdin.end();
  assert.deepEqual(await s.ended, { code: 4 });
});
