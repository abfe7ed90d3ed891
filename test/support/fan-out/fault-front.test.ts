import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { startFaultFront, type Fault, type FaultFront } from './fault-front.ts';

/** In front of a server that answers with what it was sent. */
async function frontOf(t: TestContext): Promise<FaultFront & { readonly send: () => Promise<string> }> {
  const server = createServer((request, response) => {
    void text(request).then((body) => response.writeHead(201).end(`${request.url} ${body}`));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  // A server that listens on TCP has an AddressInfo.
  const front = await startFaultFront((server.address() as AddressInfo).port);
  t.after(async () => {
    await front.close();
    server.close();
  });
  const send = async (): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${front.port}/a?b`, { method: 'POST', body: 'x' });
    return `${response.status} ${await response.text()}`;
  };
  return { ...front, send };
}

test('the front hands on, and what it counts is what came and what went through', async (t) => {
  const front = await frontOf(t);
  assert.equal(await front.send(), '201 /a?b x');
  await front.set(503);
  assert.equal(await front.send(), '503 made up: 503');
  assert.deepEqual(front.requests(), { seen: 2, passed: 1, atOnce: 1 });
});

test('a slow front hands on all the same, and tells how many waited at once', async (t) => {
  const front = await frontOf(t);
  await front.set('slow');
  assert.deepEqual(await Promise.all([front.send(), front.send()]), ['201 /a?b x', '201 /a?b x']);
  assert.equal(front.requests().atOnce, 2);
});

for (const fault of ['refuse', 'lose'] as const satisfies readonly Fault[]) {
  test(`a front that is told to ${fault} gives no answer, and works again on the same port`, async (t) => {
    const front = await frontOf(t);
    await front.set(fault);
    await assert.rejects(front.send());
    assert.equal(front.requests().passed, fault === 'lose' ? 1 : 0);
    await front.set('pass');
    assert.equal(await front.send(), '201 /a?b x');
  });
}

test('a front that hangs keeps a request until it is told otherwise, and then breaks it off', async (t) => {
  const front = await frontOf(t);
  await front.set('hang');
  const hanging = assert.rejects(front.send());
  while (front.requests().seen === 0) await new Promise((turn) => setImmediate(turn));
  await front.set('pass');
  await hanging;
  assert.equal(await front.send(), '201 /a?b x');
});

test('a front that dislikes a text refuses what holds it, gzipped as well, and nothing else', async (t) => {
  const front = await frontOf(t);
  await front.set({ text: 'poison', status: 400 });
  const url = `http://127.0.0.1:${front.port}/`;
  const post = async (body: string | Uint8Array, headers: Record<string, string> = {}): Promise<number> =>
    (await fetch(url, { method: 'POST', body, headers })).status;
  assert.equal(await post('some poison'), 400);
  assert.equal(await post(gzipSync('some poison'), { 'content-encoding': 'gzip' }), 400);
  assert.equal(await post('some water'), 201);
});

test('what is down behind the front is a 502', async (t) => {
  const front = await startFaultFront(1);
  t.after(front.close);
  assert.equal((await fetch(`http://127.0.0.1:${front.port}/`)).status, 502);
});
