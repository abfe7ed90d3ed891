/**
 * Composes everything from the configuration, and fixes the order of start and stop. Nothing composes but this and
 * its room.
 *
 * Start: keys, policy, pipeline, gate, `start` record, door. Stop: door (calls in flight finish), gate, `stop`
 * record, pipeline. So behind whatever a door lets through there is a gate, and behind that a pipeline.
 */
import { loadServeConfig, type Environment, type ServeConfig } from './config.ts';
import { packageVersion } from './config/places.ts';
import { checkExporters } from './export/delivery.ts';
import { killedServers, targetText } from './policy/kills.ts';
import type { Policy } from './policy/policy.ts';
import { createBridge } from './proxy/bridge/bridge.ts';
import { createHttpDoor, type DoorSettings, type HttpDoor } from './proxy/http/door.ts';
import type { StdioUpstream } from './proxy/http/upstream.ts';
import { startCore, type Core, type Watch } from './service/core.ts';
import type { Farewell } from './service/records.ts';
import { changesOf, readInForce } from './service/reload/in-force.ts';
import { startReloading } from './service/reload/reload.ts';
import type { Diagnostics } from './telemetry/diagnostics.ts';
import { serveHealth, type HealthServer } from './telemetry/health.ts';

export interface Serving {
  readonly host: string;
  readonly port: number;
  /** Where /healthz and /readyz are, if anywhere. */
  readonly admin: { readonly host: string; readonly port: number } | undefined;
  /** In force now. */
  readonly policy: () => Policy;
  /** Opens log files anew, which may have been moved away, and takes changes of config, policy and keys over. */
  reload(): Promise<void>;
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
  const { config, cwd, env, diagnostics } = options;
  let inForce = readInForce(config, { cwd, diagnostics, reading: diagnostics });
  const core = await startCore({
    ...options,
    ...config,
    policy: () => inForce.policy,
    pinning: () => inForce.pinning,
    denials: () => inForce.config.denials,
    changing: true,
  });
  const bridge = createBridge({ limits: config.childLimits, diagnostics });
  const door = createHttpDoor({
    gate: core.gate,
    settings: () => inForce.door,
    listen: config.listen,
    bridge,
    diagnostics,
  });
  // After the door, which has listened before, so that what is open ends as stopped by hand and not for want of a process.
  core.gate.killSwitch?.onKill(() => bridge.endServers(killedServers(core.kills())));
  const [address, health] = await Promise.all([door.listen(), startHealth(config, core)]).catch(
    async (error: unknown) => {
      await door.close(0);
      await core.stop(0);
      throw error;
    },
  );
  const files = startReloading({
    roots: [config.file],
    watchMs: config.watchMs,
    load(read, reading) {
      const next = loadServeConfig(config.file, env, read);
      return readInForce(next, { cwd, diagnostics, reading, read, before: inForce });
    },
    changes: (next) => changesOf(inForce, next),
    put(next) {
      inForce = next;
    },
    tell() {
      core.rulesChanged();
      // A process whose server has gone, or is started otherwise now, lives as long as calls of it are in flight.
      void door.settingsChanged().then(() => bridge.keepOnly(stdioOf(inForce.door.servers)));
    },
    lifecycle: core.lifecycle,
    diagnostics,
  });
  let stopping: Promise<Farewell> | undefined;
  return {
    ...address,
    admin: health,
    policy: () => inForce.policy,
    async reload() {
      core.records.reopen();
      await files.now();
    },
    stop() {
      files.stop();
      stopping ??= stopInTime(config.shutdownTimeoutMs, { door, core, health });
      return stopping;
    },
  };
}

function stdioOf(servers: DoorSettings['servers']): ReadonlySet<StdioUpstream> {
  return new Set([...servers.values()].filter((server) => server.kind === 'stdio'));
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
  return serveHealth({
    listen: admin,
    version: packageVersion(),
    spool: () => core.records.reading(),
    killed: () => core.kills().map(targetText),
  });
}

/** Reads what `serve` would read, and throws what it would throw, without starting anything. */
export function checkServe({ config, cwd, diagnostics }: ServeOptions): void {
  readInForce(config, { cwd, diagnostics, reading: diagnostics });
  const { exporters = [], spool } = config;
  checkExporters({ exporters, directory: spool.directory, version: packageVersion() });
}
