import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, test } from 'node:test';
import {
  callTool,
  open,
  scriptedGate,
  scene,
  send,
  startEvents,
  streamReader,
  type Received,
} from '../../support/http-scene.ts';
import { within } from '../../support/within.ts';

/** Answers like `first` the first time, and takes what is POSTed later with 202. */
function streamFirst(first: (response: ServerResponse, request: IncomingMessage) => void) {
  const later: ((received: Received) => void)[] = [];
  const posted: Received[] = [];
  let begun = false;
  return {
    upstream: (request: IncomingMessage, response: ServerResponse, received: Received): void => {
      if (!begun) {
        begun = true;
        first(response, request);
        return;
      }
      response.writeHead(202).end();
      const wake = later.shift();
      if (wake === undefined) posted.push(received);
      else wake(received);
    },
    async nextPost(): Promise<Received> {
      const before = posted.shift();
      if (before !== undefined) return before;
      return await within('a POST', new Promise<Received>((resolve) => later.push(resolve)));
    },
  };
}

const RESULT = { jsonrpc: '2.0', id: 1, result: {} };
const PROGRESS = {
  jsonrpc: '2.0',
  method: 'notifications/progress',
  params: { progressToken: 1, progress: 1 },
};
const ASK = { jsonrpc: '2.0', id: 'srv-1', method: 'elicitation/create', params: { message: 'ok?' } };
const reply = (id: string) => JSON.stringify({ jsonrpc: '2.0', id, result: { action: 'accept' } });

describe('an event stream', () => {
  test('is not held back: each event arrives before the upstream sends the next', async (t) => {
    const go = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    const { port, gate } = await scene(t, {
      async upstream(_, response) {
        const push = startEvents(response);
        await go[0].promise;
        push(PROGRESS);
        await go[1].promise;
        push(RESULT);
        response.end();
      },
    });
    // The head is here while no event has been sent.
    const response = await open(port, { body: callTool(1) });
    const { headers } = response;
    assert.deepEqual(
      [headers['content-type'], headers['x-accel-buffering'], headers['cache-control']],
      ['text/event-stream', 'no', 'no-cache'],
    );
    const readTo = streamReader(response);
    go[0].resolve();
    await readTo('notifications/progress');
    go[1].resolve();
    await readTo('"result"');
    assert.partialDeepStrictEqual(await gate.outcomeOf('tools/call'), { status: 'ok', httpStatus: 200 });
  });

  test('keeps data, ids, names and retry times; comments and every kind of line end become one', async (t) => {
    const result = JSON.stringify(RESULT);
    const bytes = `: hello\n\nid: 1\nretry: 5\ndata:\n\n:x\r\nevent: message\r\ndata:${result}\r\n\r\nfoo: bar\r\r`;
    const framed = `:\n\nid: 1\nretry: 5\ndata: \n\nevent: message\ndata: ${result}\n\n:\n\n`;
    const { port } = await scene(t, {
      upstream(_, response) {
        response.writeHead(200, { 'content-type': 'Text/Event-Stream; charset=utf-8' });
        for (const char of bytes) response.write(char);
        response.end();
      },
    });
    assert.equal((await send(port, { body: callTool(1) })).body.toString(), framed);
  });

  test('is looked into whatever its status and the spelling of its type', async (t) => {
    const { port, gate } = await scene(t, {
      gate: scriptedGate((message) => message.method === 'tools/call'),
      upstream(_, response) {
        response.writeHead(400, { 'content-type': 'application/json, text/EVENT-stream' });
        response.end(`data: ${JSON.stringify({ ...ASK, id: undefined, method: 'notifications/x' })}\n\n`);
      },
    });
    const result = await send(port, { body: callTool(1) });
    assert.deepEqual([result.status, result.headers['content-type']], [400, 'text/event-stream']);
    assert.equal(result.body.length, 0);
    assert.equal(gate.decided[1]?.direction, 'to_client');
  });

  test('that ends without the answer is no success', async (t) => {
    const { port, gate } = await scene(t, {
      upstream: (_, response) => {
        startEvents(response);
        response.end();
      },
    });
    await send(port, { body: callTool(1) });
    assert.partialDeepStrictEqual(gate.settled, [{ status: 'transport_error', errorType: 'no_answer' }]);
  });

  for (const [end, how] of [
    ['ends without the answer', (response: ServerResponse) => response.end()],
    ['breaks off without it', (response: ServerResponse) => response.destroy()],
    [
      'brings an error in place of the answer',
      (response: ServerResponse) =>
        response.end('data: {"jsonrpc":"2.0","id":1,"error":{"code":0,"message":"Cancelled"}}\n\n'),
    ],
  ] as const) {
    test(`that ${end} after the client has taken the call back is cancelled`, async (t) => {
      const taken = Promise.withResolvers<void>();
      const { port, gate } = await scene(t, {
        async upstream(_, response, { body }) {
          if (body.includes('notifications/cancelled')) {
            taken.resolve();
            response.writeHead(202).end();
            return;
          }
          startEvents(response);
          await taken.promise;
          how(response);
        },
      });
      const headers = ['Mcp-Session-Id', 's'];
      await open(port, { headers, body: callTool(1) });
      const params = { requestId: 1 };
      await send(port, {
        headers,
        body: JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params }),
      });
      assert.partialDeepStrictEqual(await gate.outcomeOf('tools/call'), { status: 'cancelled' });
    });
  }

  test('passes an empty object, which servers replay in place of an event that only has an id, and records nothing', async (t) => {
    const frames = 'id: 1\ndata: {}\n\n';
    const { port, gate } = await scene(t, {
      upstream: (_, response) =>
        void response
          .writeHead(200, { 'content-type': 'text/event-stream' })
          .end(`${frames}data: ${JSON.stringify(RESULT)}\n\n`),
    });
    const { body } = await send(port, { body: callTool(1) });
    assert.equal(body.toString(), `${frames}data: ${JSON.stringify(RESULT)}\n\n`);
    assert.deepEqual(gate.rejected, []);
  });

  test('that breaks off breaks the client’s connection, so that it cannot look complete', async (t) => {
    const { port, gate } = await scene(t, {
      upstream(request, response) {
        startEvents(response)(PROGRESS);
        setImmediate(() => request.socket.destroy());
      },
    });
    await assert.rejects(send(port, { body: callTool(1) }), { code: 'ECONNRESET' });
    assert.partialDeepStrictEqual(gate.settled, [{ status: 'transport_error', errorType: 'ECONNRESET' }]);
  });

  for (const [size, passes] of [
    [1_000, true],
    [1_001, false],
  ] as const) {
    test(`with an event of ${size} bytes ${passes ? 'passes' : 'is broken off at'} a limit of 1000`, async (t) => {
      const frame = `data: ${JSON.stringify({ ...RESULT, result: '' })}\n\n`.length;
      const { port, gate } = await scene(t, {
        limits: { answerBytesMax: 1_000 },
        upstream(_, response) {
          startEvents(response)({ ...RESULT, result: 'x'.repeat(size - frame) });
          response.end();
        },
      });
      const sent = send(port, { body: callTool(1) });
      if (passes) assert.equal((await sent).body.length, size);
      else await assert.rejects(sent);
      assert.equal((await gate.outcomeOf('tools/call')).errorType, passes ? undefined : 'parse_size');
    });
  }

  test('holds a fast upstream back when the client does not read', async (t) => {
    const stuck = Promise.withResolvers<number>();
    const total = 64 * 1024 * 1024;
    const { port } = await scene(t, {
      async upstream(request, response) {
        startEvents(response);
        const event = `data: ${JSON.stringify({ ...PROGRESS, params: { x: 'x'.repeat(60_000) } })}\n\n`;
        let sent = 0;
        // Written until the proxy stops taking it: then the socket's own buffer stays full.
        while (sent < total && response.write(event)) sent += event.length;
        while (sent < total) {
          const drained = await Promise.race([once(response, 'drain').then(() => true), quiet(request)]);
          if (!drained) break;
          while (sent < total && response.write(event)) sent += event.length;
        }
        stuck.resolve(sent);
      },
    });
    const response = await open(port, { body: callTool(1) });
    response.pause();
    assert.ok((await stuck.promise) < total);
    response.destroy();
  });

  test('stops at the upstream when the client leaves', async (t) => {
    const closed = Promise.withResolvers<void>();
    const { port, gate } = await scene(t, {
      upstream(_, response) {
        startEvents(response)(PROGRESS);
        response.on('close', () => closed.resolve());
      },
    });
    const response = await open(port, { body: callTool(1) });
    response.on('error', () => {});
    response.destroy();
    await within('the end of the request to the upstream', closed.promise);
    assert.equal((await gate.outcomeOf('tools/call')).status, 'cancelled');
  });
});

/** False once a socket has taken nothing for many turns of the event loop. */
async function quiet({ socket }: IncomingMessage): Promise<false> {
  let last = -1;
  for (let still = 0; still < 300; still++) {
    if (socket.bytesWritten !== last) still = 0;
    last = socket.bytesWritten;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return false;
}

describe('an upstream’s own messages', () => {
  test('are decided with the identity of the stream’s request, in order, and pass when allowed', async (t) => {
    const user = { source: 'api_key', user: 'ann' } as const;
    const { port, gate } = await scene(t, {
      authenticate: () => ({ ok: true, identity: user }),
      upstream(_, response) {
        const push = startEvents(response);
        [PROGRESS, ASK, RESULT].forEach((message) => push(message));
        response.end();
      },
    });
    const result = await send(port, { method: 'GET', headers: ['Mcp-Session-Id', 's'] });
    const methods = result.body.toString().match(/"(notifications\/progress|elicitation\/create|result)"/g);
    assert.deepEqual(methods, ['"notifications/progress"', '"elicitation/create"', '"result"']);
    assert.deepEqual(
      gate.decided.map(({ message, direction, origin }) => [
        message.method,
        direction,
        origin.identity,
        origin.sessionId,
      ]),
      [
        ['transport/stream', 'to_upstream', user, 's'],
        ['notifications/progress', 'to_client', user, 's'],
        ['elicitation/create', 'to_client', user, 's'],
      ],
    );
  });

  test('are hidden from the client when denied, and the refusal is POSTed into the session', async (t) => {
    const script = streamFirst((response) => {
      const push = startEvents(response);
      push(ASK, '41');
      push(RESULT, '42');
      response.end();
    });
    const gate = scriptedGate((_, direction) => direction === 'to_upstream');
    const { port, received } = await scene(t, {
      gate,
      upstream: script.upstream,
      upstreamHeaders: { authorization: 'Bearer ours' },
    });
    const headers = ['Mcp-Session-Id', 's', 'Mcp-Protocol-Version', '2025-11-25'];
    const result = await send(port, { body: callTool(1), headers });
    // The id stays, so that a client that resumes does not ask for the denied event again.
    assert.equal(result.body.toString(), `id: 41\n\nid: 42\ndata: ${JSON.stringify(RESULT)}\n\n`);
    const refusal = await script.nextPost();
    assert.partialDeepStrictEqual(JSON.parse(refusal.body.toString()), {
      id: 'srv-1',
      error: { code: -31403 },
    });
    assert.equal(refusal.headers['mcp-session-id'], 's');
    assert.equal(refusal.headers['mcp-protocol-version'], '2025-11-25');
    assert.equal(refusal.headers.authorization, 'Bearer ours');
    assert.equal((await gate.outcomeOf('tools/call')).status, 'ok');

    // We have answered; what the client may say to the same request is not a second answer.
    const late = await send(port, { body: reply('srv-1'), headers });
    assert.equal(late.status, 202);
    assert.partialDeepStrictEqual(gate.rejected, [{ code: 'response_unasked' }]);
    assert.equal(received.length, 2);
  });

  test('use the session that the answer to initialize names', async (t) => {
    const script = streamFirst((response) => {
      response.setHeader('mcp-session-id', 'new');
      startEvents(response)(ASK);
      response.end();
    });
    const gate = scriptedGate((_, direction) => direction === 'to_upstream');
    const { port } = await scene(t, { gate, upstream: script.upstream });
    await send(port, { body: callTool(1) });
    assert.equal((await script.nextPost()).headers['mcp-session-id'], 'new');
  });

  test('that cannot be read are not passed on, and recorded', async (t) => {
    const twice = '{"jsonrpc":"2.0","id":9,"method":"ping","method":"sampling/createMessage"}';
    const { port, gate, warnings } = await scene(t, {
      upstream(_, response) {
        startEvents(response);
        response.write(`data: ${twice}\n\ndata: not json\n\ndata: [${JSON.stringify(ASK)}]\n\n`);
        response.write(`event: other\ndata: {"Method":"x"}\n\ndata: ${JSON.stringify(RESULT)}\n\n`);
        // The end of the stream ends no event, but some clients believe it does.
        response.end(`data: ${twice}`);
      },
    });
    const result = await send(port, { body: callTool(1) });
    assert.equal(result.body.toString(), `data: ${JSON.stringify(RESULT)}\n\n`);
    assert.deepEqual(
      gate.rejected.map(({ reason, code }) => [reason, code]),
      [
        ['parse', 'parse_duplicate_key'],
        ['parse', 'parse_json'],
        ['parse', 'parse_batch'],
        ['parse', 'parse_envelope'],
        ['parse', 'parse_duplicate_key'],
      ],
    );
    assert.equal(warnings.length, 1, 'the rest is only counted');
  });

  const replies: [what: string, body: string, outcome: object][] = [
    ['a result', reply('srv-1'), { status: 'ok', size: reply('srv-1').length }],
    [
      'an error',
      '{"jsonrpc":"2.0","id":"srv-1","error":{"code":-1,"message":"no"}}',
      { status: 'rpc_error', rpcCode: '-1' },
    ],
  ];
  for (const [what, body, outcome] of replies) {
    test(`get their outcome from the client’s response: ${what}, which goes on byte for byte`, async (t) => {
      const script = streamFirst((response) => (startEvents(response)(ASK), response.end()));
      const { port, gate } = await scene(t, { upstream: script.upstream });
      const headers = ['Mcp-Session-Id', 's'];
      await send(port, { method: 'GET', headers });
      const result = await send(port, { body, headers });
      assert.equal(result.status, 202);
      assert.equal((await script.nextPost()).body.toString(), body);
      assert.partialDeepStrictEqual(gate.settled, [{ method: 'elicitation/create', ...outcome }]);
    });
  }

  test('are cancelled by the end of their session', async (t) => {
    const script = streamFirst((response) => (startEvents(response)(ASK), response.end()));
    const { port, gate } = await scene(t, { upstream: script.upstream });
    const headers = ['Mcp-Session-Id', 's'];
    await send(port, { method: 'GET', headers });
    assert.deepEqual(gate.settled, []);
    await send(port, { method: 'DELETE', headers });
    assert.partialDeepStrictEqual(gate.settled, [{ method: 'elicitation/create', status: 'cancelled' }]);
  });
});

test('a call whose stream ends early gets its outcome from the stream that the client resumes', async (t) => {
  const { port, gate } = await scene(t, {
    upstream(request, response) {
      const push = startEvents(response);
      if (request.method === 'POST') response.write('id: 1\ndata: \n\n');
      else push(RESULT, '2');
      response.end();
    },
  });
  const headers = ['Mcp-Session-Id', 's'];
  await send(port, { body: callTool(1), headers });
  assert.deepEqual(gate.settled, []);
  await send(port, { method: 'GET', headers: [...headers, 'Last-Event-Id', '1'] });
  assert.partialDeepStrictEqual(gate.settled, [{ method: 'tools/call', status: 'ok', httpStatus: 200 }]);
});
