/**
 * Examines a set-up from end to end before somebody relies on it, beside a running process as well. It changes
 * nothing: the files that it measures with are its own and are removed, and of records it sends one to each endpoint.
 */
import type { Environment } from '../config.ts';
import { createEventClock } from '../event/clock.ts';
import type { ExporterPlan } from '../export/delivery-message.ts';
import { createProbe } from '../export/probe-record.ts';
import { createResource } from '../export/resource.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import { findClock } from './doctor/clock.ts';
import { fetchCollector, findCollector, metricsUrl, UNTOLD } from './doctor/collector.ts';
import { findIssuers } from './doctor/credentials.ts';
import { findDirectExporters } from './doctor/direct-exporters.ts';
import { examineEndpoint, type EndpointExamination } from './doctor/endpoints.ts';
import { findFiles } from './doctor/files.ts';
import type { Finding } from './doctor/finding.ts';
import { findListeners } from './doctor/listeners.ts';
import { findLosses } from './doctor/losses.ts';
import type { Setup } from './doctor/setup.ts';
import { examineSpool } from './doctor/spool.ts';
import { findUpstreams } from './doctor/upstreams.ts';
import { exportersOfEnvironment } from './records.ts';

export interface DoctorOptions {
  readonly setup: Setup;
  readonly env: Environment;
  readonly cwd: string;
  /** Ours. */
  readonly version: string;
  /** Where the collector has its own metrics; default: guessed from the endpoint. */
  readonly collectorMetrics: URL | undefined;
  /** Aborted, what is being examined is given up, and what was started is ended. */
  readonly signal: AbortSignal;
}

/** Gives each finding when it is there; fewer where it is aborted. */
export async function* examine(options: DoctorOptions): AsyncGenerator<Finding> {
  const { setup, env, cwd, version, signal } = options;
  yield* findFiles({ setup, env, cwd });
  yield* await findIssuers(setup.config?.jwtIssuers ?? []);
  const plans = setup.exporters ?? exportersOfEnvironment(env, SILENT);
  const spool = examineSpool({ setup, exporters: plans.map(({ name }) => name), nowMs: Date.now() });
  yield* await findListeners({ listeners: setup.listeners, running: spool.running });
  yield* spool.findings;
  yield* await findUpstreams({ upstreams: setup.upstreams, version, signal });
  if (signal.aborted) return;
  const endpoints = await examineEndpoints(plans, options);
  for (const { findings } of endpoints) yield* findings;
  const direct = plans.filter(({ kind }) => kind !== 'otlp');
  yield* await findDirectExporters({ plans: direct, env, version, diagnostics: SILENT });
  yield* await findCollectors(endpoints, options);
  const readings = endpoints.flatMap(({ clock }) => clock ?? []);
  yield* findClock({ readings, newestMs: spool.newestMs, nowMs: Date.now() });
  const { bytesPerSecond } = spool;
  yield* findLosses({
    spool: setup.spool,
    exporters: plans,
    onAuditFailure: setup.onAuditFailure,
    bytesPerSecond,
  });
}

const silent = (): void => {};
/** What the settings of exporters warn of is found where they are used. */
const SILENT: Diagnostics = { error: silent, warn: silent, info: silent, debug: silent };

/** One record for all: whoever gets it from two sides can tell that it is the same. */
async function examineEndpoints(
  plans: readonly ExporterPlan[],
  { env, version }: DoctorOptions,
): Promise<EndpointExamination[]> {
  const { resource, service } = createResource(env, { version, diagnostics: SILENT });
  const probe = createProbe({ resource, service, time: createEventClock().tick() });
  const otlp = plans.filter((plan) => plan.kind === 'otlp');
  return await Promise.all(otlp.map((plan) => examineEndpoint({ plan, probe, env, version })));
}

async function findCollectors(
  endpoints: readonly EndpointExamination[],
  { collectorMetrics, env }: DoctorOptions,
): Promise<Finding[]> {
  // Of one that did not answer there is nothing to tell.
  const answered = endpoints.filter(({ findings }) => findings[0]?.level === 'ok');
  if (answered.length === 0) return [];
  const guessed = answered.flatMap(({ endpoint }) => (endpoint && metricsUrl(endpoint, env)) || []);
  const urls = collectorMetrics === undefined ? guessed : [collectorMetrics];
  const readings = await Promise.all(
    [...new Set(urls.map(({ href }) => href))].map(async (href) => ({
      subject: href,
      reading: await fetchCollector(new URL(href)),
    })),
  );
  const findings = readings.flatMap(({ subject, reading }) =>
    reading === undefined ? [] : findCollector(reading, subject),
  );
  return findings.length === 0 ? [UNTOLD] : findings;
}
