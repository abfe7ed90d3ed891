/** How a server over HTTP is told of the connection: session, revision, trace, and the headers of 2026-07-28. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { answer, INITIALIZE, MODERN, remoteScene, stream, VERSION } from '../../../support/remote-scene.ts';
import { call, scriptedGate } from '../../../support/stdio-fixtures.ts';
import { within } from '../../../support/within.ts';

test('after initialize the session and the revision go with each message, and what we add with all', async (t) => {
  const s = await remoteScene(t, undefined, { headers: { authorization: 'Bearer secret' } });
  await s.initialize();
  s.client.send(call(1, 'x'));
  await s.client.line('"id":1');
  await s.asked('GET');
  const seen = s.upstream.received.map(({ method, headers, body }) => {
    const { 'mcp-session-id': id, 'mcp-protocol-version': version } = headers;
    return `${method} ${/"method":"([^"]+)"/.exec(body.toString())?.[1]} ${String(id)} ${String(version)}`;
  });
  const [first, ...rest] = seen;
  assert.equal(first, 'POST initialize undefined undefined');
  // The stream is opened while the call is made.
  assert.deepEqual(
    new Set(rest),
    new Set([
      `POST notifications/initialized session-1 ${VERSION}`,
      `POST tools/call session-1 ${VERSION}`,
      `GET undefined session-1 ${VERSION}`,
    ]),
  );
  for (const { method, headers } of s.upstream.received) {
    assert.equal(headers.authorization, 'Bearer secret');
    assert.equal(headers['accept-encoding'], 'identity');
    const accept = method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream';
    assert.equal(headers.accept, accept);
  }
});

test('the trace of a message is that of our own span', async (t) => {
  const gate = scriptedGate();
  const { decide } = gate;
  const traceparent = '00-11111111111111111111111111111111-2222222222222222-01';
  const traced: typeof decide = async (...args) => {
    const ruling = await decide(...args);
    return ruling.forward ? { ...ruling, trace: { traceparent, tracestate: 'v=1' } } : ruling;
  };
  const s = await remoteScene(t, undefined, { gate: { ...gate, decide: traced } });
  await s.initialize();
  await s.asked('GET');
  for (const { headers } of s.upstream.received) {
    assert.equal(headers['traceparent'], traceparent);
    assert.equal(headers['tracestate'], 'v=1');
  }
});

test('the session of the server is in where later messages come from', async (t) => {
  const s = await remoteScene(t);
  await s.initialize();
  s.client.send(call(1, 'x'));
  await s.client.line('"id":1');
  const sessionOf = (method: string) =>
    s.gate.asked.find(({ message }) => message.method === method)?.origin.sessionId;
  assert.equal(sessionOf('initialize'), undefined);
  for (const method of ['tools/call', 'notifications/initialized', 'transport/stream'])
    assert.equal(sessionOf(method), 'session-1');
});

test('until initialize is answered nothing else goes out, but for responses', async (t) => {
  const held = Promise.withResolvers<() => void>();
  const s = await remoteScene(t, ({ method }, response) => {
    if (method !== 'initialize') return false;
    const write = stream(response);
    write({ id: 'p', method: 'ping' });
    held.resolve(() => {
      write({ id: 'init', result: { protocolVersion: VERSION } });
      response.end();
    });
    return true;
  });
  s.client.send(INITIALIZE);
  await s.client.line('ping');
  s.client.send({ id: 'p', result: {} }, call(1, 'x'));
  await s.upstream.arrived('the response', ({ body }) => body.includes('"result"'));
  assert.equal(s.upstream.received.length, 2);
  (await held.promise)();
  await s.client.line('"id":1');
  const last = s.upstream.received.at(-1);
  assert.equal(last?.headers['mcp-protocol-version'], VERSION);
});

test('where initialize fails, what waited for it goes out all the same', async (t) => {
  const s = await remoteScene(t, ({ method }, response) => {
    if (method !== 'initialize') return false;
    response.writeHead(500).end();
    return true;
  });
  s.client.send(INITIALIZE, call(1, 'x'));
  await s.client.line('"id":1');
  assert.match(await s.client.line('"id":"init"'), /500/);
});

test('an id that no header can hold is none, and a server need not have one', async (t) => {
  for (const id of ['a b', 'é', '']) {
    const s = await remoteScene(t, (message, response) => {
      response.setHeader('mcp-session-id', id);
      if (message.method !== 'initialize') return false;
      answer(response, message.id, { protocolVersion: VERSION });
      return true;
    });
    await s.initialize();
    const { headers } = await s.posted('notifications/initialized');
    assert.equal(headers['mcp-session-id'], undefined);
    s.client.stdin.end();
    await s.ended;
    assert.ok(s.upstream.received.every(({ method }) => method !== 'DELETE'));
  }
});

test('a session that the server has ended is told to the client, and begun anew only when the client does', async (t) => {
  let known = 'session-1';
  const s = await remoteScene(t, ({ method }, response, { headers }) => {
    if (method === 'initialize') response.setHeader('mcp-session-id', known);
    const given = headers['mcp-session-id'];
    if (given === undefined || given === known) return false;
    response.writeHead(404, { 'content-type': 'application/json' });
    response.end('{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}');
    return true;
  });
  await s.initialize();
  known = 'session-2';
  s.client.send(call(1, 'x'), { method: 'notifications/roots/list_changed' }, call(2, 'x'));
  for (const id of [1, 2]) {
    assert.match(
      await s.client.line(`"id":${id}`),
      /The server files has ended the session: connect to it anew, or restart it in the client/,
    );
  }
  assert.match(s.diagnostics.lines.join('\n'), /list_changed did not get through.*ended the session/);
  assert.deepEqual(s.gate.settled.slice(1), [
    '1 transport_error session_ended',
    '2 transport_error session_ended',
  ]);
  s.client.send({ ...INITIALIZE, id: 'again' });
  await s.client.line('"id":"again"');
  s.client.send({ method: 'notifications/initialized' }, call(3, 'x'));
  assert.match(await s.client.line('"id":3'), /"result":\{\}/);
  assert.equal(s.upstream.received.filter(({ method }) => method === 'GET').length, 2);
  s.client.stdin.end();
  await s.ended;
  const ends = s.upstream.received.filter(({ method }) => method === 'DELETE');
  assert.deepEqual(
    ends.map(({ headers }) => headers['mcp-session-id']),
    ['session-2'],
  );
});

for (const [title, message] of [
  ['with a request', call(1, 'x')],
  ['with a notification', { method: 'notifications/roots/list_changed' }],
] as const) {
  test(`a session whose end we hear of ${title} is not ended by us, nor listened to`, async (t) => {
    const listening = Promise.withResolvers<ServerResponse>();
    const s = await remoteScene(t, ({ method = '' }, response, received) => {
      if (received.method === 'GET') {
        stream(response)({ method: 'notifications/message', params: {} });
        listening.resolve(response);
        return true;
      }
      if (method.startsWith('notifications/init') || method === 'initialize') return false;
      response.writeHead(404).end();
      return true;
    });
    await s.initialize();
    const closed = once(await listening.promise, 'close');
    s.client.send(message);
    await within('the end of the stream', closed);
    s.client.stdin.end();
    assert.deepEqual(await s.ended, { code: 0 });
    assert.ok(s.upstream.received.every(({ method }) => method !== 'DELETE'));
  });
}

test('an answer with a 404 that the server has read the request for is an answer', async (t) => {
  const s = await remoteScene(t, ({ id, method }, response) => {
    if (method !== 'tools/call') return false;
    response.writeHead(404, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32601, message: 'no such method' } }));
    return true;
  });
  await s.initialize();
  s.client.send(call(1, 'x'));
  assert.match(await s.client.line('"id":1'), /no such method/);
});

const modern = (id: number, method: string, params: object = {}): object => ({
  id,
  method,
  params: { ...params, _meta: MODERN },
});

test('a request of 2026-07-28 is sent with what its body says, and with no session', async (t) => {
  const s = await remoteScene(t);
  await s.initialize();
  s.client.send(
    modern(1, 'tools/call', { name: 'écho', arguments: {} }),
    modern(2, 'resources/read', { uri: 'file:///a' }),
    modern(3, 'server/discover'),
  );
  for (const id of [1, 2, 3]) await s.client.line(`"id":${id}`);
  const sent = s.upstream.received
    .slice(-3)
    .map(({ headers }) => [
      headers['mcp-protocol-version'],
      headers['mcp-method'],
      headers['mcp-name'],
      headers['mcp-session-id'],
    ]);
  assert.deepEqual(sent, [
    ['2026-07-28', 'tools/call', `=?base64?${Buffer.from('écho').toString('base64')}?=`, undefined],
    ['2026-07-28', 'resources/read', 'file:///a', undefined],
    ['2026-07-28', 'server/discover', undefined, undefined],
  ]);
});

test('arguments that a listed tool wants in headers are in them; a tool that lists them wrongly is not called', async (t) => {
  const tools = [
    { name: 'good', inputSchema: { properties: { r: { type: 'string', 'x-mcp-header': 'Region' } } } },
    { name: 'bad', inputSchema: { properties: { r: { type: 'number', 'x-mcp-header': 'Region' } } } },
  ];
  const s = await remoteScene(t, ({ id, method }, response) => {
    if (method !== 'tools/list') return false;
    answer(response, id, { tools });
    return true;
  });
  const calls = (id: number, name: string): object =>
    modern(id, 'tools/call', { name, arguments: { r: 'us west' } });
  s.client.send(calls(1, 'good'));
  await s.client.line('"id":1');
  s.client.send(modern(2, 'tools/list'));
  await s.client.line('"id":2');
  s.client.send(calls(3, 'good'), calls(4, 'bad'));
  await s.client.line('"id":3');
  assert.match(await s.client.line('"id":4'), /tool bad cannot be called over HTTP.*x-mcp-header of r/);
  const sent = s.upstream.received.map(({ headers }) => [headers['mcp-method'], headers['mcp-param-region']]);
  assert.deepEqual(sent, [
    ['tools/call', undefined],
    ['tools/list', undefined],
    ['tools/call', 'us west'],
  ]);
  assert.ok(s.gate.settled.includes('4 transport_error tool_invalid'));
  assert.match(s.diagnostics.lines.join('\n'), /lists a tool that cannot be called over HTTP: bad:/);
});

test('a notification that the server does not take is told to a person, and harms nothing', async (t) => {
  const s = await remoteScene(t, ({ method }, response) => {
    if (method !== 'notifications/initialized') return false;
    response.writeHead(400).end('no');
    return true;
  });
  await s.initialize();
  s.client.send(call(1, 'x'));
  await s.client.line('"id":1');
  assert.match(
    s.diagnostics.lines.join('\n'),
    /notifications\/initialized did not get through .* 400 Bad Request/,
  );
  // And so there is nothing to listen to.
  assert.ok(s.upstream.received.every(({ method }) => method !== 'GET'));
});

test('what stands in the body of an accepted notification is for nobody, and holds nothing up', async (t) => {
  const bodies = ['{"jsonrpc":"2.0","id":9,"result":{}}', 'x'.repeat(200_000)];
  const s = await remoteScene(t, ({ id, method }, response) => {
    if (method === 'initialize' || id !== undefined) return false;
    const body = bodies.shift();
    // The last is a stream that never ends.
    if (body === undefined) stream(response)({ id: 9, result: {} });
    else response.writeHead(202).end(body);
    return true;
  });
  const progress = { method: 'notifications/progress', params: { progressToken: 1, progress: 1 } };
  s.client.send(INITIALIZE, progress, progress, progress, call(1, 'x'));
  await s.client.line('"id":1');
  assert.equal(s.client.got.length, 2);
});
