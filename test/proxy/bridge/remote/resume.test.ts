/** Streams that end before their answer, and the stream of the server's own messages (MCP up to 2025-11-25). */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { MODERN, remoteScene, type RemoteScene, stream, turnUntil } from '../../../support/remote-scene.ts';
import { call, scriptedGate } from '../../../support/stdio-fixtures.ts';

const gets = (s: RemoteScene) => s.upstream.received.filter(({ method }) => method === 'GET');

/** A server whose tools/call gets an event with an id and no more, and whose GETs are answered in turn. */
function dropping(...answers: readonly ((response: ServerResponse) => void)[]) {
  const waiting = [...answers];
  return (
    { method }: { readonly method?: string },
    response: ServerResponse,
    received: { method: string },
  ) => {
    if (method === 'tools/call') {
      stream(response)(undefined, 'id: e1\nretry: 140\n');
      response.end();
      return true;
    }
    const next = received.method === 'GET' ? waiting.shift() : undefined;
    next?.(response);
    return next !== undefined;
  };
}

const answered = (response: ServerResponse): void => {
  stream(response)({ id: 1, result: { late: true } }, 'id: e9\n');
  response.end();
};

test('a stream that ends before its answer is taken up after the last event, when the server wants it', async (t) => {
  const s = await remoteScene(t, dropping(answered));
  s.client.send(call(1, 'x'));
  await s.posted('tools/call');
  await turnUntil(s, 139, () => s.clock.waiting.includes(1));
  assert.equal(gets(s).length, 0);
  s.clock.turn(1);
  assert.equal(await s.client.line('"id":1'), '{"jsonrpc":"2.0","id":1,"result":{"late":true}}');
  assert.deepEqual(
    gets(s).map(({ headers }) => headers['last-event-id']),
    ['e1'],
  );
  assert.deepEqual(s.gate.settled, ['1 ok']);
});

test('it is taken up again as often as it brings something new', async (t) => {
  const polls = Array.from({ length: 12 }, (_, at) => (response: ServerResponse) => {
    stream(response)(
      at % 2 === 0 ? undefined : { method: 'notifications/message', params: {} },
      `id: p${at}\n`,
    );
    response.end();
  });
  const s = await remoteScene(t, dropping(...polls, answered), { limits: { resumeTriesMax: 2 } });
  s.client.send(call(1, 'x'));
  await turnUntil(s, 1_000, () => gets(s).length === 13);
  await s.client.line('"id":1');
  assert.deepEqual(
    gets(s).map(({ headers }) => headers['last-event-id']),
    ['e1', ...Array.from({ length: 12 }, (_, at) => `p${at}`)],
  );
  assert.equal(s.client.got.length, 7);
});

test('it is given up after a number of tries that bring nothing, whatever they fail with', async (t) => {
  const nothing: ((response: ServerResponse) => void)[] = [
    (response) => response.writeHead(503).end(),
    (response) => response.destroy(),
    (response) => response.writeHead(409).end(),
    (response) => {
      stream(response)({ method: 'notifications/message', params: {} });
      response.end();
    },
  ];
  const s = await remoteScene(t, dropping(...nothing, ...nothing), { limits: { resumeTriesMax: 4 } });
  s.client.send(call(1, 'x'));
  await turnUntil(s, 1_000, () => s.client.got.some((line) => line.includes('"id":1')));
  assert.match(await s.client.line('"id":1'), /broke off its answer: its stream ended without one/);
  assert.equal(gets(s).length, 4);
  assert.deepEqual(s.gate.settled, ['1 transport_error no_answer']);
});

const FINAL: readonly (readonly [string, (response: ServerResponse) => void, RegExp])[] = [
  [
    'has no streams to take up',
    (response) => response.writeHead(405).end(),
    /cannot be taken up again: it answered 405/,
  ],
  ['refuses us', (response) => response.writeHead(401).end(), /it answered 401/],
  ['redirects us', (response) => response.writeHead(302, { location: '/' }).end(), /redirect/],
  ['has no stream but a page', (response) => response.end('<html>'), /it answered 200/],
];
for (const [title, reply, words] of FINAL) {
  test(`it is given up at once where the server ${title}`, async (t) => {
    const s = await remoteScene(t, dropping(reply));
    s.client.send(call(1, 'x'));
    await turnUntil(s, 1_000, () => s.client.got.length > 0);
    assert.match(await s.client.line('"id":1'), words);
    assert.equal(gets(s).length, 1);
  });
}

test('it is given up at once where the session is over', async (t) => {
  const s = await remoteScene(
    t,
    dropping(
      (response) => response.writeHead(405).end(),
      (response) => response.writeHead(404).end(),
    ),
  );
  await s.initialize();
  await s.asked('GET');
  s.client.send(call(1, 'x'));
  await turnUntil(s, 1_000, () => s.client.got.length > 1);
  assert.match(await s.client.line('"id":1'), /has ended the session/);
  assert.deepEqual(s.gate.settled.at(-1), '1 transport_error session_ended');
});

test('it is not taken up where policy does not allow streams', async (t) => {
  const gate = scriptedGate(({ message }) => message.method !== 'transport/stream');
  const s = await remoteScene(t, dropping(answered), { gate });
  s.client.send(call(1, 'x'));
  await turnUntil(s, 1_000, () => s.client.got.length > 0);
  assert.match(await s.client.line('"id":1'), /policy does not allow it/);
  assert.equal(gets(s).length, 0);
});

test('a stream of 2026-07-28 is not taken up: that revision has no way to', async (t) => {
  const s = await remoteScene(t, dropping(answered));
  s.client.send({ id: 1, method: 'tools/call', params: { name: 'x', arguments: {}, _meta: MODERN } });
  assert.match(await s.client.line('"id":1'), /its stream ended without one/);
  assert.equal(gets(s).length, 0);
});

test('an id that no header can hold leaves the place where it was, and an empty one forgets it', async (t) => {
  const odd = (id: string) => (response: ServerResponse) => {
    stream(response)(undefined, `id: ${id}\n`);
    response.end();
  };
  const s = await remoteScene(t, dropping(odd('é'), odd(''), answered));
  s.client.send(call(1, 'x'));
  await turnUntil(s, 1_000, () => s.client.got.length > 0);
  assert.match(await s.client.line('"id":1'), /its stream ended without one/);
  assert.deepEqual(
    gets(s).map(({ headers }) => headers['last-event-id']),
    ['e1', 'e1'],
  );
});

/** A server whose GETs are answered in turn; when there are no more, with 405. */
const speaking = (...answers: readonly ((response: ServerResponse) => void)[]) => {
  const waiting = [...answers];
  return (_: unknown, response: ServerResponse, received: { readonly method: string }) => {
    const next = received.method === 'GET' ? waiting.shift() : undefined;
    next?.(response);
    return next !== undefined;
  };
};

test('what the server has to say of its own reaches the client, and the client’s answer reaches it', async (t) => {
  const asks = (response: ServerResponse): void => {
    stream(response)({ id: 'q', method: 'roots/list' });
  };
  const s = await remoteScene(t, speaking(asks));
  await s.initialize();
  await s.client.line('roots/list');
  s.client.send({ id: 'q', result: { roots: [] } });
  const { headers, body } = await s.upstream.arrived('the answer', ({ body }) => body.includes('"roots"'));
  assert.equal(headers['mcp-session-id'], 'session-1');
  assert.equal(body.toString(), '{"jsonrpc":"2.0","id":"q","result":{"roots":[]}}');
  assert.ok(s.gate.settled.includes('"q" ok'));
});

test('what policy refuses the server is answered to it, and the client does not see it', async (t) => {
  const gate = scriptedGate(({ message }) => message.method !== 'sampling/createMessage');
  const asks = (response: ServerResponse): void => {
    stream(response)({ id: 'q', method: 'sampling/createMessage', params: {} });
  };
  const s = await remoteScene(t, speaking(asks), { gate });
  await s.initialize();
  const { body } = await s.upstream.arrived('the refusal', ({ body }) => body.includes('"message":"no"'));
  assert.match(body.toString(), /"id":"q","error"/);
  assert.ok(s.client.got.every((line) => !line.includes('sampling')));
});

test('the server’s own stream is come back to, from the last event, with a growing pause or as it says', async (t) => {
  const once = (fields: string, message?: object) => (response: ServerResponse) => {
    stream(response)(message, fields);
    response.end();
  };
  const s = await remoteScene(
    t,
    speaking(
      once('id: a\n', { method: 'notifications/message', params: { n: 1 } }),
      (response) => response.writeHead(502).end(),
      (response) => response.destroy(),
      once('id: b\n'),
      once('id: c\nretry: 5\n'),
      once(''),
    ),
  );
  await s.initialize();
  await s.asked('GET');
  const pauses: number[] = [];
  for (let at = 1; at <= 6; at += 1) {
    await turnUntil(s, 0, () => s.clock.waiting.length > 0);
    const [ms = 0] = s.clock.waiting;
    pauses.push(ms);
    s.clock.turn(ms);
    await turnUntil(s, 0, () => gets(s).length > at);
  }
  assert.deepEqual(pauses, [1_000, 2_000, 4_000, 1_000, 100, 200]);
  assert.deepEqual(
    gets(s).map(({ headers }) => headers['last-event-id']),
    [undefined, 'a', 'a', 'a', 'b', 'c', 'c'],
  );
});

test('where the server has no stream of its own, or policy allows none, it is not asked again', async (t) => {
  const none = await remoteScene(t, speaking());
  await none.initialize();
  await none.asked('GET');
  const gate = scriptedGate(({ message }) => message.method !== 'transport/stream');
  const denied = await remoteScene(t, speaking(), { gate });
  await denied.initialize();
  denied.client.send(call(1, 'x'), { method: 'notifications/initialized' }, call(2, 'x'));
  await denied.client.line('"id":2');
  assert.equal(gets(denied).length, 0);
  none.client.send({ method: 'notifications/initialized' }, call(2, 'x'));
  await none.client.line('"id":2');
  assert.equal(gets(none).length, 1);
  assert.deepEqual(none.clock.waiting, []);
});
