/** What the gate does while the kill switch is thrown. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TRANSPORT_MESSAGES } from '../../src/proxy/message/transport.ts';
import { answered, message, openGate, origin, tool } from '../support/gate-scene.ts';

const NOTE = 'io.github.mcp-verdict/decision';

describe('while the switch is thrown', () => {
  test('a tool call is refused as a tool would, with why, and never as policy’s denial', async () => {
    const { gate, scene, killSwitch } = openGate();
    killSwitch.set({ scope: 'server', id: 's', reason: 'card numbers' });
    const ruling = await gate.decide(message('tools/call', tool('read')), origin, 'to_upstream');
    const { status, body } = answered(ruling);
    assert.equal(status, 200);
    assert.equal(body['result']?.['isError'], true);
    assert.equal(body['result']?.['_meta']?.[NOTE]?.['reason'], 'killed');
    const text = String(body['result']?.['content']?.[0]?.['text']);
    assert.match(text, /^The kill switch is thrown for the server s: card numbers\. .* Decision uid-1\.$/);
    assert.partialDeepStrictEqual(scene.drafts, [
      {
        name: 'verdict.decision',
        severity: 13,
        fields: {
          'verdict.decision.effect': 'deny',
          'verdict.decision.reason': 'killed',
          'gen_ai.tool.name': 'read',
          'user.id': 'alice',
        },
      },
    ]);
    assert.equal(scene.drafts[0]?.fields['verdict.rule.id'], undefined);
  });

  const requests: readonly (readonly [string, object, 'to_upstream' | 'to_client'])[] = [
    ['initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: {} }, 'to_upstream'],
    ['ping', {}, 'to_upstream'],
    ['tools/list', {}, 'to_upstream'],
    ['resources/read', { uri: 'file:///x' }, 'to_upstream'],
    ['no/such/method', {}, 'to_upstream'],
    ['sampling/createMessage', { messages: [], maxTokens: 1 }, 'to_client'],
    ['ping', {}, 'to_client'],
  ];
  for (const [method, params, direction] of requests) {
    test(`${method} ${direction} is refused, and recorded as that`, async () => {
      const { gate, scene, killSwitch } = openGate();
      killSwitch.set({ scope: 'all' });
      const { body } = answered(await gate.decide(message(method, params), origin, direction));
      assert.match(String(body['error']?.['message']), /^The kill switch is thrown for everything\./);
      assert.equal(scene.drafts[0]?.fields['verdict.decision.reason'], 'killed');
      assert.equal(scene.drafts[0]?.fields['mcp.method.name'], method);
    });
  }

  test('a notification is dropped, and recorded although it else is not', async () => {
    const { gate, scene, killSwitch } = openGate();
    const progress = message('notifications/progress', { progressToken: 1, progress: 1 }, null);
    assert.ok((await gate.decide(progress, origin, 'to_upstream')).forward);
    assert.equal(scene.drafts.length, 0);
    killSwitch.set({ scope: 'all' });
    const { status } = answered(await gate.decide(progress, origin, 'to_upstream'));
    assert.equal(status, 202);
    assert.equal(scene.drafts[0]?.fields['verdict.decision.reason'], 'killed');
  });

  for (const method of ['GET', 'DELETE'] as const) {
    test(`${method} is forbidden, and not told that there is no such thing`, async () => {
      const { gate, killSwitch } = openGate();
      killSwitch.set({ scope: 'api_key', id: 'k_0001' });
      const { status } = answered(await gate.decide(TRANSPORT_MESSAGES[method], origin, 'to_upstream'));
      assert.equal(status, 403);
    });
  }

  test('others pass, and whoever is killed passes again when it is lifted', async () => {
    const { gate, killSwitch } = openGate();
    const call = () => gate.decide(message('tools/call', tool('read')), origin, 'to_upstream');
    killSwitch.set({ scope: 'user', id: 'bob' }, { scope: 'server', id: 'other' });
    assert.equal((await call()).forward, true);
    killSwitch.set({ scope: 'user', id: 'alice' });
    assert.equal((await call()).forward, false);
    killSwitch.set();
    assert.equal((await call()).forward, true);
  });

  test('style hidden hides nothing of it', async () => {
    const { gate, killSwitch } = openGate('deny', undefined, 'hidden');
    killSwitch.set({ scope: 'all' });
    const { body } = answered(await gate.decide(message('tools/call', tool('read')), origin, 'to_upstream'));
    assert.equal(body['result']?.['_meta']?.[NOTE]?.['reason'], 'killed');
  });
});
