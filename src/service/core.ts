/** Everything behind the doors: policy, pipeline, gate. */
import { type Environment } from '../config.ts';
import { packageVersion } from '../config/places.ts';
import type { SpoolConfig } from '../config/spool.ts';
import { loadHmacKey } from '../event/keyring.ts';
import type { Draft, Recorder } from '../event/recorder.ts';
import { SEVERITY, type Fields, type LifecycleState } from '../event/vocabulary.ts';
import type { ExporterPlan } from '../export/delivery-message.ts';
import { createResource } from '../export/resource.ts';
import type { Kill } from '../policy/kills.ts';
import type { Policy } from '../policy/policy.ts';
import type { DenialStyle } from '../policy/verdict.ts';
import { guardFloods } from '../proxy/flood-guard.ts';
import { guardInputs } from '../proxy/inputs.ts';
import type { Gate } from '../proxy/gate.ts';
import { createGate } from '../proxy/gatekeeper.ts';
import { createListChanges } from '../proxy/lists/changes.ts';
import type { Pinning } from '../proxy/pins/pins.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import { createMetrics, type Metrics } from '../telemetry/metrics.ts';
import { createTracing } from '../telemetry/tracing.ts';
import { openKillSwitch } from './kill-switch.ts';
import { openPins } from './pins.ts';
import { openRecords, type Farewell, type Records } from './records.ts';

/** A way to look on, for the demo and for tests. It changes nothing of what is decided or recorded. */
export interface Watch {
  /** Called with each record as it is handed to the pipeline. */
  readonly emitted: (draft: Draft, uid: string) => void;
}

export interface CoreOptions {
  /** The policy in force now. */
  readonly policy: () => Policy;
  /** How tools are pinned now. */
  readonly pinning: () => Pinning;
  readonly keysDirectory: string;
  /** What is stopped by hand stands there. */
  readonly killSwitchFile: string;
  readonly spool: SpoolConfig;
  /** undefined: the environment alone decides. */
  readonly exporters: readonly ExporterPlan[] | undefined;
  /** How denials are told whose rule does not say. */
  readonly denials: () => DenialStyle;
  /** Whether any of these may ever be another one. */
  readonly changing: boolean;
  readonly onAuditFailure: 'deny' | 'allow';
  readonly env: Environment;
  readonly diagnostics: Diagnostics;
  readonly watch?: Watch | undefined;
}

export interface Core {
  readonly gate: Gate;
  readonly records: Records;
  /** Something else is in force: who reads lists is told where they may have changed. */
  readonly rulesChanged: () => void;
  /** What is stopped by hand now. */
  kills(): readonly Kill[];
  /** Records and counts a change of state, without waiting. */
  readonly lifecycle: (state: LifecycleState, facts?: Fields) => void;
  /** Records the stop and delivers what waits, for at most so long. */
  stop(deadlineMs: number): Promise<Farewell>;
}

/** Throws where keys are wrong. */
export async function startCore(options: CoreOptions): Promise<Core> {
  const { env, diagnostics, watch, policy } = options;
  const version = packageVersion();
  const hmac = loadHmacKey({ directory: options.keysDirectory, env });
  const { resource, service } = createResource(env, { version, diagnostics });
  const telemetry = { env, resource, diagnostics, version };
  const tracing = createTracing(telemetry);
  const metrics = createMetrics(telemetry);
  const records = await openRecords({ ...options, resource, service, metrics });
  const recorder = watch === undefined ? records : watched(records, watch);
  const lifecycle = lifecycleOf(recorder, metrics, policy);
  lifecycle('start', records.facts);
  const killSwitch = openKillSwitch({ file: options.killSwitchFile, lifecycle, diagnostics });
  const pins = openPins(options.pinning, { recorder, diagnostics });
  const lists = options.changing
    ? createListChanges(() => [policy().digest, options.pinning(), options.denials()])
    : undefined;
  const gate = createGate({
    policy,
    pins,
    catalogue: pins,
    recorder,
    tracing,
    metrics,
    hmac,
    diagnostics,
    denials: options.denials,
    killSwitch,
    listChanges: lists?.subscribe,
    onAuditFailure: options.onAuditFailure,
    now: () => new Date(),
  });
  const guarded = guardFloods(guardInputs(gate), {
    nowMs: Date.now,
    later: (delayMs, run) => void setTimeout(run, delayMs).unref(),
    fullness: () => records.bytes() / options.spool.bytesMax,
  });
  const flush = (): void => {
    guarded.flush();
    pins.flush();
  };
  const floods = setInterval(flush, FLOOD_INTERVAL_MS).unref();
  return {
    gate: guarded,
    records,
    lifecycle,
    rulesChanged: () => lists?.check(),
    kills: () => killSwitch.kills(),
    async stop(deadlineMs) {
      gate.close();
      clearInterval(floods);
      killSwitch.stop();
      guarded.flush();
      pins.close();
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

function lifecycleOf(recorder: Recorder, metrics: Metrics, policy: () => Policy): Core['lifecycle'] {
  return (state, facts = {}) => {
    const fields = { 'verdict.lifecycle.state': state, 'verdict.policy.digest': policy().digest, ...facts };
    metrics.lifecycle(state);
    recorder.emit({
      name: 'verdict.lifecycle',
      severity: LIFECYCLE_SEVERITY[state] ?? SEVERITY.info,
      fields,
    });
  };
}

/** Of states that somebody should look at. */
const LIFECYCLE_SEVERITY: Partial<Record<LifecycleState, number>> = {
  reload_failed: SEVERITY.error,
  killed: SEVERITY.deny,
};

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
