/** Requests in a session over a pipe: what reaches the process, and in which form the answer comes back. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseMessage } from '../../../src/proxy/message/message.ts';
import {
  ACCEPT,
  ALICE,
  answerTo,
  bridgeScene,
  call,
  FILES,
  progress,
  reader,
} from '../../support/bridge-scene.ts';
import { isHeld } from '../../support/garbage.ts';

const SSE = { accept: 'text/event-stream' };
const JSON_ONLY = { accept: 'application/json' };
const errorOf = (body: string) => (JSON.parse(body) as { error: { code: number; message: string } }).error;

describe('a request in a session', () => {
  test('that its client has left without an answer is not kept whole', async (t) => {
    const { bridge, begin, servers } = bridgeScene(t);
    const session = await begin();
    const leave = async (): Promise<WeakRef<object>> => {
      const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...call('a-long-id-of-its-own') }));
      const parsed = parseMessage(body);
      assert.ok(parsed.ok);
      const left = new AbortController();
      const sent = bridge.send({
        upstream: FILES,
        method: 'POST',
        headers: { accept: ACCEPT, 'mcp-session-id': session },
        body,
        message: parsed.message,
        origin: { server: { name: 'files' }, transport: 'tcp', identity: ALICE, claimed: {} },
        signal: left.signal,
      });
      await servers[0]?.line('a-long-id-of-its-own');
      left.abort();
      assert.equal((await sent).ok, false);
      return new WeakRef(body);
    };
    assert.equal(await isHeld(await leave()), false);
  });

  test('goes to the process byte for byte, on one line, and its answer comes back so', async (t) => {
    const { begin, ask, servers } = bridgeScene(t);
    const session = await begin();
    const odd =
      '{ "id" : 12345678901234567890 ,\r\n "jsonrpc":"2.0", "method":"tools\\/call",\n"params":{"name":"r","arguments":{"n":1.0}}}';
    const answer = ask({ session, body: odd });
    const line = await servers[0]?.line('12345678901234567890');
    assert.equal(line, odd.replaceAll(/[\r\n]/g, ' '));
    const said = '{"jsonrpc":"2.0", "result":{"n":1.0},"id":12345678901234567890}';
    servers[0]?.say(said);
    assert.partialDeepStrictEqual(await answer, { status: 200, body: said });
  });

  test('is answered with JSON where nothing comes before the answer', async (t) => {
    const { begin, ask, servers } = bridgeScene(t);
    const session = await begin();
    const answer = ask({ session, body: call(1) });
    await servers[0]?.line('"id":1');
    servers[0]?.say(answerTo(1));
    assert.partialDeepStrictEqual(await answer, {
      status: 200,
      headers: { 'content-type': 'application/json' },
    });
  });

  test('is answered with a stream where its progress comes first, each event with an id', async (t) => {
    const { begin, ask, servers } = bridgeScene(t);
    const session = await begin();
    const answer = ask({ session, body: call(1, { progressToken: 'p' }) });
    await servers[0]?.line('"id":1');
    servers[0]?.say(progress('p', 1), progress('p', 2), answerTo(1));
    const { headers, body } = await answer;
    assert.equal(headers['content-type'], 'text/event-stream');
    assert.deepEqual(body.match(/^id: .*$/gm), ['id: 2-1', 'id: 2-2', 'id: 2-3']);
    assert.deepEqual(body.match(/"progress":\d|"result"/g), ['"progress":1', '"progress":2', '"result"']);
  });

  test('is answered with a stream where the client takes nothing else', async (t) => {
    const { begin, ask, servers } = bridgeScene(t);
    const session = await begin();
    const answer = ask({ session, body: call(1), headers: SSE });
    await servers[0]?.line('"id":1');
    servers[0]?.say(answerTo(1));
    assert.match((await answer).body, /^id: 2-1\ndata: \{.*"id":1.*\}\n\n$/);
  });

  test('gets a stream when nothing has come for a while, and comments from then on', async (t) => {
    const { begin, open, servers, clock } = bridgeScene(t);
    const session = await begin();
    const opening = open({ session, body: call(1) });
    await servers[0]?.line('"id":1');
    clock.turn(15_000);
    const read = reader(await opening);
    assert.equal(await read(': keep-alive\n\n'), 'id: 2-0\ndata: \n\n: keep-alive\n\n');
    clock.turn(15_000);
    assert.equal(await read(': keep-alive\n\n'), ': keep-alive\n\n');
    servers[0]?.say(answerTo(1));
    assert.match(await read('\n\n'), /^id: 2-1\ndata: .*"result"/);
  });

  test('gets no event with nothing but an id where its client does not know those', async (t) => {
    const { begin, open, servers, clock } = bridgeScene(t);
    const session = await begin({ version: '2025-06-18' });
    const opening = open({ session, body: call(1) });
    await servers[0]?.line('"id":1');
    clock.turn(15_000);
    assert.equal(await reader(await opening)(': keep-alive\n\n'), ': keep-alive\n\n');
  });

  test('is refused where the client takes neither form', async (t) => {
    const { begin, ask, servers } = bridgeScene(t);
    const session = await begin();
    assert.equal((await ask({ session, body: call(1), headers: { accept: 'text/html' } })).status, 406);
    assert.equal((await ask({ session, headers: JSON_ONLY })).status, 406);
    const page = { accept: 'text/html' };
    assert.equal((await ask({ session, headers: page, body: { method: 'ping-pong' } })).status, 202);
    assert.equal((await ask({ session, headers: page, method: 'DELETE' })).status, 200);
    assert.equal(servers[0]?.got.length, 2);
  });

  test('with the id of one that is not answered yet is refused', async (t) => {
    const { begin, ask, send, servers } = bridgeScene(t);
    const session = await begin();
    const first = send({ session, body: call(1) });
    await servers[0]?.line('"id":1');
    const second = await ask({ session, body: call(1) });
    assert.equal(second.status, 400);
    assert.match(errorOf(second.body).message, /not answered yet/);
    servers[0]?.say(answerTo(1));
    assert.ok((await first).ok);
  });

  test('too many are refused, but for one whose client has gone', async (t) => {
    const { begin, ask, send, servers } = bridgeScene(t, { limits: { openMax: 1 } });
    const session = await begin();
    const gone = new AbortController();
    const first = send({ session, body: call(1), signal: gone.signal });
    await servers[0]?.line('"id":1');
    assert.equal((await ask({ session, body: call(2) })).status, 503);
    gone.abort('client_closed');
    await first;
    const third = ask({ session, body: call(3) });
    await servers[0]?.line('"id":3');
    servers[0]?.say(answerTo(3));
    assert.equal((await third).status, 200);
  });

  test('whose client goes before it was written never reaches the process', async (t) => {
    const { begin, send, servers } = bridgeScene(t);
    const session = await begin();
    const gone = new AbortController();
    gone.abort('client_closed');
    await send({ session, body: call(1), signal: gone.signal });
    await servers[0]?.line('initialize');
    assert.equal(servers[0]?.got.length, 1);
  });

  test('that its client takes back is answered for the server after a while, if that says nothing', async (t) => {
    const { begin, ask, servers, clock } = bridgeScene(t);
    const session = await begin();
    const answer = ask({ session, body: call(1) });
    await servers[0]?.line('"id":1');
    const cancel = { method: 'notifications/cancelled', params: { requestId: 1 } };
    assert.equal((await ask({ session, body: cancel })).status, 202);
    await servers[0]?.line('cancelled');
    clock.turn(5000);
    assert.equal(errorOf((await answer).body).code, -31_499);
    servers[0]?.say(answerTo(1));
    const again = ask({ session, body: call(1) });
    await servers[0]?.line('"id":1');
    servers[0]?.say(answerTo(1));
    assert.match((await again).body, /"result"/);
  });

  test('that its client takes back is answered by the server, if that still does', async (t) => {
    const { begin, ask, servers, clock } = bridgeScene(t);
    const session = await begin();
    const answer = ask({ session, body: call(1) });
    await servers[0]?.line('"id":1');
    await ask({ session, body: { method: 'notifications/cancelled', params: { requestId: 1 } } });
    servers[0]?.say(answerTo(1));
    assert.match((await answer).body, /"result"/);
    clock.turn(5000);
  });

  test('that its client takes back is answered once, however often, and a later one of its id is not', async (t) => {
    const { begin, ask, servers, clock } = bridgeScene(t);
    const session = await begin();
    const cancel = { session, body: { method: 'notifications/cancelled', params: { requestId: 1 } } };
    const first = ask({ session, body: call(1) });
    await servers[0]?.line('"id":1');
    const timers = clock.waiting.length;
    await ask(cancel);
    await ask(cancel);
    assert.equal(clock.waiting.length, timers + 1);
    servers[0]?.say(answerTo(1));
    await first;
    const second = ask({ session, body: call(1) });
    clock.turn(5000);
    servers[0]?.say(answerTo(1));
    assert.match((await second).body, /"result"/);
  });

  test('whose answer is too long fails, where no other can be meant', async (t) => {
    const { begin, send, servers, notes } = bridgeScene(t, { limits: { lineBytesMax: 100 } });
    const session = await begin();
    const answer = send({ session, body: call(1) });
    await servers[0]?.line('"id":1');
    servers[0]?.say('x'.repeat(101));
    assert.deepEqual(await answer, { ok: false, code: 'parse_size', connected: true });
    assert.match(notes.lines.join(), /a line of more than 100 bytes was dropped/);
  });
});
