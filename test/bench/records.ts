/** Records as the proxy makes them for an ordinary tool call: a decision, a denial, so that none waits for an outcome. */
import { createEventClock } from '../../src/event/clock.ts';
import { toAttributes } from '../../src/event/fields.ts';
import { halve } from '../../src/event/halves.ts';
import type { Halves } from '../../src/event/halves.ts';
import type { Unstamped } from '../../src/event/stamp.ts';
import { newUid } from '../../src/event/uid.ts';
import { SCHEMA_URL, SCOPE_NAME, SEVERITY } from '../../src/event/vocabulary.ts';
import type { StreamIdentity } from '../../src/spool/segment.ts';

const INSTANCE = '5b1a4f0e-8f5e-4a9b-9d39-0d9c3a6a0001';

export const IDENTITY: StreamIdentity = {
  resource: {
    'service.name': 'mcp-verdict',
    'service.version': '0.1.0',
    'service.instance.id': INSTANCE,
    'host.name': 'bench',
  },
  scope: { name: SCOPE_NAME, version: '0.1.0', schemaUrl: SCHEMA_URL },
};

const FIELDS = toAttributes({
  'verdict.decision.effect': 'deny',
  'verdict.decision.enforced': true,
  'verdict.decision.reason': 'rule',
  'verdict.decision.message': 'Orders of others are not read.',
  'verdict.decision.duration_ns': 48_211,
  'verdict.policy.name': 'orders',
  'verdict.policy.file': 'policy.yaml',
  'verdict.policy.version': '7',
  'verdict.policy.digest': `sha256:${'ab'.repeat(32)}`,
  'verdict.rule.id': 'own-orders',
  'mcp.method.name': 'tools/call',
  'mcp.protocol.version': '2025-11-25',
  'jsonrpc.request.id': '17',
  'gen_ai.operation.name': 'execute_tool',
  'gen_ai.tool.name': 'read_order',
  'verdict.server.name': 'shop',
  'server.address': 'mcp.shop.example',
  'server.port': 443,
  'network.transport': 'tcp',
  'client.address': '127.0.0.1',
  'user.id': 'ana@example.com',
  'verdict.identity.source': 'api_key',
  'verdict.arguments.keys': ['order', 'fields'],
  'verdict.arguments.size': 76,
  'verdict.arguments.hmac': `hmac-sha256:${'0'.repeat(16)}:${'cd'.repeat(32)}`,
  'gen_ai.tool.call.arguments': '{"order":"A-10482-9","fields":["status","total","lines"]}',
});

const clock = createEventClock();

/** A record of its own uid and time each. */
export function makeRecord(): { readonly uid: string; readonly record: Unstamped } {
  const time = clock.tick();
  const uid = newUid(time.hrTime[0] * 1000 + Math.floor(time.hrTime[1] / 1e6));
  return {
    uid,
    record: {
      name: 'verdict.decision',
      severity: SEVERITY.deny,
      trace: { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 },
      service: { name: 'mcp-verdict', instanceId: INSTANCE },
      attributes: { ...FIELDS, 'log.record.uid': uid, 'verdict.time': time.rfc3339 },
    },
  };
}

export function makeHalves(): Halves {
  return halve(makeRecord().record);
}
