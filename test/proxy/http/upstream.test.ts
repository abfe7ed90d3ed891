/** Upstreams that answer in ways that no server should: the call fails, its outcome says so, and nothing hangs. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { ANONYMOUS } from '../../../src/identity/identity.ts';
import { createUpstreamClient, type UpstreamAnswer } from '../../../src/proxy/http/upstream.ts';
import { callTool, scene, scriptedGate, send } from '../../support/http-scene.ts';
import { type ScriptedUpstream, startUpstream } from '../../support/scripted-upstream.ts';
import { within } from '../../support/within.ts';

const RESULT = '{"jsonrpc":"2.0","id":1,"result":{}}';

/** A scene whose upstream says these words to every request. */
async function saying(t: TestContext, answer: string) {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.write(answer));
    t.after(() => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const upstreamUrl = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`);
  return await scene(t, { upstreamUrl });
}

const CASES: [what: string, head: string, outcome: string][] = [
  ['a switch of protocols', '101 Switching\r\nConnection: upgrade\r\nUpgrade: x', 'upgrade'],
  ['status 099', `099 Odd\r\nContent-Length: ${RESULT.length}`, 'http_status'],
  ['status 600', `600 Odd\r\nContent-Length: ${RESULT.length}`, 'http_status'],
  ['status 999', `999 Odd\r\nContent-Length: ${RESULT.length}`, 'http_status'],
];
for (const [what, head, outcome] of CASES) {
  test(`${what} is a failed call, for the record and for the client`, async (t) => {
    const { port, gate } = await saying(t, `HTTP/1.1 ${head}\r\n\r\n${RESULT}`);
    const answer = await within('an answer', send(port, { body: callTool(1) }));
    assert.match(answer.body.toString(), /"id":1,"error":\{"code":-31502/);
    assert.partialDeepStrictEqual(gate.settled, [{ status: 'transport_error', errorType: outcome }]);
  });
}

for (const type of ['application/json; charset=utf-7', 'application/json, text/html;charset=utf-16']) {
  test(`an answer that says it is ${type} reaches the client without the charset`, async (t) => {
    const length = `Content-Length: ${RESULT.length}`;
    const { port } = await saying(
      t,
      `HTTP/1.1 200 OK\r\n${length}\r\nContent-Type: ${type}\r\n\r\n${RESULT}`,
    );
    const answer = await send(port, { body: callTool(1) });
    assert.deepEqual([answer.headers['content-type'], answer.body.toString()], ['application/json', RESULT]);
  });
}

test('a request that is given up when its answer has come and has not been read harms nobody', async (t) => {
  const upstream = await startUpstream((_, response) => void response.end(RESULT));
  t.after(() => upstream.close());
  const client = createUpstreamClient({ connectTimeoutMs: 1_000 });
  t.after(() => client.close());
  const given = new AbortController();
  const { url } = upstream;
  const sent = await client.send({
    upstream: { kind: 'http', name: 'files', url, headers: {} },
    method: 'POST',
    headers: {},
    body: Buffer.from('{}'),
    origin: { server: { name: 'files' }, transport: 'tcp', identity: ANONYMOUS, claimed: {} },
    signal: given.signal,
  });
  assert.ok(sent.ok);
  const { response } = sent;
  await within('a whole answer', whole(response));
  // Whoever is reading hears of it, or not. That the process lives is what is tested.
  const read = (async () => {
    for await (const _ of response) given.abort();
  })();
  await read.catch(() => undefined);
  await within('the end of the connection', gone(upstream));
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function whole(response: UpstreamAnswer): Promise<void> {
  while (!('complete' in response && response.complete === true)) await turn();
}

async function gone({ connections }: ScriptedUpstream): Promise<void> {
  while ((await connections()) > 0) await turn();
}

/** Where Python's `str.splitlines` ends a line; the standard knows the first two only. */
const SPLITLINES = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/;
const HIDDEN = '{"jsonrpc":"2.0","id":9,"method":"sampling/createMessage","params":{}}';
for (const end of ['\u2028', '\u2029', '\u0085', '\v', '\f', '\x1c', '\x1d', '\x1e']) {
  const name = `U+${end.charCodeAt(0).toString(16).padStart(4, '0')}`;
  for (const field of [': x', 'id: 1', 'event: x', 'foo: x', 'retry: 1']) {
    test(`a request of the server behind ${name} in "${field}" reaches no client`, async (t) => {
      const { port } = await scene(t, {
        upstream(_, response) {
          response.writeHead(200, { 'content-type': 'text/event-stream' });
          response.end(`${field}${end}data: ${HIDDEN}${end}${end}\n\ndata: ${RESULT}\n\n`);
        },
      });
      const body = (await send(port, { body: callTool(1) })).body.toString();
      assert.deepEqual(
        body.split(SPLITLINES).filter((line) => line.startsWith('data')),
        [`data: ${RESULT}`],
      );
    });
  }
}

test('an answer that lenient readers split into fields is replaced by an error, and recorded', async (t) => {
  const odd = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { text: 'a\u2028data: b' } });
  const { port, gate } = await scene(t, {
    upstream(_, response) {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`id: 7\ndata: ${odd}\n\n`);
    },
  });
  const body = (await send(port, { body: callTool(1) })).body.toString();
  assert.match(body, /^id: 7\ndata: \{"jsonrpc":"2\.0","id":1,"error":\{"code":-31502,.*\}\n\n$/);
  assert.partialDeepStrictEqual(gate.settled, [{ status: 'transport_error', errorType: 'event_ambiguous' }]);
  assert.partialDeepStrictEqual(gate.rejected, [{ code: 'event_ambiguous', direction: 'to_client' }]);
});

test('a request that lenient readers split into fields is dropped, and recorded with its method', async (t) => {
  const odd = JSON.stringify({ ...JSON.parse(HIDDEN), params: { text: 'a\u2028id: b' } });
  const gate = scriptedGate();
  const { port } = await scene(t, {
    gate,
    upstream(_, response) {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`data: ${odd}\n\ndata: ${RESULT}\n\n`);
    },
  });
  assert.equal((await send(port, { body: callTool(1) })).body.toString(), `data: ${RESULT}\n\n`);
  assert.equal(gate.decided.length, 1);
  assert.partialDeepStrictEqual(gate.rejected, [
    { code: 'event_ambiguous', message: { method: 'sampling/createMessage' } },
  ]);
});

test('separators of Unicode in an answer stay as they are where nobody could be misled', async (t) => {
  const odd = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { text: 'a\u2028b\u2029c\u0085d' } });
  const { port } = await scene(t, {
    upstream(_, response) {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`data: ${odd}\n\n`);
    },
  });
  assert.equal((await send(port, { body: callTool(1) })).body.toString(), `data: ${odd}\n\n`);
});
