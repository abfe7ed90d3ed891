/**
 * The proxy's HTTP door with less behind it than in `serve`, to tell what costs what; a process of its own.
 * `parse`: admission, strict parse, forward. `gate`: policy, redaction and the whole event too, but no record.
 */
import { resourceFromAttributes } from '@opentelemetry/resources';
import { hmacKey } from '../../src/event/keyring.ts';
import { ANONYMOUS } from '../../src/identity/identity.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import type { Gate } from '../../src/proxy/gate.ts';
import { createGate } from '../../src/proxy/gatekeeper.ts';
import { createHttpDoor, type DoorSettings } from '../../src/proxy/http/door.ts';
import { stderrDiagnostics } from '../../src/telemetry/diagnostics.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { createTracing } from '../../src/telemetry/tracing.ts';
import { POLICY } from './programs.ts';

const [level, target = ''] = process.argv.slice(2);
const diagnostics = stderrDiagnostics('warn', (line) => void process.stderr.write(line));

const settings: DoorSettings = {
  servers: new Map([['shop', { kind: 'http', name: 'shop', url: new URL(target), headers: {} }]]),
  authenticate: () => ({ ok: true, identity: ANONYMOUS }),
};
const door = createHttpDoor({
  gate: level === 'parse' ? openGate() : silentGate(),
  settings: () => settings,
  listen: { host: '127.0.0.1', port: 0 },
  diagnostics,
});
const { port } = await door.listen();
process.stdout.write(`listening ${port}\n`);

/** Forwards whatever it is asked. */
function openGate(): Gate {
  const trace = { traceparent: '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01' };
  return {
    decide: () => Promise.resolve({ forward: true, asked: undefined, trace, settle: () => {} }),
    reject: ({ code }) => ({ httpStatus: 400, body: Buffer.from(code) }),
    show: (bytes) => ({ ok: true, bytes }),
  };
}

/** The real gate before a recorder that keeps nothing. */
function silentGate(): Gate {
  const loaded = loadPolicy([{ file: 'policy.yaml', text: POLICY }]);
  if (!loaded.ok) throw new Error('the policy of the bench is not valid');
  const telemetry = { env: {}, resource: resourceFromAttributes({}), diagnostics };
  return createGate({
    policy: () => loaded.policy,
    pins: { standing: () => ({ digest: undefined, refusal: undefined }) },
    recorder: { emit: () => '', recorded: () => Promise.resolve() },
    tracing: createTracing(telemetry),
    metrics: createMetrics(telemetry),
    hmac: hmacKey(Buffer.alloc(32, 1)),
    diagnostics,
    denials: () => 'explained',
    onAuditFailure: 'deny',
    now: () => new Date(),
  });
}
