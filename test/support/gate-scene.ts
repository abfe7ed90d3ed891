/** The real gate before a recorder that keeps drafts, with a small policy. */
import assert from 'node:assert/strict';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { hmacKey } from '../../src/event/keyring.ts';
import type { Draft, Recorder } from '../../src/event/recorder.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import type { DenialStyle } from '../../src/policy/verdict.ts';
import type { Origin, Ruling } from '../../src/proxy/gate.ts';
import { createGate } from '../../src/proxy/gatekeeper.ts';
import {
  parseMessage,
  type NotificationMessage,
  type RequestMessage,
} from '../../src/proxy/message/message.ts';
import { stderrDiagnostics } from '../../src/telemetry/diagnostics.ts';
import type { ToolStanding } from '../../src/proxy/pins/pins.ts';
import type { Metrics } from '../../src/telemetry/metrics.ts';
import { handSwitch } from './switch.ts';
import { createTracing } from '../../src/telemetry/tracing.ts';

const POLICY = `
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: gate, version: "1"}
rules:
  - {id: reads, effect: allow, tools: ["s/read"]}
  - {id: quiet, effect: allow, tools: ["s/quiet"], arguments: none}
  - {id: big, effect: require_approval, tools: ["s/pay"], when: args.amount > 10}
  - {id: no-lists, effect: deny, methods: ["prompts/list"]}
  - {id: no-ends, effect: deny, methods: ["transport/delete"]}
  - {id: sampling, effect: allow, methods: ["sampling/createMessage"]}
`;

export interface Scene {
  readonly drafts: Draft[];
  readonly said: string[];
  /** Protocol versions that metrics were given. */
  readonly versions: (string | undefined)[];
  /** What pins say of a tool. */
  readonly standings: Map<string, ToolStanding>;
  /** What `recorded` does, per uid. */
  recorded: (uid: string) => Promise<void>;
}

export const origin: Origin = {
  server: { name: 's', address: 'up.example', port: 443 },
  transport: 'tcp',
  identity: { source: 'api_key', user: 'alice', keyId: 'k_0001' },
  claimed: { userAgent: 'agent/1' },
  clientAddress: '127.0.0.1',
  sessionId: 'session-secret',
};

const silentMetrics: Metrics = {
  decision() {},
  lifecycle() {},
  evaluation() {},
  serverOperation() {},
  clientOperation() {},
  observeDelivery() {},
  observeSpool() {},
  commit() {},
  flush: () => Promise.resolve(),
  shutdown: () => Promise.resolve(),
};

export function openGate(
  onAuditFailure: 'deny' | 'allow' = 'deny',
  policy = POLICY,
  denials: DenialStyle = 'explained',
) {
  const scene: Scene = {
    drafts: [],
    said: [],
    versions: [],
    standings: new Map(),
    recorded: () => Promise.resolve(),
  };
  const recorder: Recorder = {
    emit: (draft) => `uid-${scene.drafts.push(draft)}`,
    recorded: (uid) => scene.recorded(uid),
  };
  const killSwitch = handSwitch();
  const loaded = loadPolicy([{ file: 'p.yaml', text: policy }]);
  assert.ok(loaded.ok);
  const diagnostics = stderrDiagnostics('debug', (line) => void scene.said.push(line));
  const gate = createGate({
    policy: () => loaded.policy,
    pins: { standing: (_, tool) => scene.standings.get(tool) ?? { digest: undefined, refusal: undefined } },
    recorder,
    tracing: createTracing({ env: {}, resource: resourceFromAttributes({}), diagnostics }),
    metrics: {
      ...silentMetrics,
      serverOperation: (_, { protocolVersion }) => void scene.versions.push(protocolVersion),
    },
    hmac: hmacKey(Buffer.alloc(32, 1)),
    diagnostics,
    denials: () => denials,
    killSwitch,
    onAuditFailure,
    now: () => new Date(0),
  });
  return { gate, scene, killSwitch };
}

export function message(
  method: string,
  params: object = {},
  id: number | null = 7,
): RequestMessage | NotificationMessage {
  const text = JSON.stringify({ jsonrpc: '2.0', ...(id === null ? {} : { id }), method, params });
  const parsed = parseMessage(Buffer.from(text));
  assert.ok(parsed.ok && parsed.message.kind !== 'response', text);
  return parsed.message;
}

export function answered(ruling: Ruling): { status: number; body: Record<string, never> } {
  assert.ok(!ruling.forward);
  return {
    status: ruling.answer.httpStatus,
    body: JSON.parse(Buffer.from(ruling.answer.body ?? []).toString() || '{}'),
  };
}

export const tool = (name: string, args: object = {}): object => ({ name, arguments: args });
