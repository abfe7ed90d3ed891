/** Denials in style hidden: the answer is that of a server without such a thing, the record says what was denied. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TRANSPORT_MESSAGES } from '../../src/proxy/message/transport.ts';
import { answered, message, openGate, origin, tool } from '../support/gate-scene.ts';

const POLICY = `
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: hides}
rules:
  - {id: all, effect: allow, tools: ["s/*"]}
  - {id: secret, effect: deny, tools: ["s/secret"], style: hidden}
  - {id: plain, effect: deny, tools: ["s/plain"], style: explained}
  - {id: told, effect: deny, tools: ["s/told"]}
  - {id: careful, effect: deny, tools: ["s/careful"], when: args.n > 1, style: hidden}
  - {id: asks, effect: require_approval, tools: ["s/ask"]}
  - {id: gone, effect: deny, methods: ["*"], servers: [t], style: hidden}
`;

const MODERN = { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } };
const ref = (more: object): object => ({ ref: more, argument: { name: 'a', value: 'b' } });
const hiding = { ...origin, server: { name: 't' } };

type Error = { code: number; message: string; data?: object };

describe('a hidden denial', () => {
  const resource = 'file:///x';
  const cases: readonly (readonly [method: string, params: object, error: Error, modern?: Error])[] = [
    ['tools/call', tool('x{uri}'), { code: -32602, message: 'Tool x{uri} not found' }],
    ['prompts/get', { name: 'x' }, { code: -32602, message: 'Prompt x not found' }],
    [
      'resources/read',
      { uri: resource },
      { code: -32002, message: 'Resource not found', data: { uri: resource } },
      { code: -32602, message: `Resource not found: ${resource}`, data: { uri: resource } },
    ],
    [
      'completion/complete',
      ref({ type: 'ref/prompt', name: 'x' }),
      { code: -32602, message: 'Prompt x not found' },
    ],
    [
      'completion/complete',
      ref({ type: 'ref/resource', uri: 'x://{a}' }),
      { code: -32602, message: 'Resource template x://{a} not found' },
    ],
    ['tools/list', {}, { code: -32601, message: 'Method not found' }],
    ['tasks/get', { taskId: 'x' }, { code: -32601, message: 'Method not found' }],
  ];
  for (const [method, params, legacy, modern = legacy] of cases) {
    test(`of ${method} is what a server says that has no such thing, and nothing else`, async () => {
      for (const [error, envelope] of [
        [legacy, {}],
        [modern, MODERN],
      ] as const) {
        const { gate, scene } = openGate('deny', POLICY);
        const { status, body } = answered(
          await gate.decide(message(method, { ...params, ...envelope }), hiding, 'to_upstream'),
        );
        assert.deepEqual(body, { jsonrpc: '2.0', id: 7, error });
        assert.equal(status, error.code === -32601 && envelope === MODERN ? 404 : 200);
        assert.partialDeepStrictEqual(scene.drafts[0]?.fields, {
          'verdict.decision.effect': 'deny',
          'verdict.decision.reason': 'hidden',
          'verdict.rule.id': 'gone',
          'verdict.decision.message': 'Denied by rule gone.',
        });
      }
    });
  }

  test('of a resource that only older revisions subscribe to', async () => {
    const { gate } = openGate('deny', POLICY);
    const { body } = answered(
      await gate.decide(message('resources/subscribe', { uri: resource }), hiding, 'to_upstream'),
    );
    assert.equal(body['error']?.['code'], -32002);
  });

  test('of a stream is that of a server without streams', async () => {
    const { gate } = openGate('deny', POLICY);
    const { status, body } = answered(await gate.decide(TRANSPORT_MESSAGES.GET, hiding, 'to_upstream'));
    assert.equal(status, 405);
    assert.deepEqual(body, {
      jsonrpc: '2.0',
      id: null,
      error: { code: -32000, message: 'Method not allowed.' },
    });
  });

  test('of what a server asks is that of a client that cannot', async () => {
    const { gate } = openGate('deny', POLICY);
    const { body } = answered(await gate.decide(message('roots/list'), hiding, 'to_client'));
    assert.deepEqual(body['error'], { code: -32601, message: 'Method not found' });
  });
});

/** How a call of the tool is told, and what is recorded of it. */
async function told(name: string, denials: 'explained' | 'hidden', args: object = {}): Promise<string> {
  const { gate, scene } = openGate('deny', POLICY, denials);
  const { body } = answered(
    await gate.decide(message('tools/call', tool(name, args)), origin, 'to_upstream'),
  );
  const fields = scene.drafts[0]?.fields ?? {};
  const style = body['error'] === undefined ? 'explained' : 'hidden';
  return `${style} ${fields['verdict.decision.reason']} ${fields['verdict.rule.id']}`;
}

describe('which denials are hidden', () => {
  test('those whose rule says so, and no others unless all are to be', async () => {
    assert.equal(await told('secret', 'explained'), 'hidden hidden secret');
    assert.equal(await told('told', 'explained'), 'explained rule told');
  });

  test('all but those whose rule says otherwise, where that is set', async () => {
    assert.equal(await told('secret', 'hidden'), 'hidden hidden secret');
    assert.equal(await told('told', 'hidden'), 'hidden hidden told');
    assert.equal(await told('plain', 'hidden'), 'explained rule plain');
  });

  test('that of a rule which cannot be evaluated stays a failure on record', async () => {
    assert.equal(await told('careful', 'explained', { n: 'x' }), 'hidden policy_error careful');
  });

  test('what no rule allows is hidden where that is set, and a call that waits for a person never', async () => {
    const { gate, scene } = openGate('deny', POLICY, 'hidden');
    const other = { ...origin, server: { name: 'u' } };
    const { body } = answered(await gate.decide(message('tools/call', tool('x')), other, 'to_upstream'));
    assert.deepEqual(body['error'], { code: -32602, message: 'Tool x not found' });
    assert.equal(scene.drafts[0]?.fields['verdict.decision.reason'], 'hidden');
    assert.equal(await told('ask', 'hidden'), 'explained approval_required asks');
  });

  test('nothing is hidden of a proxy that stops, cannot record, or does not know the method', async () => {
    const { gate, scene } = openGate('deny', POLICY, 'hidden');
    const unknown = answered(await gate.decide(message('tools/forget'), origin, 'to_upstream'));
    assert.equal(unknown.body['error']?.['data']?.['reason'], 'method_unknown');
    scene.recorded = () => Promise.reject(new Error('disk gone'));
    for (const name of ['secret', 'read']) {
      const { body } = answered(await gate.decide(message('tools/call', tool(name)), origin, 'to_upstream'));
      assert.match(JSON.stringify(body), /audit_unavailable/);
    }
    gate.close();
    scene.recorded = () => Promise.resolve();
    const { body } = answered(
      await gate.decide(message('tools/call', tool('secret')), origin, 'to_upstream'),
    );
    assert.match(JSON.stringify(body), /"reason":"shutdown"/);
  });
});
