/** What the kill switch does to a stdio connection, which stays open. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bench } from '../../support/stdio-bench.ts';
import { call, scriptedGate, type Asked } from '../../support/stdio-fixtures.ts';
import { handSwitch } from '../../support/switch.ts';

function killable(allows?: (asked: Asked) => boolean | Promise<boolean>) {
  const killSwitch = handSwitch();
  const gate = scriptedGate(allows, { killSwitch });
  const b = bench(gate);
  const json = (line: string | undefined): Record<string, unknown> =>
    JSON.parse(line ?? 'null') as Record<string, unknown>;
  return { ...b, gate, killSwitch, json };
}

const REPLY = { id: 1, result: { content: [] } };

describe('when the switch is thrown', () => {
  test('a call in flight is answered by us, cancelled at the server, and what comes of it late goes to nobody', async () => {
    const { up, down, client, upstream, gate, killSwitch, json } = killable();
    await up(call(1, 'read'));
    killSwitch.set({ scope: 'all', reason: 'drill' });
    assert.match(
      JSON.stringify(json(client.got[0])),
      /"id":1,"error":\{"code":-31403,"message":"The kill switch is thrown for everything: drill\./,
    );
    assert.deepEqual(json(upstream.got[1]), {
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: 1, reason: 'stopped by an operator' },
    });
    assert.equal(upstream.sent[1]?.message.method, 'notifications/cancelled');
    assert.deepEqual(gate.settled, ['1 cancelled killed']);
    killSwitch.set();
    await down(REPLY);
    assert.equal(client.got.length, 1, 'the late answer was passed on');
    await up(call(1, 'again'));
    await down(REPLY);
    assert.equal(client.got.length, 2, 'the id is free again');
  });

  test('what the server says while it lasts goes to nobody, and is recorded', async () => {
    const { down, client, gate, killSwitch } = killable();
    killSwitch.set({ scope: 'server', id: 'files' });
    await down({ id: 99, result: {} });
    assert.deepEqual(client.got, []);
    assert.partialDeepStrictEqual(gate.rejected, [
      { reason: 'killed', code: 'killed', direction: 'to_client' },
    ]);
  });

  test('what the client answers to the server goes nowhere, and the server has its answer from us', async () => {
    const { up, down, client, upstream, gate, killSwitch, json } = killable();
    await down({ id: 'q', method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } });
    killSwitch.set({ scope: 'all' });
    assert.equal(json(upstream.got[0])['id'], 'q');
    assert.ok(json(upstream.got[0])['error'] !== undefined);
    assert.equal(json(client.got[1])['method'], 'notifications/cancelled');
    assert.deepEqual(gate.settled, ['"q" cancelled killed']);
    await up({ id: 'q', result: {} });
    killSwitch.set();
    await up({ id: 'q', result: {} });
    assert.equal(upstream.got.length, 1);
    assert.deepEqual(
      gate.rejected.map(({ reason, code }) => [reason, code]),
      [
        ['killed', 'killed'],
        ['parse', 'response_unasked'],
      ],
    );
  });

  test('a call that was let through and waits for its turn never reaches the server', async () => {
    const { up, client, upstream, gate, killSwitch, relay, json } = killable();
    const held = Promise.withResolvers<void>();
    upstream.hold = held.promise;
    const first = up(call(1, 'slow'));
    const second = up(call(2, 'behind'), {
      method: 'notifications/progress',
      params: { progressToken: 1, progress: 1 },
    });
    while (gate.asked.length < 3 || upstream.got.length < 1)
      await new Promise((resolve) => setImmediate(resolve));
    killSwitch.set({ scope: 'all' });
    held.resolve();
    upstream.hold = undefined;
    await Promise.all([first, second]);
    await relay.idle('to_upstream');
    const methods = upstream.got.map((line) => json(line)['method']);
    assert.deepEqual(methods, ['tools/call', 'notifications/cancelled']);
    assert.deepEqual(
      client.got.map((line) => json(line)['id']),
      [1, 2],
    );
    assert.deepEqual(gate.settled.toSorted(), ['1 cancelled killed', '2 cancelled killed']);
  });

  test('a call that its client has cancelled gets no answer, and is told to the server once', async () => {
    const { up, client, upstream, gate, killSwitch } = killable();
    await up(call(1, 'read'), { method: 'notifications/cancelled', params: { requestId: 1 } });
    killSwitch.set({ scope: 'all' });
    assert.deepEqual([client.got.length, upstream.got.length], [0, 2]);
    assert.deepEqual(gate.settled, ['1 cancelled']);
  });

  test('for others nothing happens', async () => {
    const { up, down, client, killSwitch, gate } = killable();
    await up(call(1, 'read'));
    killSwitch.set({ scope: 'server', id: 'other' });
    await down(REPLY);
    assert.equal(client.got.length, 1);
    assert.deepEqual(gate.settled, ['1 ok']);
  });

  test('and the server is gone after it, nobody is answered twice', async () => {
    const { up, client, relay, killSwitch, gate } = killable();
    await up(call(1, 'read'));
    killSwitch.set({ scope: 'all' });
    await relay.breakOff('gone');
    assert.equal(client.got.length, 1);
    assert.deepEqual(gate.settled, ['1 cancelled killed']);
    assert.equal(killSwitch.listeners(), 0);
  });
});
