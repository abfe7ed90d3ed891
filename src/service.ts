/**
 * Composes everything from the configuration, and fixes the order of start and stop. Nothing else composes.
 *
 * Start: keys, policy, pipeline, gate, `start` record, door. Stop: door (calls in flight finish), gate, `stop`
 * record, pipeline. So behind whatever a door lets through there is a gate, and behind that a pipeline.
 */
import { relative } from 'node:path';
import { packageVersion, readTextFile, type Environment, type ServeConfig } from './config.ts';
import { formatFault, type Fault } from './document.ts';
import { VerdictError } from './errors.ts';
import { loadHmacKey } from './event/keyring.ts';
import type { Draft, Recorder } from './event/recorder.ts';
import { SEVERITY, type Fields, type LifecycleState } from './event/vocabulary.ts';
import { checkExporters } from './export/delivery.ts';
import type { ExporterPlan } from './export/delivery-message.ts';
import { createResource } from './export/resource.ts';
import { loadApiKeys, type ApiKeys } from './identity/api-keys.ts';
import { lockedOut } from './identity/authenticate.ts';
import { stdioIdentity } from './identity/stdio.ts';
import { lintPolicy, methodFaults } from './policy/lint.ts';
import { loadPolicy } from './policy/load.ts';
import type { Policy } from './policy/policy.ts';
import { guardFloods } from './proxy/flood-guard.ts';
import type { Gate } from './proxy/gate.ts';
import { createGate } from './proxy/gatekeeper.ts';
import { createHttpDoor, type HttpDoor } from './proxy/http/door.ts';
import { METHODS } from './proxy/message/methods.ts';
import { runStdioDoor, type ChildEnd } from './proxy/stdio/door.ts';
import type { Diagnostics } from './telemetry/diagnostics.ts';
import { createMetrics } from './telemetry/metrics.ts';
import { createTracing } from './telemetry/tracing.ts';
import { callersOf, readTls } from './service/callers.ts';
import { upstreamsOf } from './service/client-credentials.ts';
import { openRecords, type Farewell, type Records } from './service/records.ts';
import { serveHealth, type HealthServer } from './telemetry/health.ts';
import type { SpoolConfig } from './config/spool.ts';

/** A way to look on, for the demo and for tests. It changes nothing of what is decided or recorded. */
export interface Watch {
  /** Called with each record as it is handed to the pipeline. */
  readonly emitted: (draft: Draft, uid: string) => void;
}

export interface CoreOptions {
  readonly policyFiles: readonly string[];
  readonly keysDirectory: string;
  readonly spool: SpoolConfig;
  /** undefined: the environment alone decides. */
  readonly exporters: readonly ExporterPlan[] | undefined;
  readonly onAuditFailure: 'deny' | 'allow';
  readonly env: Environment;
  readonly cwd: string;
  readonly diagnostics: Diagnostics;
  readonly watch?: Watch | undefined;
}

/** Everything behind the doors. */
interface Core {
  readonly gate: Gate;
  readonly policy: Policy;
  readonly records: Records;
  /** Records the stop and delivers what waits, for at most so long. */
  stop(deadlineMs: number): Promise<Farewell>;
}

async function startCore(options: CoreOptions): Promise<Core> {
  const { env, diagnostics, watch } = options;
  const version = packageVersion();
  const policy = readPolicy(options.policyFiles, options.cwd, diagnostics);
  const hmac = loadHmacKey({ directory: options.keysDirectory, env });
  const { resource, service } = createResource(env, { version, diagnostics });
  const telemetry = { env, resource, diagnostics, version };
  const tracing = createTracing(telemetry);
  const metrics = createMetrics(telemetry);
  const records = await openRecords({ ...options, resource, service, metrics });
  const recorder = watch === undefined ? records : watched(records, watch);
  const gate = createGate({
    policy: () => policy,
    recorder,
    tracing,
    metrics,
    hmac,
    diagnostics,
    onAuditFailure: options.onAuditFailure,
    now: () => new Date(),
  });
  const guarded = guardFloods(gate, {
    nowMs: Date.now,
    fullness: () => records.bytes() / options.spool.bytesMax,
  });
  const floods = setInterval(() => guarded.flush(), FLOOD_INTERVAL_MS).unref();
  const lifecycle = (state: LifecycleState, facts: Fields = {}): void => {
    const fields = { 'verdict.lifecycle.state': state, 'verdict.policy.digest': policy.digest, ...facts };
    recorder.emit({ name: 'verdict.lifecycle', severity: SEVERITY.info, fields });
  };
  lifecycle('start', records.facts);
  return {
    gate: guarded,
    policy,
    records,
    async stop(deadlineMs) {
      gate.close();
      clearInterval(floods);
      guarded.flush();
      lifecycle('stop');
      const endMs = Date.now() + deadlineMs;
      const [farewell] = await Promise.all([records.stop(deadlineMs), tracing.shutdown(deadlineMs)]);
      // After the records, because metrics count what became of those.
      await metrics.shutdown(Math.max(0, endMs - Date.now()));
      diagnostics[farewell.lost ? 'error' : 'info'](farewell.text);
      return farewell;
    },
  };
}

/** How often refusals that were not recorded one by one are counted into one record. */
const FLOOD_INTERVAL_MS = 1000;

function watched(recorder: Recorder, { emitted }: Watch): Recorder {
  return {
    emit(draft) {
      const uid = recorder.emit(draft);
      emitted(draft, uid);
      return uid;
    },
    recorded: (uid) => recorder.recorded(uid),
  };
}

/** Reads the policy files; throws `policy_invalid` with every fault, one a line, and warns of what looks wrong. */
export function readPolicy(files: readonly string[], cwd: string, diagnostics: Diagnostics): Policy {
  const loaded = loadPolicy(files.map((file) => ({ file: shown(file, cwd), text: readTextFile(file) })));
  if (!loaded.ok) throw new VerdictError('policy_invalid', { detail: listed(loaded.faults) });
  const { policy, place } = loaded;
  // A rule for a method that does not exist never matches: a misspelt deny would be no deny at all.
  const faults = methodFaults(policy, place, KNOWN_METHODS);
  if (faults.length > 0) throw new VerdictError('policy_invalid', { detail: listed(faults) });
  for (const fault of lintPolicy(policy, place)) diagnostics.warn(formatFault(fault));
  return policy;
}

const KNOWN_METHODS: readonly string[] = [...new Set(METHODS.map(({ method }) => method))];

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
  /** Where /healthz and /readyz are, if anywhere. */
  readonly admin: { readonly host: string; readonly port: number } | undefined;
  readonly policy: Policy;
  /** Log files may have been moved away: they are opened anew. */
  reopen(): void;
  /** Stops as the head of this file says. Safe to call twice. */
  stop(): Promise<Farewell>;
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
  const apiKeys = readCallers(config, options.cwd, diagnostics);
  const tls = readTls(config.tls);
  const core = await startCore({ ...options, ...config });
  const door = createHttpDoor({
    gate: core.gate,
    servers: upstreamsOf(config.servers, diagnostics),
    ...callersOf(config, apiKeys, diagnostics),
    tls,
    listen: config.listen,
    messageLimits: config.messageBytesMax === undefined ? {} : { bytesMax: config.messageBytesMax },
    allowedHosts: config.allowedHosts,
    allowedOrigins: config.allowedOrigins,
    diagnostics,
  });
  const [address, health] = await Promise.all([door.listen(), startHealth(config, core)]).catch(
    async (error: unknown) => {
      await door.close(0);
      await core.stop(0);
      throw error;
    },
  );
  let stopping: Promise<Farewell> | undefined;
  return {
    ...address,
    admin: health,
    policy: core.policy,
    reopen: () => core.records.reopen(),
    stop() {
      stopping ??= stopInTime(config.shutdownTimeoutMs, { door, core, health });
      return stopping;
    },
  };
}

interface Standing {
  readonly door: HttpDoor;
  readonly core: Core;
  readonly health: HealthServer | undefined;
}

/** One deadline for all: what calls in flight leave of it, and never less than the reserve, is for delivery. */
async function stopInTime(timeoutMs: number, { door, core, health }: Standing): Promise<Farewell> {
  const reserveMs = Math.min(DELIVERY_RESERVE_MS, timeoutMs / 2);
  const endMs = Date.now() + timeoutMs;
  await door.close(timeoutMs - reserveMs);
  const farewell = await core.stop(Math.max(reserveMs, endMs - Date.now()));
  await health?.close();
  return farewell;
}

/** Of the shutdown timeout: orchestrators kill when it is over, and the `stop` record should be out by then. */
const DELIVERY_RESERVE_MS = 3000;

function startHealth({ admin }: ServeConfig, core: Core): Promise<HealthServer | undefined> {
  if (admin === undefined) return Promise.resolve(undefined);
  return serveHealth({ listen: admin, version: packageVersion(), spool: () => core.records.reading() });
}

/** Reads what `serve` would read, and throws what it would throw, without starting anything. */
export function checkServe({ config, cwd, diagnostics }: ServeOptions): void {
  readPolicy(config.policyFiles, cwd, diagnostics);
  readCallers(config, cwd, diagnostics);
  const { exporters = [], spool } = config;
  checkExporters({ exporters, directory: spool.directory, version: packageVersion() });
  readTls(config.tls);
}

/** Reads the keys file, and warns where nobody could get in. */
export function readCallers(config: ServeConfig, cwd: string, diagnostics: Diagnostics): ApiKeys | undefined {
  const { anonymous, apiKeysFile, jwtIssuers, certificateName } = config;
  const apiKeys = readKeys(apiKeysFile, cwd);
  const warning = lockedOut({
    apiKeys,
    issuers: jwtIssuers.length + (certificateName === undefined ? 0 : 1),
    anonymous,
    nowMs: Date.now,
  });
  if (warning !== undefined) diagnostics.warn(warning);
  return apiKeys;
}

function readKeys(file: string | undefined, cwd: string): ApiKeys | undefined {
  if (file === undefined) return undefined;
  const loaded = loadApiKeys(shown(file, cwd), readTextFile(file));
  if (!loaded.ok) throw new VerdictError('config_invalid', { detail: listed(loaded.faults) });
  return loaded.keys;
}

export interface WrapOptions extends CoreOptions {
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

/** Between an MCP client and its server stdout is the wire: a record there would be a broken message. */
function checkStdout({ exporters }: WrapOptions): void {
  const writer = exporters?.find(({ kind }) => kind === 'stdout');
  if (writer === undefined) return;
  const detail = `the exporter ${writer.name} writes to stdout, which wrap speaks to the client over: use file, http, syslog or otlp instead`;
  throw new VerdictError('config_invalid', { detail });
}

/** Runs `wrap` until the wrapped server has ended. */
export async function runWrap(options: WrapOptions): Promise<ChildEnd> {
  checkStdout(options);
  const core = await startCore(options);
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
