import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ANONYMOUS } from '../../src/identity/identity.ts';
import { TRANSPORT_MESSAGES } from '../../src/proxy/message/transport.ts';
import { holdsTexts, isHeld } from '../support/garbage.ts';
import { answered, message, openGate, origin, tool } from '../support/gate-scene.ts';

const TRACED = {
  traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
  tracestate: 'vendor=a-value-that-is-long-enough-to-be-a-view',
};
const MODERN = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };

describe('the gate', () => {
  test('forwards an allowed call only after its record is durable', async () => {
    const { gate, scene } = openGate();
    let durable = (): void => {};
    scene.recorded = () => new Promise((resolve) => (durable = resolve));
    let forwarded = false;
    const ruling = gate.decide(message('tools/call', tool('read')), origin, 'to_upstream').then((value) => {
      forwarded = true;
      return value;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(scene.drafts.length, 1);
    assert.equal(forwarded, false, 'it did not wait');
    durable();
    assert.equal((await ruling).forward, true);
  });

  test('keeps nothing of a large message while its answer is waited for', async () => {
    const { gate } = openGate();
    const decide = async () => {
      const large = message('tools/call', tool('read', { a: 'x'.repeat(1000) }));
      return { bytes: new WeakRef(large.bytes), ruling: await gate.decide(large, origin, 'to_upstream') };
    };
    const { bytes, ruling } = await decide();
    assert.equal(await isHeld(bytes), false);
    assert.ok(ruling.forward);
    ruling.settle({ status: 'ok' });
  });

  for (const [what, method, direction, params] of [
    ['its trace', 'tools/call', 'to_upstream', { ...tool('read'), _meta: TRACED }],
    ['its revision', 'tools/call', 'to_upstream', { ...tool('read'), _meta: MODERN }],
    ['the long name of its method', 'sampling/createMessage', 'to_client', {}],
  ] as const) {
    test(`keeps no large text for ${what}, which is a part of it, while an answer is waited for`, async () => {
      const { gate, scene } = openGate();
      const held = await holdsTexts(async (text) => {
        const ruling = await gate.decide(message(method, { ...params, text }), origin, direction);
        assert.ok(ruling.forward);
        scene.drafts.length = 0;
        return ruling;
      });
      assert.equal(held, false);
    });
  }

  test('refuses an allowed call whose record cannot be made, and the agent sees an ordinary denial', async () => {
    const { gate, scene } = openGate();
    scene.recorded = () => Promise.reject(new Error('disk gone'));
    const { status, body } = answered(
      await gate.decide(message('tools/call', tool('read')), origin, 'to_upstream'),
    );
    assert.equal(status, 200);
    assert.equal(body['result']?.['isError'], true);
    assert.equal(
      body['result']?.['_meta']?.['io.github.mcp-verdict/decision']?.['reason'],
      'audit_unavailable',
    );
    assert.match(scene.said.join(''), /disk gone/);
  });

  test('lets such a call go on where the operator has chosen that, but never a denied one', async () => {
    const { gate, scene } = openGate('allow');
    scene.recorded = () => Promise.reject(new Error('disk gone'));
    const ruling = await gate.decide(message('tools/call', tool('read')), origin, 'to_upstream');
    assert.ok(ruling.forward);
    ruling.settle({ status: 'ok' });
    assert.equal(scene.drafts.length, 1, 'an outcome was recorded of a decision that is not there');
    assert.equal(
      (await gate.decide(message('tools/call', tool('write')), origin, 'to_upstream')).forward,
      false,
    );
  });

  test('refuses when the recorder itself throws', async () => {
    const { gate, scene } = openGate();
    scene.drafts.push = () => {
      throw new Error('emit broke');
    };
    const ruling = await gate.decide(message('tools/call', tool('read')), origin, 'to_upstream');
    assert.equal(ruling.forward, false);
  });

  test('denies as a tool result where the method has one, with uid, effect and reason for programs', async () => {
    const { gate } = openGate();
    const { status, body } = answered(
      await gate.decide(message('tools/call', tool('write')), origin, 'to_upstream'),
    );
    assert.equal(status, 200);
    assert.equal(body['id'], 7);
    assert.deepEqual(body['result']?.['_meta'], {
      'io.github.mcp-verdict/decision': { uid: 'uid-1', effect: 'deny', reason: 'default' },
    });
  });

  test('denies other methods as a JSON-RPC error whose code the protocol does not reserve', async () => {
    const { gate } = openGate();
    const { status, body } = answered(
      await gate.decide(message('resources/read', { uri: 'file:///x' }), origin, 'to_upstream'),
    );
    assert.equal(status, 200);
    const code = Number(body['error']?.['code']);
    assert.ok(code < -32768 || code > -32000, String(code));
    assert.equal(body['error']?.['data']?.['reason'], 'default');
  });

  test('says that a person must approve, and does not forward', async () => {
    const { gate, scene } = openGate();
    const { body } = answered(
      await gate.decide(message('tools/call', tool('pay', { amount: 11 })), origin, 'to_upstream'),
    );
    assert.match(String(body['result']?.['content']?.[0]?.['text']), /^Approval needed/);
    assert.equal(scene.drafts[0]?.severity, 10);
  });

  test('denies and records a method that it does not know; 2026-07-28 hears it as HTTP 404', async () => {
    const { gate, scene } = openGate();
    const legacy = answered(await gate.decide(message('tools/forget'), origin, 'to_upstream'));
    assert.deepEqual([legacy.status, legacy.body['error']?.['code']], [200, -32601]);
    const envelope = {
      _meta: {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientCapabilities': {},
      },
    };
    // The second is a method that this revision has removed, whatever its params are.
    for (const method of ['tools/forget', 'resources/subscribe']) {
      const modern = answered(await gate.decide(message(method, envelope), origin, 'to_upstream'));
      assert.deepEqual([modern.status, modern.body['error']?.['code']], [404, -32601]);
    }
    assert.deepEqual(
      scene.drafts.map((draft) => draft.fields['verdict.decision.reason']),
      ['method_unknown', 'method_unknown', 'method_unknown'],
    );
  });

  test('drops a denied notification without an answer, and records it', async () => {
    const { gate, scene } = openGate();
    const ruling = await gate.decide(message('notifications/unknown', {}, null), origin, 'to_upstream');
    assert.deepEqual(ruling, { forward: false, answer: { httpStatus: 202, body: undefined } });
    assert.equal(scene.drafts.length, 1);
  });

  test('lets the protocol pass without waiting for its record, unless a rule names it', async () => {
    const { gate, scene } = openGate();
    scene.recorded = () => Promise.reject(new Error('must not be asked'));
    assert.equal((await gate.decide(message('tools/list'), origin, 'to_upstream')).forward, true);
    assert.equal(scene.drafts.length, 1);
    assert.equal((await gate.decide(message('ping'), origin, 'to_upstream')).forward, true);
    assert.equal(scene.drafts.length, 1, 'a ping leaves no record');
    assert.equal((await gate.decide(message('prompts/list'), origin, 'to_upstream')).forward, false);
  });

  test('governs what a server asks of the client', async () => {
    const { gate } = openGate();
    assert.equal((await gate.decide(message('sampling/createMessage'), origin, 'to_client')).forward, true);
    assert.equal((await gate.decide(message('elicitation/create'), origin, 'to_client')).forward, false);
    assert.equal(
      (await gate.decide(message('sampling/createMessage'), origin, 'to_upstream')).forward,
      false,
    );
  });

  test('records the digest of the tool as last listed with each of its calls, allowed or not', async () => {
    const { gate, scene } = openGate();
    scene.standings.set('read', { digest: 'sha256:aa', refusal: undefined });
    scene.standings.set('write', { digest: 'sha256:bb', refusal: 'tool_changed' });
    for (const name of ['read', 'write', 'pay']) {
      await gate.decide(message('tools/call', tool(name)), origin, 'to_upstream');
    }
    await gate.decide(message('resources/read', { uri: 'file:///x' }), origin, 'to_upstream');
    assert.deepEqual(
      scene.drafts.map(({ fields }) => fields['verdict.tool.digest']),
      ['sha256:aa', 'sha256:bb', undefined, undefined],
    );
    // Policy denies it whatever its definition is, and says so.
    assert.equal(scene.drafts[1]?.fields['verdict.decision.reason'], 'default');
  });

  for (const refusal of ['tool_changed', 'tool_unpinned'] as const) {
    test(`denies a tool that is not as it is pinned (${refusal}), where policy allows it or has a person allow it`, async () => {
      const { gate, scene } = openGate();
      for (const name of ['quiet', 'pay']) {
        scene.standings.set(name, { digest: 'sha256:cc', refusal });
        const call = message('tools/call', tool(name, { amount: 11 }));
        const { status, body } = answered(await gate.decide(call, origin, 'to_upstream'));
        assert.equal(status, 200);
        const text = String(body['result']?.['content']?.[0]?.['text']);
        assert.match(text, new RegExp(`the tool ${name}|its tool ${name}`));
        assert.match(text, /mcp-verdict tools lock/);
        assert.equal(
          body['result']?.['_meta']?.['io.github.mcp-verdict/decision']?.['reason'],
          'tool_changed',
        );
      }
      for (const { fields, severity } of scene.drafts) {
        assert.equal(severity, 13);
        assert.equal(fields['verdict.decision.effect'], 'deny');
        assert.equal(fields['verdict.decision.reason'], 'tool_changed');
        assert.equal(fields['verdict.tool.digest'], 'sha256:cc');
        assert.equal(fields['verdict.rule.id'], undefined);
      }
      // How much of the arguments a rule wants recorded holds all the same.
      assert.equal(scene.drafts[0]?.fields['verdict.arguments.keys'], undefined);
      assert.deepEqual(scene.drafts[1]?.fields['verdict.arguments.keys'], ['amount']);
    });
  }

  test('records the first outcome of a call, once, in the trace of its decision', async () => {
    const { gate, scene } = openGate();
    const ruling = await gate.decide(message('tools/call', tool('read')), origin, 'to_upstream');
    assert.ok(ruling.forward);
    ruling.settle({ status: 'tool_error', size: 12, errorType: 'tool_error', httpStatus: 200 });
    ruling.settle({ status: 'ok' });
    const [decision, outcome, ...more] = scene.drafts;
    assert.deepEqual(more, []);
    assert.equal(outcome?.name, 'verdict.outcome');
    assert.equal(outcome?.fields['verdict.decision.uid'], 'uid-1');
    assert.equal(outcome?.fields['verdict.outcome.status'], 'tool_error');
    assert.deepEqual(outcome?.trace, decision?.trace);
  });

  test('keeps the trace id that the client sent in _meta, before the header’s', async () => {
    const { gate, scene } = openGate();
    const inMeta = '0af7651916cd43dd8448eb211c80319c';
    const params = { ...tool('read'), _meta: { traceparent: `00-${inMeta}-b7ad6b7169203331-00` } };
    const header = { ...origin, traceparent: '00-11111111111111111111111111111111-1111111111111111-01' };
    const ruling = await gate.decide(message('tools/call', params), header, 'to_upstream');
    assert.equal(scene.drafts[0]?.trace?.traceId, inMeta);
    assert.ok(ruling.forward && ruling.trace.traceparent.includes(inMeta));
    await gate.decide(message('tools/call', tool('read')), header, 'to_upstream');
    assert.equal(scene.drafts[1]?.trace?.traceId, '1'.repeat(32));
  });

  test('refuses everything once it is closed', async () => {
    const { gate, scene } = openGate();
    gate.close();
    assert.equal(
      (await gate.decide(message('tools/call', tool('read')), origin, 'to_upstream')).forward,
      false,
    );
    assert.equal((await gate.decide(message('tools/list'), origin, 'to_upstream')).forward, false);
    assert.deepEqual(
      scene.drafts.map((draft) => draft.fields['verdict.decision.reason']),
      ['shutdown', 'shutdown'],
    );
  });

  test('writes a session id as a digest, and arguments as the deciding rule says', async () => {
    const { gate, scene } = openGate();
    await gate.decide(
      message('tools/call', tool('read', { password: 'hunter2', path: '/a' })),
      origin,
      'to_upstream',
    );
    await gate.decide(message('tools/call', tool('quiet', { path: '/a' })), origin, 'to_upstream');
    const text = JSON.stringify(scene.drafts);
    assert.ok(!text.includes('session-secret') && !text.includes('hunter2'));
    assert.match(String(scene.drafts[0]?.fields['gen_ai.tool.call.arguments']), /"path":"\/a"/);
    assert.equal(scene.drafts[1]?.fields['gen_ai.tool.call.arguments'], undefined);
  });

  test('decides on a stream and on the end of a session: they pass, are recorded, and a rule can deny them', async () => {
    const { gate, scene } = openGate();
    scene.recorded = () => Promise.reject(new Error('must not be asked'));
    const passed = await gate.decide(TRANSPORT_MESSAGES.GET, origin, 'to_upstream');
    assert.ok(passed.forward);
    passed.settle({ status: 'ok' });
    const denied = answered(await gate.decide(TRANSPORT_MESSAGES.DELETE, origin, 'to_upstream'));
    assert.deepEqual([denied.status, denied.body['id']], [405, null]);
    assert.equal(denied.body['error']?.['data']?.['reason'], 'rule');
    assert.partialDeepStrictEqual(
      scene.drafts.map(({ fields }) => fields),
      [
        { 'mcp.method.name': 'transport/stream', 'verdict.decision.effect': 'allow' },
        { 'mcp.method.name': 'transport/delete', 'verdict.rule.id': 'no-ends' },
      ],
    );
    gate.close();
    assert.equal(answered(await gate.decide(TRANSPORT_MESSAGES.GET, origin, 'to_upstream')).status, 503);
  });

  test('does not take a JSON-RPC message for a stream of the transport', async () => {
    const { gate, scene } = openGate();
    for (const id of [1, null]) {
      const ruling = await gate.decide(message('transport/stream', {}, id), origin, 'to_upstream');
      assert.equal(ruling.forward, false);
    }
    assert.equal(scene.drafts[1]?.fields['verdict.decision.reason'], 'method_unknown');
  });

  test('says what it has let through, so that the answer to a list can be shown as policy has it', async () => {
    const { gate } = openGate();
    const ruling = await gate.decide(
      message('tools/list'),
      { ...origin, protocolVersion: '2025-11-25' },
      'to_upstream',
    );
    assert.ok(ruling.forward);
    assert.deepEqual(ruling.asked, { method: 'tools/list', modern: false, protocolVersion: '2025-11-25' });
    const list = Buffer.from(
      '{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"write"},{"name":"read"}]}}',
    );
    const shown = gate.show(list, ruling.asked, origin);
    assert.ok(shown.ok);
    assert.match(Buffer.from(shown.bytes).toString(), /"tools":\[\{"name":"read"\}\]/);
    const note = await gate.decide(message('notifications/initialized', {}, null), origin, 'to_upstream');
    assert.ok(note.forward && note.asked === undefined);
  });

  test('records a rejection without waiting, with what is known of its origin', () => {
    const { gate, scene } = openGate();
    scene.recorded = () => Promise.reject(new Error('must not be asked'));
    const answer = gate.reject({
      reason: 'identity_invalid',
      code: 'identity_invalid',
      details: { detail: 'the key k_0001 has expired' },
      origin: { server: { name: 's' }, transport: 'tcp', clientAddress: '10.0.0.9', identity: ANONYMOUS },
      id: null,
    });
    assert.equal(answer.httpStatus, 401);
    const fields = scene.drafts[0]?.fields;
    assert.equal(fields?.['verdict.decision.reason'], 'identity_invalid');
    assert.equal(fields?.['client.address'], '10.0.0.9');
    assert.match(fields?.['verdict.decision.message'] ?? '', /k_0001 has expired/);
  });
});
