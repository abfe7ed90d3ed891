/** One record of each kind in use, with fixed ids and times; and Json made from plain values. */
import { toAttributes } from '../../src/event/fields.ts';
import { JsonNumber } from '../../src/event/json.ts';
import type { Json } from '../../src/event/json.ts';
import type { Unstamped } from '../../src/event/stamp.ts';
import { SEVERITY } from '../../src/event/vocabulary.ts';
import type { EventName, Fields } from '../../src/event/vocabulary.ts';

const DECISION_UID = '019aaaaa-0000-7000-8000-000000000002';

const TRACE = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 };

function sample(place: number, name: EventName, severity: number, fields: Fields): Unstamped {
  return {
    name,
    severity,
    service: { name: 'mcp-verdict', instanceId: '5b1a4f0e-8f5e-4a9b-9d39-0d9c3a6a0001' },
    attributes: toAttributes({
      'log.record.uid': DECISION_UID.replace(/\d$/, String(place)),
      'verdict.time': `2026-11-22T09:00:00.12345678${place}Z`,
      ...fields,
    }),
  };
}

export const LIFECYCLE = sample(1, 'verdict.lifecycle', SEVERITY.info, {
  'verdict.lifecycle.state': 'start',
  'verdict.lifecycle.durability': 'none',
  'verdict.policy.digest': `sha256:${'ab'.repeat(32)}`,
});

export const DECISION: Unstamped = {
  ...sample(2, 'verdict.decision', SEVERITY.deny, {
    'verdict.decision.effect': 'deny',
    'verdict.decision.enforced': true,
    'verdict.decision.reason': 'rule',
    'verdict.decision.message': 'Refunds over 500 need a person.\u2028Ask #payments.',
    'verdict.decision.duration_ns': 48_211,
    'verdict.policy.name': 'payments',
    'verdict.policy.file': './policy.yaml',
    'verdict.policy.version': '7',
    'verdict.policy.digest': `sha256:${'ab'.repeat(32)}`,
    'verdict.rule.id': 'refunds-over-500',
    'mcp.method.name': 'tools/call',
    'mcp.protocol.version': '2025-11-25',
    'jsonrpc.request.id': '17',
    'gen_ai.operation.name': 'execute_tool',
    'gen_ai.tool.name': 'create_refund',
    'verdict.server.name': 'stripe',
    'server.address': 'mcp.stripe.example',
    'server.port': 443,
    'network.transport': 'tcp',
    'client.address': '127.0.0.1',
    'user.id': 'ana@example.com',
    'user.roles': ['support', 'é😀'],
    'gen_ai.agent.name': 'helper',
    'verdict.identity.source': 'api_key',
    'verdict.identity.issuer': './keys.yaml',
    'verdict.client.claimed.name': 'lone \ud800 surrogate',
    'verdict.arguments.keys': ['amount', 'token'],
    'verdict.arguments.size': 42,
    'verdict.arguments.hmac': `hmac-sha256:${'0'.repeat(16)}:${'cd'.repeat(32)}`,
    'verdict.arguments.redacted': ['/token'],
    'gen_ai.tool.call.arguments': '{"amount":9007199254740993,"token":"[redacted]"}',
  }),
  trace: TRACE,
};

export const OUTCOME: Unstamped = {
  ...sample(3, 'verdict.outcome', SEVERITY.info, {
    'verdict.decision.uid': DECISION_UID,
    'verdict.outcome.status': 'rpc_error',
    'verdict.outcome.duration_ns': 1_204_500,
    'verdict.outcome.size': 88,
    'error.type': '-32602',
    'rpc.status_code': '-32602',
    'http.response.status_code': 200,
  }),
  trace: TRACE,
};

/** The Json of a JavaScript value. */
export function json(value: unknown): Json {
  if (typeof value === 'number') return new JsonNumber(String(value));
  if (value instanceof JsonNumber || value instanceof Map) return value as Json;
  if (Array.isArray(value)) return value.map(json);
  if (typeof value !== 'object' || value === null) return value as Json;
  return new Map(Object.entries(value).map(([key, item]) => [key, json(item)]));
}
