/** What clients of the soak do that write HTTP by hand: some behave, most do not. Each act throws where we do wrong. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { readVectors, type Vector } from '../../corpus/vectors.ts';
import { within } from '../within.ts';
import { callEcho, openSession, postModern, withAgent } from './sessions.ts';
import { begin, callTool, expect, oneOf, read, send, textOf, type Sent, type Wire } from './wire.ts';

export interface Act {
  readonly name: string;
  /** How often it is done, beside the others. */
  readonly weight: number;
  run(wire: Wire): Promise<void>;
}

const VECTOR_BYTES_MAX = 64 * 1024;
/** Headers that decide who asks and in which trace, which here are ours to set. */
const OWN_HEADERS = /^(traceparent|tracestate|authorization|host|content-length|transfer-encoding)$/i;

/** Messages of the corpus that are refused, whoever sends them. */
const GARBAGE = readVectors().filter(
  ({ transports, expect: { is }, headers = [], message }) =>
    transports.includes('http') &&
    is === 'refused' &&
    message.length < VECTOR_BYTES_MAX &&
    headers.every(([name]) => !OWN_HEADERS.test(name)) &&
    new Set(headers.map(([name]) => name.toLowerCase())).size === headers.length,
);

async function legacySession(wire: Wire): Promise<void> {
  const key = oneOf(wire.random, [wire.keys.all, wire.keys.few]);
  await withAgent(async (agent) => {
    const session = await openSession(wire, key, agent);
    for (let calls = wire.random(5) + 1; calls > 0; calls -= 1) await callEcho(wire, session, key);
    expect('ping', await read(session.post({ method: 'ping' }, 'silent')), 200);
    expect('a denied call', await read(session.post(callTool('delete_all'), 'deny')), 200, /"isError":true/);
    // Most clients never end their sessions.
    if (wire.random(3) === 0) expect('delete', await read(session.end()), 200);
  });
}

async function modernCalls(wire: Wire): Promise<void> {
  const { all, few } = wire.keys;
  await callEcho(wire, undefined, all);
  expect('discover', await read(postModern(wire, { method: 'server/discover' }, 'allow', few)), 200);
  expect('tools/list', await read(postModern(wire, { method: 'tools/list' }, 'allow', all)), 200);
  const denied = postModern(wire, callTool('slow', { ms: 1 }), 'deny', few);
  expect('a call beyond the grants of a key', await read(denied), 200, /"isError":true/);
}

async function garbage(wire: Wire): Promise<void> {
  const vector = oneOf(wire.random, GARBAGE);
  const headers = Object.fromEntries(
    (vector.headers ?? []).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const body = vector.message;
  const answer = await read(
    send(wire, { fate: 'reject', method: vector.id, body, key: wire.keys.all, headers }),
  );
  if (answer.status < 400 && !isUnasked(vector))
    throw new Error(`${vector.id} was answered ${answer.status}`);
}

function isUnasked({ expect: wanted }: Vector): boolean {
  return wanted.is === 'refused' && wanted.reason === 'unasked_response';
}

/** What no HTTP server can read, and what ours does not serve. */
const NOISE = [
  'EHLO proxy.example\r\n\r\n',
  '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003',
  'POST /up/mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nno colon\r\n\r\n',
  'POST /up/mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345',
  `GET /up/mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`,
  'POST /up/mcp HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
  'POST /nowhere/mcp HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
  'CONNECT example:443 HTTP/1.1\r\nHost: example:443\r\n\r\n',
];

async function noHttp(wire: Wire): Promise<void> {
  const text = oneOf(wire.random, NOISE).replace('HOST', wire.url.host);
  const socket = connect(Number(wire.url.port), '127.0.0.1');
  let answer = '';
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
  socket.end(text, 'latin1');
  await within(`an end to ${JSON.stringify(text.slice(0, 40))}`, once(socket, 'close'), 60_000);
  wire.ledger.sendUntraced(1, answer.startsWith('HTTP/1.1 4'));
}

/** Nobody whom we know. */
async function stranger(wire: Wire): Promise<void> {
  const keys = [undefined, 'k_unknown00000_' + 'A'.repeat(43), 'not a key'];
  // Now and then a flood, of which most is only counted.
  const count = wire.random(8) === 0 ? 40 : 1;
  const body = textOf(callTool('echo', { text: 'anonymous' }));
  const answers = Array.from({ length: count }, () =>
    read(send(wire, { fate: 'reject', method: 'tools/call', body, key: oneOf(wire.random, keys) })),
  );
  for (const answer of await Promise.all(answers)) expect('a stranger', answer, 401);
}

async function foreignSession(wire: Wire): Promise<void> {
  await withAgent(async (agent) => {
    const session = await openSession(wire, wire.keys.all, agent);
    const sent = session.post(callTool('echo'), 'reject', wire.keys.few);
    const { status, text } = await read(sent);
    if (status < 400) throw new Error(`a session was open to another caller: ${text}`);
  });
}

const PIECES = 8;

/** A body that comes in pieces, which is fine, or that stops coming. */
async function slowWriter(wire: Wire): Promise<void> {
  const key = wire.keys.all;
  await withAgent(async (agent) => {
    const session = await openSession(wire, key, agent);
    const body = textOf(callTool('echo', { text: 'slowly' }));
    const stops = wire.random(2) === 0;
    const headers = { 'mcp-session-id': session.id };
    const fate = stops ? 'reject' : 'allow';
    const sent = begin(wire, { fate, method: 'tools/call', key, headers, agent }, body.length);
    const size = Math.ceil(body.length / PIECES);
    for (let piece = 0; piece < PIECES - (stops ? 2 : 0); piece += 1) {
      sent.request.write(body.slice(piece * size, (piece + 1) * size));
      await wait(wire.random(300));
    }
    if (stops) sent.request.destroy();
    else {
      sent.request.end();
      expect('a slow body', await read(sent), 200, /"text":"slowly"/);
    }
  });
}

const FLOOD_EVENTS = 64;

/** Reads a long stream with pauses, to its end or not. */
async function slowReader(wire: Wire): Promise<void> {
  await withAgent(async (agent) => {
    const session = await openSession(wire, wire.keys.all, agent);
    const sent = session.post(callTool('flood', { events: FLOOD_EVENTS }), 'allow');
    const incoming = await within('a flood', sent.response, 60_000);
    incoming.pause();
    await wait(500 + wire.random(1500));
    if (wire.random(2) === 0) incoming.destroy();
    else expect('a flood', await read(sent, 5), 200, /flooded/);
  });
}

/** Goes while its call runs, before or after the head of the answer. */
async function vanisher(wire: Wire): Promise<void> {
  const call = callTool('slow', { ms: 2000 });
  const vanish = async (sent: Sent): Promise<void> => {
    await wait(wire.random(400));
    sent.request.destroy();
  };
  if (wire.random(2) === 0) {
    await vanish(postModern(wire, call, 'allow', wire.keys.all));
    return;
  }
  await withAgent(async (agent) => {
    const session = await openSession(wire, wire.keys.all, agent);
    await vanish(session.post(call, 'allow'));
  });
}

async function canceller(wire: Wire): Promise<void> {
  await withAgent(async (agent) => {
    const session = await openSession(wire, wire.keys.all, agent);
    const id = randomUUID();
    const sent = session.post({ ...callTool('slow', { ms: 30_000 }), id }, 'allow');
    await within('the head of a slow answer', sent.response, 60_000);
    const params = { requestId: id, reason: 'the soak' };
    const cancel = { method: 'notifications/cancelled', params, notification: true };
    expect('cancelled', await read(session.post(cancel, 'silent')), 202);
    sent.request.destroy();
  });
}

/** Holds the stream of a session open for a while. */
async function listener(wire: Wire): Promise<void> {
  await withAgent(async (agent) => {
    const session = await openSession(wire, wire.keys.all, agent);
    const sent = session.stream();
    await within('the head of a stream', sent.response, 60_000);
    await wait(wire.random(4000));
    sent.request.destroy();
  });
}

/** Holds a connection and says nothing, or half of a head. */
async function idler(wire: Wire): Promise<void> {
  const socket = connect(Number(wire.url.port), '127.0.0.1');
  socket.on('error', () => {});
  socket.resume();
  await once(socket, 'connect');
  if (wire.random(2) === 0) {
    socket.write('POST /up/mcp HTTP/1.1\r\nHost: 127');
    wire.ledger.sendUntraced(1, false);
  }
  await wait(wire.random(4000));
  socket.destroy();
}

export const ACTS: readonly Act[] = [
  { name: 'a session', weight: 6, run: legacySession },
  { name: 'calls without a session', weight: 6, run: modernCalls },
  { name: 'garbage', weight: 8, run: garbage },
  { name: 'no HTTP', weight: 4, run: noHttp },
  { name: 'strangers', weight: 3, run: stranger },
  { name: 'another’s session', weight: 1, run: foreignSession },
  { name: 'a slow writer', weight: 2, run: slowWriter },
  { name: 'a slow reader', weight: 1, run: slowReader },
  { name: 'one that vanishes', weight: 3, run: vanisher },
  { name: 'one that cancels', weight: 2, run: canceller },
  { name: 'one that listens', weight: 2, run: listener },
  { name: 'one that is idle', weight: 2, run: idler },
];
