/**
 * Composes everything from the configuration, and fixes the order of start and stop. Nothing else composes.
 *
 * Start: keys, policy, pipeline, gate, `start` record, door. Stop: door (calls in flight finish), gate, `stop`
 * record, pipeline. So behind whatever a door lets through there is a gate, and behind that a pipeline.
 */
import { relative } from 'node:path';
import type { LogRecordExporter } from '@opentelemetry/sdk-logs';
import { packageVersion, readTextFile, type Environment, type ServeConfig } from './config.ts';
import { formatFault, type Fault } from './document.ts';
import { VerdictError } from './errors.ts';
import { loadHmacKey } from './event/keyring.ts';
import type { Draft, Recorder } from './event/recorder.ts';
import { SEVERITY, type LifecycleState } from './event/vocabulary.ts';
import { createOtlpLogExporter } from './export/exporter.ts';
import { createPipeline } from './export/pipeline.ts';
import { createResource } from './export/resource.ts';
import { loadApiKeys, type ApiKeys } from './identity/api-keys.ts';
import { httpAuthenticator } from './identity/authenticate.ts';
import { stdioIdentity } from './identity/stdio.ts';
import { loadPolicy } from './policy/load.ts';
import type { Policy } from './policy/policy.ts';
import { createGate, type ClosableGate } from './proxy/gatekeeper.ts';
import { createHttpDoor } from './proxy/http/door.ts';
import { runStdioDoor, type ChildEnd } from './proxy/stdio/door.ts';
import type { Delivery } from './telemetry/delivery.ts';
import type { Diagnostics } from './telemetry/diagnostics.ts';
import { createMetrics } from './telemetry/metrics.ts';
import { createTracing } from './telemetry/tracing.ts';

/** Ways to look on, for the demo and for tests. Neither changes what is decided or recorded. */
export interface Watch {
  /** Called with each record as it is handed to the pipeline. */
  readonly emitted?: (draft: Draft, uid: string) => void;
  /** Puts an exporter of one's own around, or in place of, the one that the environment asks for. */
  readonly exporter?: (configured: LogRecordExporter | undefined) => LogRecordExporter;
}

export interface CoreOptions {
  readonly policyFiles: readonly string[];
  readonly keysDirectory: string;
  /** Whether OTLP is to be used even where the environment names no endpoint. */
  readonly otlpNamed: boolean;
  readonly env: Environment;
  readonly cwd: string;
  readonly diagnostics: Diagnostics;
  readonly watch?: Watch | undefined;
}

/** Everything behind the doors. */
interface Core {
  readonly gate: ClosableGate;
  readonly policy: Policy;
  /** Records the stop and delivers what waits, for at most so long. */
  stop(deadlineMs: number): Promise<Delivery>;
}

function startCore(options: CoreOptions): Core {
  const { env, diagnostics } = options;
  const version = packageVersion();
  const policy = readPolicy(options.policyFiles, options.cwd);
  const hmac = loadHmacKey({ directory: options.keysDirectory, env });
  const { resource, service } = createResource(env, { version, diagnostics });
  const configured = createOtlpLogExporter({ env, diagnostics, named: options.otlpNamed });
  const exporter = options.watch?.exporter?.(configured) ?? configured;
  const telemetry = { env, resource, diagnostics, version };
  const tracing = createTracing(telemetry);
  const metrics = createMetrics(telemetry);
  const pipeline = createPipeline({ exporter, resource, service, env, diagnostics });
  metrics.observeDelivery(() => pipeline.delivery());
  const recorder = watched(pipeline, options.watch);
  const gate = createGate({
    policy: () => policy,
    recorder,
    tracing,
    metrics,
    hmac,
    diagnostics,
    now: () => new Date(),
  });
  if (exporter === undefined) {
    diagnostics.warn(
      'decisions are exported nowhere: set OTEL_EXPORTER_OTLP_ENDPOINT to an OTLP/HTTP receiver',
    );
  }
  lifecycle(recorder, 'start', policy);
  return {
    gate,
    policy,
    async stop(deadlineMs) {
      gate.close();
      lifecycle(recorder, 'stop', policy);
      const endMs = Date.now() + deadlineMs;
      const leftMs = (): number => Math.max(0, endMs - Date.now());
      const delivered = pipeline.flush(deadlineMs);
      // Metrics after the records, because they count what became of those.
      await Promise.all([delivered.then(() => metrics.shutdown(leftMs())), tracing.shutdown(deadlineMs)]);
      // Last, because it also says what the SDK kept complaining of.
      const delivery = await pipeline.shutdown(leftMs());
      sayDelivery(delivery, diagnostics);
      return delivery;
    },
  };
}

function watched(recorder: Recorder, watch: Watch | undefined): Recorder {
  const emitted = watch?.emitted;
  if (emitted === undefined) return recorder;
  return {
    emit(draft) {
      const uid = recorder.emit(draft);
      emitted(draft, uid);
      return uid;
    },
    recorded: (uid) => recorder.recorded(uid),
  };
}

function lifecycle(recorder: Recorder, state: LifecycleState, policy: Policy): void {
  recorder.emit({
    name: 'verdict.lifecycle',
    severity: SEVERITY.info,
    fields: {
      'verdict.lifecycle.state': state,
      'verdict.lifecycle.durability': 'none',
      'verdict.policy.digest': policy.digest,
    },
  });
}

function sayDelivery(delivery: Delivery, diagnostics: Diagnostics): void {
  const lost = Object.entries(delivery.lost).filter(([, count]) => count > 0);
  const total = lost.reduce((sum, [, count]) => sum + count, 0);
  const summary = `${delivery.emitted} records, ${delivery.delivered} delivered`;
  if (total === 0) diagnostics.info(summary);
  else
    diagnostics.error(
      `${summary}, ${total} LOST (${lost.map(([why, count]) => `${why}: ${count}`).join(', ')})`,
    );
}

/** Reads the policy files; throws `policy_invalid` with every fault, one a line. */
function readPolicy(files: readonly string[], cwd: string): Policy {
  const loaded = loadPolicy(files.map((file) => ({ file: shown(file, cwd), text: readTextFile(file) })));
  if (!loaded.ok) throw new VerdictError('policy_invalid', { detail: listed(loaded.faults) });
  return loaded.policy;
}

/** A file as people write it: relative to where they stand, unless it lies elsewhere. */
function shown(file: string, cwd: string): string {
  const path = relative(cwd, file);
  return path.startsWith('..') ? file : path;
}

function listed(faults: readonly Fault[]): string {
  return faults.map(formatFault).join('\n');
}

export interface Serving {
  readonly host: string;
  readonly port: number;
  readonly policy: Policy;
  /** Stops as the head of this file says. Safe to call twice. */
  stop(): Promise<Delivery>;
}

export interface ServeOptions {
  readonly config: ServeConfig;
  readonly env: Environment;
  readonly cwd: string;
  readonly diagnostics: Diagnostics;
  readonly watch?: Watch | undefined;
}

/** Starts `serve`. Throws before anything listens where the config, the policy or the keys are wrong. */
export async function startServe(options: ServeOptions): Promise<Serving> {
  const { config, diagnostics } = options;
  const apiKeys = readKeys(config.apiKeysFile, options.cwd);
  const core = startCore({ ...options, ...config });
  const door = createHttpDoor({
    gate: core.gate,
    servers: config.servers,
    authenticate: httpAuthenticator({ apiKeys, anonymous: config.anonymous, nowMs: Date.now }),
    listen: config.listen,
    messageLimits: config.messageBytesMax === undefined ? {} : { bytesMax: config.messageBytesMax },
    allowedHosts: config.allowedHosts,
    allowedOrigins: config.allowedOrigins,
    diagnostics,
  });
  const address = await door.listen().catch(async (error: unknown) => {
    await core.stop(0);
    throw error;
  });
  let stopping: Promise<Delivery> | undefined;
  return {
    ...address,
    policy: core.policy,
    stop() {
      stopping ??= door.close(config.shutdownTimeoutMs).then(() => core.stop(config.shutdownTimeoutMs));
      return stopping;
    },
  };
}

/** Reads what `serve` would read, and throws what it would throw, without starting anything. */
export function checkServe({ config, cwd }: Pick<ServeOptions, 'config' | 'cwd'>): void {
  readPolicy(config.policyFiles, cwd);
  readKeys(config.apiKeysFile, cwd);
}

function readKeys(file: string | undefined, cwd: string): ApiKeys | undefined {
  if (file === undefined) return undefined;
  const loaded = loadApiKeys(shown(file, cwd), readTextFile(file));
  if (!loaded.ok) throw new VerdictError('config_invalid', { detail: listed(loaded.faults) });
  return loaded.keys;
}

export interface WrapOptions extends Omit<CoreOptions, 'otlpNamed'> {
  /** What the policy calls the wrapped server. */
  readonly server: string;
  readonly agent: string | undefined;
  readonly command: string;
  readonly args: readonly string[];
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  readonly childEnv: Environment;
  readonly shutdownTimeoutMs: number;
  readonly signal: AbortSignal;
}

/** Runs `wrap` until the wrapped server has ended. */
export async function runWrap(options: WrapOptions): Promise<ChildEnd> {
  const core = startCore({ ...options, otlpNamed: false });
  const identity = stdioIdentity(options.agent);
  try {
    return await runStdioDoor({
      ...options,
      gate: core.gate,
      env: options.childEnv,
      origin: (claimed) => ({ server: { name: options.server }, transport: 'pipe', identity, claimed }),
    });
  } finally {
    await core.stop(options.shutdownTimeoutMs);
  }
}
