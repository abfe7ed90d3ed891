import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { bench, lines, wire } from '../../support/stdio-bench.ts';
import { type ScriptedGate, call, scriptedGate } from '../../support/stdio-fixtures.ts';

const REPLY = { id: 1, result: { content: [] } };
const NO = wire({ id: 1, error: { code: 1, message: 'no' } });
const BAD = wire({ id: null, error: { code: 2, message: 'bad' } });
const denies = (name: string): ScriptedGate => scriptedGate(({ message }) => message.call.tool !== name);

test('what passes is forwarded byte for byte, in order, and what is denied is not', async () => {
  const space = fc.constantFrom('', ' ', '\t', '  ');
  const value = fc.oneof(
    fc.constantFrom('1e400', '9007199254740993', '-0', '1.0', '"\\u0061\\/"', '"€😀"', '{"b":1,"a":2}'),
    fc.json(),
  );
  const message = fc.tuple(
    fc.boolean(),
    fc.boolean(),
    value,
    fc.array(space, { minLength: 3, maxLength: 3 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(message, { maxLength: 12 }), async (specs) => {
      const turns: (() => void)[] = [];
      const gate = scriptedGate(({ message }) => {
        return new Promise((resolve) => {
          // Every other decision comes late and in reverse.
          const decided = (): void => resolve(message.call.tool !== 'bad');
          if (turns.length % 2 === 0) turns.unshift(decided);
          else setImmediate(decided);
        });
      });
      const b = bench(gate);
      const texts = specs.map(([bad, notify, args, [x = '', y = '', z = '']], at) => ({
        bad,
        text: `${x}{"params":${y}{"arguments":{"v":${args}},"name":"${bad ? 'bad' : 'good'}"}${z},${
          notify ? '' : `"id":"${at}",${z}`
        }"method":"tools/call","jsonrpc":"2.0"}${x}${notify ? '\r' : ''}`,
      }));
      const done = b.up(...texts.map(({ text }) => text));
      for (const turn of turns) turn();
      await done;
      // fc.json may hold what the strict parser refuses (duplicate keys by folding): those never get to the gate.
      const refused = gate.rejected.length;
      const passed = texts.filter(
        ({ bad, text }) =>
          !bad && gate.asked.some((asked) => Buffer.from(asked.message.bytes).toString() === text),
      );
      assert.deepEqual(
        b.upstream.got,
        passed.map(({ text }) => `${text}\n`),
      );
      assert.equal(gate.asked.length + refused, specs.length);
    }),
    { numRuns: 60 },
  );
});

test('a denied request never reaches the upstream; its answer overtakes what is still undecided', async () => {
  const slow = Promise.withResolvers<boolean>();
  const gate = scriptedGate(({ message }) =>
    message.call.tool === 'slow' ? slow.promise : message.call.tool !== 'bad',
  );
  const b = bench(gate);
  const done = b.up(call(9, 'slow'), call(1, 'bad'), call(2, 'good'), {
    method: 'tools/call',
    params: { name: 'bad' },
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(b.client.got, [NO]);
  assert.deepEqual(b.upstream.got, []);
  slow.resolve(true);
  await done;
  assert.deepEqual(b.upstream.got, [wire(call(9, 'slow')), wire(call(2, 'good'))]);
  assert.deepEqual(b.client.got, [NO]);
});

const HOSTILE: readonly (readonly [string, string, string])[] = [
  ['a batch', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', 'parse_batch'],
  [
    'a case variant of a member',
    '{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}',
    'parse_duplicate_key',
  ],
  ['no JSON', 'hello', 'parse_json'],
  ['no envelope', '{"id":1}', 'parse_envelope'],
  ['a line that is too long', `{"jsonrpc":"2.0","id":1,"method":"${'a'.repeat(300)}"}`, 'parse_size'],
];
for (const [title, text, code] of HOSTILE) {
  test(`${title} from the client is recorded and answered, and never forwarded`, async () => {
    const gate = scriptedGate();
    const b = bench(gate, { lineBytesMax: 200 });
    await b.up(text, call(5, 'x'));
    assert.deepEqual(
      gate.rejected.map((rejection) => [rejection.reason, rejection.code]),
      [['parse', code]],
    );
    assert.equal(b.client.got.length, 1);
    assert.deepEqual(b.upstream.got, [wire(call(5, 'x'))]);
  });

  test(`${title} from the server is recorded or noted, and never forwarded nor answered`, async () => {
    const gate = scriptedGate();
    const b = bench(gate, { lineBytesMax: 200 });
    await b.down(text, { method: 'notifications/message', params: {} });
    assert.deepEqual(b.client.got, [wire({ method: 'notifications/message', params: {} })]);
    assert.deepEqual(b.upstream.got, []);
    assert.equal(gate.rejected.length, text === 'hello' ? 0 : 1);
    assert.equal(b.diagnostics.lines.length, 1);
  });
}

test('an answer settles its request once; a second one is forwarded and settles nothing', async () => {
  const gate = scriptedGate();
  const b = bench(gate);
  await b.up(call(1, 'x'));
  const odd = '{ "result":{"content":[],"isError":true,"x":1e400},"id":1,"jsonrpc":"2.0"}';
  await b.down(odd, REPLY);
  assert.deepEqual(b.client.got, [`${odd}\n`, wire(REPLY)]);
  assert.deepEqual(
    gate.settled.map((text) => text.split(' ', 2).join(' ')),
    ['1 tool_error'],
  );
  assert.equal(gate.outcomes[0]?.size, Buffer.byteLength(odd));
});

test('an answer to a request that is still undecided is a lie and is dropped', async () => {
  const slow = Promise.withResolvers<boolean>();
  const b = bench(scriptedGate(() => slow.promise));
  const done = b.up(call(1, 'x'));
  void b.down(REPLY);
  slow.resolve(true);
  await done;
  assert.deepEqual(b.client.got, []);
  assert.equal(b.diagnostics.lines.length, 1);
  await b.down(REPLY);
  assert.deepEqual(b.client.got, [wire(REPLY)]);
});

test('an id that is open cannot be used again, and the first request keeps its answer', async () => {
  const gate = scriptedGate();
  const b = bench(gate);
  await b.up(call(1, 'x'), call(1, 'y'));
  assert.deepEqual(b.upstream.got, [wire(call(1, 'x'))]);
  assert.deepEqual(b.client.got, [BAD]);
  assert.equal(gate.rejected[0]?.code, 'parse_envelope');
  await b.down(REPLY);
  await b.up(call(1, 'z'), call('1', 'text'));
  assert.deepEqual(b.upstream.got.slice(1), [wire(call(1, 'z')), wire(call('1', 'text'))]);
});

for (const id of [7, 'seven']) {
  const cancel = { method: 'notifications/cancelled', params: { requestId: id } };

  test(`request ${id} that was cancelled and answered all the same has the outcome of its answer`, async () => {
    const gate = scriptedGate();
    const b = bench(gate);
    await b.up(call(id, 'x'), cancel);
    assert.deepEqual(gate.settled, []);
    assert.equal(b.upstream.got.length, 2);
    await b.down({ ...REPLY, id });
    assert.deepEqual(gate.settled, [`${JSON.stringify(id)} ok`]);
    assert.deepEqual(b.client.got, [wire({ ...REPLY, id })]);
  });

  test(`request ${id} that was cancelled and answered with an error is cancelled`, async () => {
    const gate = scriptedGate();
    const b = bench(gate);
    await b.up(call(id, 'x'), cancel);
    await b.down({ id, error: { code: -32800, message: 'Cancelled' } });
    assert.deepEqual(gate.settled, [`${JSON.stringify(id)} cancelled -32800`]);
  });

  test(`request ${id} that was cancelled and never answered is cancelled at the end, and the client hears nothing`, async () => {
    const gate = scriptedGate();
    const b = bench(gate);
    await b.up(call(id, 'x'), cancel);
    await b.relay.breakOff('its process exited with code 0');
    assert.deepEqual(gate.settled, [`${JSON.stringify(id)} cancelled`]);
    assert.deepEqual(b.client.got, []);
  });
}

test('a cancelled request that makes room for others is cancelled, not unknown', async () => {
  const gate = scriptedGate();
  const b = bench(gate, { openMax: 1 });
  await b.up(call(1, 'x'), { method: 'notifications/cancelled', params: { requestId: 1 } });
  await b.up(call(2, 'x'));
  assert.deepEqual(gate.settled, ['1 cancelled']);
});

test('a request of the server is governed: a denied one is answered to the server, and hidden', async () => {
  const gate = scriptedGate(({ direction }) => direction === 'to_upstream');
  const b = bench(gate);
  await b.down(
    { id: 1, method: 'sampling/createMessage', params: {} },
    { method: 'notifications/message', params: {} },
  );
  assert.deepEqual(b.client.got, []);
  assert.deepEqual(b.upstream.got, [NO]);
  assert.deepEqual(
    gate.asked.map(({ direction }) => direction),
    ['to_client', 'to_client'],
  );
});

test('the client’s answer to an allowed request of the server passes once, and settles it', async () => {
  const gate = scriptedGate();
  const b = bench(gate);
  await b.down({ id: 1, method: 'roots/list' });
  await b.up({ id: 1, error: { code: -32601, message: 'no roots' } }, REPLY);
  assert.deepEqual(b.upstream.got, [wire({ id: 1, error: { code: -32601, message: 'no roots' } })]);
  assert.equal(gate.settled.length, 1);
  assert.match(gate.settled[0] ?? '', /^1 rpc_error/);
  assert.partialDeepStrictEqual(gate.rejected, [{ code: 'response_unasked', direction: 'to_upstream' }]);
});

const UNASKED: readonly (readonly [string, object])[] = [
  ['never asked', { id: 99, result: {} }],
  ['with no id', { id: null, error: { code: 1, message: 'x' } }],
  ['refused', { id: 1, result: {} }],
];
for (const [title, response] of UNASKED) {
  test(`an answer of the client to a request that was ${title} is dropped and recorded`, async () => {
    const gate = scriptedGate(() => false);
    const b = bench(gate);
    await b.down({ id: 1, method: 'elicitation/create', params: {} });
    const before = b.upstream.got.length;
    await b.up(response);
    assert.equal(b.upstream.got.length, before);
    assert.deepEqual(b.client.got, []);
    assert.deepEqual(
      gate.rejected.map(({ code }) => code),
      ['response_unasked'],
    );
  });
}

test('lines of the server keep their order, answers and requests alike', async () => {
  const slow = Promise.withResolvers<boolean>();
  const gate = scriptedGate(({ direction }) => direction === 'to_upstream' || slow.promise);
  const b = bench(gate);
  await b.up(call(1, 'x'), call(2, 'y'));
  const done = b.down({ ...REPLY, id: 2 }, { id: 5, method: 'roots/list' }, REPLY);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(b.client.got, [wire({ ...REPLY, id: 2 })]);
  slow.resolve(true);
  await done;
  assert.deepEqual(b.client.got.slice(1), [wire({ id: 5, method: 'roots/list' }), wire(REPLY)]);
});

test('what the client says of itself, and the version agreed on, go into later origins', async () => {
  const gate = scriptedGate();
  const b = bench(gate);
  const clientInfo = { name: 'agent', version: '2' };
  const initialize = {
    id: 0,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo },
  };
  await b.up(initialize);
  await b.down({ id: 0, result: { protocolVersion: '2025-06-18' } });
  await b.up(call(1, 'x'));
  const origins = gate.asked.map(({ origin }) => [origin.claimed, origin.protocolVersion]);
  assert.deepEqual(origins, [
    [clientInfo, undefined],
    [clientInfo, '2025-06-18'],
  ]);
});

test('a request of 2026-07-28 carries its own version and client', async () => {
  const gate = scriptedGate();
  const b = bench(gate);
  const envelope = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: 'modern', version: '9' },
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  await b.up({ id: 1, method: 'tools/call', params: { name: 'x', _meta: envelope } });
  assert.deepEqual(gate.asked[0]?.origin.claimed, { name: 'modern', version: '9' });
  assert.equal(gate.asked[0]?.origin.protocolVersion, '2026-07-28');
});

test('a slow upstream, or a client that reads no refusals, fills the lane', async () => {
  for (const tool of ['good', 'bad']) {
    const b = bench(denies('bad'), { pendingMax: 2 });
    const hold = Promise.withResolvers<void>();
    b.upstream.hold = hold.promise;
    b.client.hold = hold.promise;
    const [first, second] = [call(1, tool), call(2, tool)].flatMap((message) => lines(message, {}));
    assert.ok(first !== undefined && second !== undefined);
    assert.equal(b.relay.fromClient(first), undefined);
    const room = b.relay.fromClient(second);
    assert.notEqual(room, undefined);
    hold.resolve();
    await room;
  }
});

test('over openMax the oldest request is given up as unknown, and its late answer still passes', async () => {
  const gate = scriptedGate();
  const b = bench(gate, { openMax: 2 });
  await b.up(call(1, 'x'), call(2, 'x'));
  assert.deepEqual(gate.settled, []);
  await b.up(call(3, 'x'));
  assert.deepEqual(gate.settled, ['1 unknown evicted']);
  await b.down(REPLY);
  assert.deepEqual(b.client.got, [wire(REPLY)]);
});

test('when the upstream has gone, what waits is settled and answered, once, and what comes late is not sent', async () => {
  const slow = Promise.withResolvers<boolean>();
  const gate = scriptedGate(({ message }) => message.call.tool !== 'slow' || slow.promise);
  const b = bench(gate);
  const done = b.up(call(1, 'x'), call(2, 'slow'));
  await new Promise((resolve) => setImmediate(resolve));
  await b.relay.breakOff('its process exited with code 3');
  assert.deepEqual(gate.settled, ['1 transport_error child_exit']);
  slow.resolve(true);
  await done;
  assert.deepEqual(gate.settled, ['1 transport_error child_exit', '2 transport_error child_exit']);
  assert.deepEqual(b.upstream.got, [wire(call(1, 'x'))]);
  const answers = b.client.got.map((line) => JSON.parse(line) as { id: number; error: { message: string } });
  assert.deepEqual(
    answers.map(({ id }) => id),
    [1, 2],
  );
  assert.match(answers[0]?.error.message ?? '', /files.*code 3/);
});

test('a request that finds the pipe closed is settled and answered', async () => {
  const gate = scriptedGate();
  const b = bench(gate);
  b.upstream.broken = true;
  await b.up(call(1, 'x'));
  assert.deepEqual(gate.settled, ['1 transport_error pipe_closed']);
  assert.match(b.client.got.join(''), /"id":1,"error"/);
});

test('a gate that fails lets nothing through', async () => {
  const gate = scriptedGate(() => Promise.reject(new Error('boom')));
  const b = bench(gate);
  await b.up(call(1, 'x'), { method: 'notifications/initialized' });
  assert.deepEqual(b.upstream.got, []);
  assert.equal(b.client.got.length, 1);
});

test('a server gets with each request and notification what was read of it, and its trace; with a response nothing', async () => {
  const b = bench(scriptedGate());
  await b.down({ id: 5, method: 'roots/list' });
  await b.up(call(1, 'x'), { method: 'notifications/initialized' }, { id: 5, result: { roots: [] } });
  assert.deepEqual(
    b.upstream.sent.map((sent) => [sent?.message.method, sent?.trace.traceparent]),
    [
      ['tools/call', ''],
      ['notifications/initialized', ''],
      [undefined, undefined],
    ],
  );
});

test('a request whose answer will not come is settled as told, and the client gets what stands for it, once', async () => {
  const gate = scriptedGate();
  const b = bench(gate);
  await b.up(call(1, 'x'), call(2, 'x'));
  const body = Buffer.from('{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"gone"}}');
  for (let time = 0; time < 2; time += 1) {
    b.relay.unanswered({ json: '1', text: '1' }, { status: 'transport_error', errorType: 'E' }, body);
    b.relay.unanswered({ json: '2', text: '2' }, { status: 'cancelled' }, undefined);
  }
  await b.relay.idle('to_client');
  assert.deepEqual(gate.settled, ['1 transport_error E', '2 cancelled']);
  assert.deepEqual(b.client.got, [`${body.toString()}\n`]);
});

test('what the server’s line was read as is taken from whoever has read it, with the status that it came with', async () => {
  const gate = scriptedGate();
  const b = bench(gate);
  await b.up(call(1, 'x'));
  const [line] = lines(REPLY, {});
  assert.ok(line !== undefined);
  const outcome = { status: 'tool_error', errorType: 'tool_error' } as const;
  const read = { kind: 'response', id: { json: '1', text: '1' }, outcome } as const;
  b.relay.fromUpstream(line, { read, httpStatus: 203 });
  await b.relay.idle('to_client');
  assert.deepEqual(b.client.got, [wire(REPLY)]);
  assert.deepEqual(gate.outcomes, [{ ...outcome, httpStatus: 203, size: wire(REPLY).length - 1 }]);
});
