/** Order, and what holds whom back: many requests at once, and a slow side on either end. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { answer, messageOf, remoteScene, stream, turnUntil } from '../../../support/remote-scene.ts';
import { oddCall } from '../../../support/odd-call.ts';
import { call } from '../../../support/stdio-fixtures.ts';
import { within } from '../../../support/within.ts';

test('bytes in are bytes out, both ways, whatever a message is made of', async (t) => {
  const results: string[] = [];
  const s = await remoteScene(t, (_, response, { body }) => {
    const result = oddResult(body.toString());
    results.push(`${result}\n`);
    response.writeHead(200, { 'content-type': 'application/json' }).end(result);
  });
  const out: Buffer[] = [];
  s.client.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  const sent = fc.sample(oddCall(/^[ \t]{0,2}$/), { numRuns: 150, seed: 11 });
  for (const [at, line] of sent.entries()) {
    s.client.stdin.write(`${line}\n`);
    // One at a time, for ids come again.
    await turnUntil(s, 0, () => s.gate.settled.length > at);
  }
  assert.deepEqual(
    s.upstream.received.map(({ body }) => body.toString()),
    sent,
  );
  assert.equal(Buffer.concat(out).toString(), results.join(''));
});

/** An answer of as odd a make as its request: with the id as it is written there, and the arguments as the result. */
function oddResult(call: string): string {
  const [, id = ''] = /"id"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+)/.exec(call) ?? [];
  const start = call.indexOf('{', call.indexOf('"arguments"'));
  const args = call.slice(start, call.lastIndexOf('"name"')).replace(/\s*,\s*$/, '');
  return `{ "result":${args},"jsonrpc" :"2.0","id":${id}}`;
}

test('messages go out in the order in which they came, also where the first has to open a connection', async (t) => {
  const s = await remoteScene(t, ({ id, method }, response) => {
    // Nothing is answered until all have come.
    if (method !== 'tools/call') return false;
    void s.upstream
      .arrived('the last', ({ body }) => body.includes('"id":20'))
      .then(() => answer(response, id, {}));
    return true;
  });
  s.client.send(...Array.from({ length: 20 }, (_, at) => call(at + 1, 'x')));
  for (let id = 1; id <= 20; id += 1) await s.client.line(`"id":${id},`);
  assert.deepEqual(
    s.upstream.received.map((received) => messageOf(received).id),
    Array.from({ length: 20 }, (_, at) => at + 1),
  );
});

test('a notification is taken before what comes after it goes out, or not taken in time', async (t) => {
  const held = Promise.withResolvers<void>();
  const progress = { method: 'notifications/progress', params: { progressToken: 1, progress: 1 } };
  const s = await remoteScene(t, ({ id }) => {
    if (id !== undefined) return false;
    held.resolve();
    return true;
  });
  s.client.send(progress, call(1, 'x'));
  await held.promise;
  await turnUntil(s, 0, () => s.clock.waiting.includes(30_000));
  s.clock.turn(29_999);
  assert.equal(s.upstream.received.length, 1);
  s.clock.turn(1);
  await s.client.line('"id":1');
  assert.match(s.diagnostics.lines.join('\n'), /notifications\/progress did not get through/);
});

test('openMax requests may wait for their answers; one more is told so, and has its outcome', async (t) => {
  const answers: (() => void)[] = [];
  const s = await remoteScene(t, ({ id }, response) => void answers.push(() => answer(response, id, {})), {
    limits: { openMax: 2 },
  });
  s.client.send(call(1, 'x'), call(2, 'x'), call(3, 'x'));
  assert.match(await s.client.line('"id":3'), /Too many messages are waiting: 2 at most/);
  assert.deepEqual(s.gate.settled, ['3 transport_error busy']);
  await turnUntil(s, 0, () => answers.length === 2);
  for (const one of answers.splice(0)) one();
  await s.client.line('"id":1');
  await s.client.line('"id":2');
  s.client.send(call(4, 'x'));
  await turnUntil(s, 0, () => answers.length === 1);
  assert.deepEqual(s.gate.settled.sort(), ['1 ok', '2 ok', '3 transport_error busy']);
  answers[0]?.();
});

test('bytes that have not come whole have a bound over all connections: who goes over it is told', async (t) => {
  const first = Promise.withResolvers<ServerResponse>();
  const s = await remoteScene(
    t,
    ({ id }, response) => {
      const write = stream(response);
      if (id === 2) write({ id: 2, result: 'z'.repeat(600) });
      else
        response.write(`data: {"jsonrpc":"2.0","id":1,"result":"${'y'.repeat(600)}`, () =>
          first.resolve(response),
        );
    },
    { limits: { gatheredBytesMax: 1_000 } },
  );
  s.client.send(call(1, 'x'));
  const response = await first.promise;
  s.client.send(call(2, 'x'));
  assert.match(await s.client.line('"id":2'), /more than 1000 bytes of answers at one time/);
  response.end('"}\n\n');
  assert.match(await s.client.line('"id":1'), /yyy/);
  assert.deepEqual(s.gate.settled, ['2 transport_error overfull', '1 ok']);
});

test('a client that reads slowly holds the server’s stream back', async (t) => {
  const message = { method: 'notifications/message', params: { data: 'x'.repeat(60_000) } };
  const stuck = Promise.withResolvers<void>();
  const reading = Promise.withResolvers<void>();
  const s = await remoteScene(
    t,
    async ({ method }, response) => {
      if (method !== 'tools/call') return false;
      const write = stream(response);
      // More than all buffers on the way hold, where nobody reads.
      do write(message);
      while (!response.writableNeedDrain || (await drains(response)));
      stuck.resolve();
      await once(response, 'drain');
      write({ id: 1, result: {} });
      response.end();
      return true;
    },
    {
      doorLimits: { pendingMax: 4 },
      stdout: new Writable({
        highWaterMark: 1,
        async write(_chunk, _encoding, done) {
          await reading.promise;
          done();
        },
      }),
    },
  );
  s.client.send(call(1, 'x'));
  await within('a server that is held back', stuck.promise);
  reading.resolve();
  await turnUntil(s, 0, () => s.gate.settled.length === 1);
  assert.deepEqual(s.gate.settled, ['1 ok']);
});

/** Whether a response gets rid of anything in many turns of the loop, which all other work is done in. */
async function drains(response: ServerResponse): Promise<boolean> {
  let drained = false;
  const note = (): void => void (drained = true);
  response.once('drain', note);
  for (let turns = 0; turns < 2_000 && !drained; turns += 1)
    await new Promise((resolve) => setImmediate(resolve));
  response.off('drain', note);
  return drained;
}

test('a server that does not take what it is sent holds the client back', async (t) => {
  const sockets: Socket[] = [];
  // Never says a word, and without one TLS does not begin.
  const server = createServer((socket) => {
    socket.on('error', () => {});
    sockets.push(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`);
  const s = await remoteScene(t, undefined, { url, doorLimits: { pendingMax: 4 } });
  const paused = once(s.client.stdin, 'pause');
  s.client.send(...Array.from({ length: 20 }, (_, at) => call(at, 'x')));
  await within('a client that is held back', paused);
  await turnUntil(s, 0, () => sockets.length > 0);
  assert.equal(s.gate.asked.length, 4);
  assert.equal(sockets.length, 1);
});
