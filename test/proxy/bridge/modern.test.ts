/** Many requests of 2026-07-28 in one process: each gets what names it, under the id that its client gave it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import {
  answerTo,
  BOB,
  bridgeScene,
  CHANGED,
  FILES,
  log,
  progress,
  reader,
  lineAt,
  lineOf,
  idIn,
  modern,
} from '../../support/bridge-scene.ts';
import { oddCall } from '../../support/odd-call.ts';

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';
const LOGS = { 'io.modelcontextprotocol/logLevel': 'info' };
const ALL = { ...FILES, share: 'all' } as const;
const changedFor = (subscription: unknown) => ({
  ...CHANGED,
  params: { _meta: { [SUBSCRIPTION]: subscription } },
});
const listen = (id: number | string) =>
  modern(id, 'subscriptions/listen', {}, { notifications: { toolsListChanged: true } });

/** A notification of the modern era. */
function notice(method: string, params: object): object {
  const { params: enclosed } = modern(0, method, {}, params) as { params: object };
  return { method, params: enclosed };
}

describe('a request of 2026-07-28', () => {
  test('needs no session, starts the process, and is answered under its own id', async (t) => {
    const scene = bridgeScene(t);
    const answer = scene.ask({ body: modern('mine') });
    const server = await scene.server(0);
    const id = idIn(await lineOf(scene, 0));
    assert.notEqual(id, 'mine');
    server.say(answerTo(id));
    const { status, headers, body } = await answer;
    assert.deepEqual(
      [status, headers['content-type'], headers['mcp-session-id']],
      [200, 'application/json', undefined],
    );
    assert.equal(body, '{"jsonrpc":"2.0","id":"mine","result":{"content":[]}}');
  });

  test('shares the process with others that have the same id, and gets its own answer', async (t) => {
    const scene = bridgeScene(t);
    const answers = [scene.ask({ body: modern(1) }), scene.ask({ body: modern(1) })];
    const ids = [idIn(await lineOf(scene, 0)), idIn(await lineOf(scene, 1))];
    const server = await scene.server(0);
    server.say(answerTo(ids[1], { n: 2 }), answerTo(ids[0], { n: 1 }));
    const bodies = (await Promise.all(answers)).map(({ body }) => JSON.parse(body));
    assert.deepEqual(
      bodies.map(({ id, result: { n } }) => [id, n]),
      [
        [1, 1],
        [1, 2],
      ],
    );
    assert.equal(scene.servers.length, 1);
  });

  test('shares no process with those of another caller, unless all are to share one', async (t) => {
    const scene = bridgeScene(t);
    void scene.send({ body: modern(1) });
    void scene.send({ body: modern(1), identity: BOB });
    await lineOf(scene, 0, 0);
    await lineOf(scene, 0, 1);
    void scene.send({ body: modern(1), upstream: ALL });
    void scene.send({ body: modern(1), upstream: ALL, identity: BOB });
    await lineOf(scene, 1, 2);
    assert.equal(scene.servers.length, 3);
  });

  test('reaches the process byte for byte but for its id, and its answer comes back so', async (t) => {
    const scene = bridgeScene(t);
    const id = /("id"\s*:\s*)("[^"]*"|-?\d+)/;
    let sent = 0;
    await fc.assert(
      fc.asyncProperty(oddCall(/^[ \t\r\n]*$/), async (odd) => {
        const body = odd.replace(
          '"arguments":{',
          '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"},$&',
        );
        const answer = scene.ask({ body });
        const line = await lineAt(await scene.server(0), sent);
        sent += 1;
        assert.equal(line, body.replaceAll(/[\r\n]/g, ' ').replace(id, `$1${sent}`));
        const rest = '"result":{"content":[], "n": 9007199254740993, "s":"\\u0041\u2028"}, "jsonrpc" :"2.0"}';
        scene.servers[0]?.say(`{"id": ${sent} ,${rest}`);
        const given = id.exec(body)?.[2] ?? assert.fail(body);
        // A string's value counts, not how it was written.
        const own = given.startsWith('"') ? JSON.stringify(JSON.parse(given)) : given;
        assert.equal((await answer).body, `{"id": ${own} ,${rest}`);
      }),
    );
  });

  test('gets its progress under its own token, whoever else has the same', async (t) => {
    const scene = bridgeScene(t);
    const answers = ['a', 'b'].map((id) =>
      scene.ask({ body: modern(id, 'tools/call', { progressToken: 'p' }) }),
    );
    const lines = [await lineOf(scene, 0), await lineOf(scene, 1)];
    const tokens = lines.map((line) => JSON.parse(line).params._meta.progressToken as number);
    assert.notEqual(tokens[0], tokens[1]);
    const server = await scene.server(0);
    server.say(
      progress(tokens[1], 5),
      progress('p', 9),
      answerTo(idIn(lines[0] ?? '')),
      answerTo(idIn(lines[1] ?? '')),
    );
    const [first, second] = await Promise.all(answers);
    assert.doesNotMatch(first?.body ?? '', /progress/);
    assert.match(second?.body ?? '', /^data: .*"progressToken":"p","progress":5.*\n\ndata: .*"id":"b"/);
    // There is no resumption in this revision.
    assert.doesNotMatch(second?.body ?? '', /^id:/m);
  });

  test('cannot have the token of another, however it writes it', async (t) => {
    const scene = bridgeScene(t);
    const victim = scene.ask({ body: modern(1, 'tools/call', { progressToken: 'p' }), upstream: ALL });
    const id = idIn(await lineOf(scene, 0));
    const spellings = [`${id}.0`, `${id}e0`, `[${id}]`, 'null', 'true'];
    for (const [index, spelling] of spellings.entries()) {
      const body = JSON.stringify({
        jsonrpc: '2.0',
        ...modern(2, 'tools/call', { progressToken: 'TOKEN' }),
      }).replace('"TOKEN"', spelling);
      const answer = scene.ask({ body, upstream: ALL, identity: BOB });
      const line = await lineOf(scene, index + 1);
      const { progressToken } = JSON.parse(line).params._meta as { progressToken: unknown };
      assert.equal(progressToken, idIn(line), spelling);
      (await scene.server(0)).say(progress(progressToken, 5), answerTo(idIn(line)));
      const { body: got } = await answer;
      // What MCP has as tokens comes back as it was sent.
      assert.equal(got.includes(`"progressToken":${spelling}`), /^\d/.test(spelling), spelling);
    }
    (await scene.server(0)).say(answerTo(id));
    assert.doesNotMatch((await victim).body, /progress/);
  });

  test('without a token gets no progress, whatever the server names', async (t) => {
    const scene = bridgeScene(t);
    const answer = scene.ask({ body: modern(1) });
    const id = idIn(await lineOf(scene, 0));
    (await scene.server(0)).say(progress(id), answerTo(id));
    assert.doesNotMatch((await answer).body, /progress/);
  });

  test('gets log messages where it alone has asked for them, and else nobody does', async (t) => {
    const scene = bridgeScene(t);
    const asking = [
      scene.ask({ body: modern('quiet') }),
      scene.ask({ body: modern('a', 'tools/call', LOGS) }),
    ];
    const ids = [idIn(await lineOf(scene, 0)), idIn(await lineOf(scene, 1))];
    const server = await scene.server(0);
    server.say(log('for a'));
    const third = scene.ask({ body: modern('b', 'tools/call', LOGS) });
    ids.push(idIn(await lineOf(scene, 2)));
    server.say(log('for whom?'), ...ids.map((id) => answerTo(id)));
    const bodies = (await Promise.all([...asking, third])).map(({ body }) => body);
    assert.deepEqual(
      bodies.map((body) => /for a|for whom/.exec(body)?.[0]),
      [undefined, 'for a', undefined],
    );
  });

  test('whose client goes is cancelled at the server, and its answer goes to nobody', async (t) => {
    const scene = bridgeScene(t);
    const gone = new AbortController();
    const answer = scene.send({ body: modern('mine'), signal: gone.signal });
    const id = idIn(await lineOf(scene, 0));
    gone.abort('client_closed');
    assert.partialDeepStrictEqual(await answer, { ok: false, code: 'ABORT_ERR' });
    const server = await scene.server(0);
    const cancelled = JSON.parse(await server.line('notifications/cancelled'));
    assert.deepEqual(cancelled.params, { requestId: id });
    server.say(answerTo(id));
    const next = scene.ask({ body: modern(2) });
    server.say(answerTo(idIn(await lineOf(scene, 1))));
    assert.equal((await next).status, 200);
  });

  test('that has been answered is not cancelled when its connection closes', async (t) => {
    const scene = bridgeScene(t);
    const gone = new AbortController();
    const answer = scene.ask({ body: modern(1), signal: gone.signal });
    const id = idIn(await lineOf(scene, 0));
    const server = await scene.server(0);
    server.say(answerTo(id));
    await answer;
    gone.abort('client_closed');
    void scene.send({ body: modern(2) });
    await lineOf(scene, 1);
    assert.doesNotMatch(server.got.join(), /cancelled/);
  });

  test('is cancelled by a message too, where that can mean one request of the caller only', async (t) => {
    const scene = bridgeScene(t);
    const cancel = (requestId: unknown) => notice('notifications/cancelled', { requestId });
    const asked = [
      scene.ask({ body: modern(1), upstream: ALL }),
      scene.ask({ body: modern(1), upstream: ALL }),
    ];
    const ids = [idIn(await lineOf(scene, 0)), idIn(await lineOf(scene, 1))];
    const server = await scene.server(0);
    assert.equal((await scene.ask({ body: cancel(1), upstream: ALL })).status, 202);
    server.say(answerTo(ids[0]));
    await asked[0];
    assert.equal((await scene.ask({ body: cancel(1), upstream: ALL, identity: BOB })).status, 202);
    assert.doesNotMatch(server.got.join(), /cancelled/);
    await scene.ask({ body: cancel(1), upstream: ALL });
    assert.match((await asked[1])?.body ?? '', /"id":1,"error":\{"code":-31499/);
    assert.deepEqual(JSON.parse(await server.line('cancelled')).params, { requestId: ids[1] });
  });

  test('has the status that its error has over HTTP', async (t) => {
    const scene = bridgeScene(t);
    const STATUSES = [
      [-32_601, 404],
      [-32_020, 400],
      [-32_021, 400],
      [-32_022, 400],
      [-32_602, 200],
      [-32_603, 200],
      [7, 200],
    ];
    for (const [at, [code, status]] of STATUSES.entries()) {
      const answer = scene.ask({ body: modern(1) });
      const id = idIn(await lineOf(scene, at));
      (await scene.server(0)).say({ id, error: { code, message: 'no' } });
      assert.equal((await answer).status, status, String(code));
    }
  });

  test('without all of its envelope has status 400 where its server finds that', async (t) => {
    const scene = bridgeScene(t);
    const _meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
    const answer = scene.ask({ body: { id: 1, method: 'tools/call', params: { name: 'read', _meta } } });
    const id = idIn(await lineOf(scene, 0));
    (await scene.server(0)).say({ id, error: { code: -32_602, message: 'no capabilities' } });
    assert.equal((await answer).status, 400);
  });

  test('whose headers do not say what its arguments do is refused, once its server has listed the tool', async (t) => {
    const scene = bridgeScene(t);
    const headers = { 'mcp-param-region': 'eu' };
    const body = modern(1, 'tools/call', {}, { arguments: { region: 'us' } });
    const unknown = scene.ask({ body, headers });
    const server = await scene.server(0);
    server.say(answerTo(idIn(await lineOf(scene, 0))));
    assert.equal((await unknown).status, 200);
    const list = scene.ask({ body: modern(2, 'tools/list') });
    const region = { type: 'string', 'x-mcp-header': 'Region' };
    const read = { name: 'read', inputSchema: { type: 'object', properties: { region } } };
    server.say({ id: idIn(await lineAt(server, 1)), result: { tools: [read] } });
    await list;
    const refused = await scene.ask({ body, headers });
    assert.equal(refused.status, 400);
    assert.match(refused.body, /"id":1,"error":\{"code":-32020,.*Mcp-Param-Region/);
    const good = scene.ask({ body, headers: { 'mcp-param-region': 'us' } });
    server.say(answerTo(idIn(await lineOf(scene, 1))));
    assert.equal((await good).status, 200);
  });

  test('is refused where its client takes neither form', async (t) => {
    const scene = bridgeScene(t);
    assert.equal((await scene.ask({ body: modern(1), headers: { accept: 'text/html' } })).status, 406);
    assert.equal(scene.servers.length, 0);
  });

  test('beyond as many as may be open is refused', async (t) => {
    const scene = bridgeScene(t, { limits: { openMax: 1 } });
    const first = scene.ask({ body: modern(1) });
    const id = idIn(await lineOf(scene, 0));
    assert.equal((await scene.ask({ body: modern(2) })).status, 503);
    (await scene.server(0)).say(answerTo(id));
    assert.equal((await first).status, 200);
  });

  test('whose client does not read loses what it does not read, and others lose nothing', async (t) => {
    const scene = bridgeScene(t, { limits: { unreadBytesMax: 1000 } });
    const opening = scene.open({ body: modern(1, 'tools/call', { progressToken: 1 }) });
    const id = idIn(await lineOf(scene, 0));
    const other = scene.ask({ body: modern(2) });
    const otherId = idIn(await lineOf(scene, 1));
    const server = await scene.server(0);
    for (let at = 0; at < 100; at += 1) server.say(progress(id, at, 'x'.repeat(100)));
    server.say(answerTo(otherId));
    assert.equal((await other).status, 200);
    const stream = await opening;
    assert.ok(stream.destroyed);
    assert.match(await server.line('cancelled'), new RegExp(`"requestId":${id}`));
  });

  test('whose answer is too long fails, where no other can be meant', async (t) => {
    const scene = bridgeScene(t, { limits: { lineBytesMax: 100 } });
    const answer = scene.send({ body: modern(1) });
    await lineOf(scene, 0);
    (await scene.server(0)).say('x'.repeat(101));
    assert.deepEqual(await answer, { ok: false, code: 'parse_size', connected: true });
  });
});

describe('subscriptions/listen', () => {
  test('is a stream from the start, kept alive, and gets what names it under its own id', async (t) => {
    const scene = bridgeScene(t);
    const streams = [await scene.open({ body: listen('same') }), await scene.open({ body: listen('same') })];
    const server = await scene.server(0);
    const ids = [idIn(await server.line('"id":1')), idIn(await server.line('"id":2'))];
    const [first, second] = streams.map((stream) => reader(stream));
    scene.clock.turn(15_000);
    assert.equal(await first?.(': keep-alive\n\n'), ': keep-alive\n\n');
    server.say(changedFor(ids[1]), changedFor('same'), changedFor(ids[0]));
    assert.match((await second?.('\n\n')) ?? '', /^: keep-alive/);
    assert.match((await second?.('\n\n')) ?? '', new RegExp(`"${SUBSCRIPTION}":"same"`));
    assert.match((await first?.('\n\n')) ?? '', new RegExp(`"${SUBSCRIPTION}":"same"`));
    assert.equal(streams[0]?.readableLength, 0);
  });

  test('ends with its result, or after the server has cancelled it', async (t) => {
    const scene = bridgeScene(t);
    const read = reader(await scene.open({ body: listen('l') }));
    const server = await scene.server(0);
    const id = idIn(await server.line('listen'));
    server.say({ method: 'notifications/cancelled', params: { requestId: id } });
    assert.match(await read('\n\n'), /"requestId":"l"/);
    server.say(answerTo(id, { _meta: { [SUBSCRIPTION]: id } }));
    const end = await read('\n\n');
    assert.match(end, /"id":"l"/);
    assert.match(end, new RegExp(`"${SUBSCRIPTION}":"l"`));
    await assert.rejects(read('more'), /the stream ended/);
  });

  test('is cancelled at the server when its client goes', async (t) => {
    const scene = bridgeScene(t);
    const gone = new AbortController();
    await scene.open({ body: listen('l'), signal: gone.signal });
    const server = await scene.server(0);
    const id = idIn(await server.line('listen'));
    gone.abort('client_closed');
    assert.match(await server.line('cancelled'), new RegExp(`"requestId":${id}`));
  });
});
