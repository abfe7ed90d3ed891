import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Identity } from '../../src/identity/identity.ts';
import { message, openGate, origin, tool } from '../support/gate-scene.ts';

describe('a record of the gate', () => {
  test('says in each decision which policy was in force and for whom it was made', async () => {
    const { gate, scene } = openGate();
    const identity: Identity = {
      source: 'jwt',
      user: 'alice',
      roles: ['ops'],
      agent: { id: 'a-1', name: 'agent' },
      issuer: 'idp',
      delegation: ['bob'],
    };
    await gate.decide(message('tools/call', tool('read')), { ...origin, identity }, 'to_upstream');
    gate.reject({ reason: 'parse', code: 'parse_utf8', details: {}, origin: { identity }, id: null });
    assert.equal(scene.drafts.length, 2);
    for (const { fields } of scene.drafts) {
      assert.match(fields['verdict.policy.digest'] ?? '', /^sha256:[0-9a-f]{64}$/);
      assert.partialDeepStrictEqual(fields, {
        'user.id': 'alice',
        'user.roles': ['ops'],
        'gen_ai.agent.id': 'a-1',
        'gen_ai.agent.name': 'agent',
        'verdict.identity.source': 'jwt',
        'verdict.identity.issuer': 'idp',
        'verdict.identity.delegation': ['bob'],
      });
    }
    assert.equal(scene.drafts[0]?.fields['client.address'], '127.0.0.1');
  });

  test('says in each outcome how long the call took', async () => {
    const { gate, scene } = openGate();
    const before = process.hrtime.bigint();
    const ruling = await gate.decide(message('tools/call', tool('read')), origin, 'to_upstream');
    assert.ok(ruling.forward);
    ruling.settle({ status: 'ok' });
    const took = Number(process.hrtime.bigint() - before);
    const durationNs = scene.drafts[1]?.fields['verdict.outcome.duration_ns'] ?? 0;
    assert.ok(durationNs > 0 && durationNs < took, `${durationNs} of ${took}`);
  });

  test('gives metrics no protocol version that is not a date', async () => {
    const { gate, scene } = openGate();
    for (const protocolVersion of ['2025-11-25', 'x'.repeat(9), '2025-11-25; drop', undefined]) {
      const ruling = await gate.decide(message('ping'), { ...origin, protocolVersion }, 'to_upstream');
      assert.ok(ruling.forward);
      ruling.settle({ status: 'ok' });
    }
    assert.deepEqual(scene.versions, ['2025-11-25', '_OTHER', '_OTHER', undefined]);
  });

  test('records of a rejection what could be read of the message, in its trace, and which way it went', () => {
    const { gate, scene } = openGate();
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
    const call = { tool: 'drop', traceparent, modern: false, clientName: 'c' };
    const rejection = { reason: 'parse', code: 'parse_utf8', details: {}, origin, id: null } as const;
    gate.reject({ ...rejection, message: { method: 'tools/call', call }, direction: 'to_upstream' });
    gate.reject({ ...rejection, direction: 'to_client' });
    const [first, second] = scene.drafts;
    assert.equal(first?.trace?.traceId, traceId);
    assert.partialDeepStrictEqual(first?.fields, {
      'mcp.method.name': 'tools/call',
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': 'drop',
      'verdict.client.claimed.name': 'c',
      'verdict.decision.message': 'The message is not valid UTF-8.',
    });
    assert.equal(
      second?.fields['verdict.decision.message'],
      'From the server: The message is not valid UTF-8.',
    );
  });
});
