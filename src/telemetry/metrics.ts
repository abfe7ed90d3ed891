/**
 * Our metrics: durations as the MCP semantic conventions name them, decisions, and what became of the records.
 * Tool names are chosen by whoever is on the other side, so no metric carries one.
 */
import type { Attributes, Meter } from '@opentelemetry/api';
import { OTLPMetricExporter as JsonMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPMetricExporter as ProtobufMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import type { Resource } from '@opentelemetry/resources';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { cutText } from '../event/text.ts';
import { SCOPE_NAME } from '../event/vocabulary.ts';
import type { Effect, LifecycleState, Reason } from '../event/vocabulary.ts';
import { beforeDeadline } from './deadline.ts';
import { LOSS_REASONS } from './delivery.ts';
import type { Delivery } from './delivery.ts';
import type { Diagnostics } from './diagnostics.ts';
import { readNumber } from './environment.ts';
import type { Environment } from './environment.ts';
import { reportExports } from './export-report.ts';
import { isExported, readOtlpSettings } from './otlp-settings.ts';
import { routeSdkDiagnostics } from './sdk-diagnostics.ts';
import { COMMIT_BUCKETS_S, observeSpool } from './spool-metrics.ts';
import type { SpoolReading } from './spool-metrics.ts';

export interface MetricsOptions {
  /** The process's own: the SDK's exporter reads endpoint, headers, timeout and TLS from it by itself. */
  readonly env: Environment;
  readonly resource: Resource;
  readonly diagnostics: Diagnostics;
  /** Of mcp-verdict, for the scope. */
  readonly version?: string | undefined;
}

/** What tells one operation's duration from another's. */
export interface Operation {
  /** JSON-RPC method of the method table; `_OTHER` for one that is not in it. */
  readonly method: string;
  /** The upstream's key in our configuration. */
  readonly server?: string | undefined;
  readonly transport?: 'tcp' | 'pipe' | undefined;
  readonly protocolVersion?: string | undefined;
  readonly errorType?: string | undefined;
}

export interface Metrics {
  decision(decision: {
    readonly effect: Effect;
    readonly server?: string | undefined;
    readonly reason: Reason;
  }): void;
  /** A change of state that is recorded as one: a reload, one that failed, a kill. */
  lifecycle(state: LifecycleState): void;
  /** Time that policy took to decide. */
  evaluation(seconds: number): void;
  /** From a request's arrival to the end of its answer. */
  serverOperation(seconds: number, operation: Operation): void;
  /** From a request's way upstream to the end of the answer. */
  clientOperation(seconds: number, operation: Operation): void;
  /** Where `verdict.records.*` are read from, once for each collection. */
  observeDelivery(read: () => Delivery): void;
  /** The same and more where records are spooled. */
  observeSpool(read: () => SpoolReading): void;
  /** One commit of the spool, from hand-over to answer. */
  commit(seconds: number): void;
  flush(deadlineMs: number): Promise<void>;
  shutdown(deadlineMs: number): Promise<void>;
}

/** The conventions' own buckets for `mcp.*.operation.duration`. */
const OPERATION_BUCKETS_S = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300];

/** One, two, five from a microsecond to ten seconds: policy decides in microseconds. */
const EVALUATION_BUCKETS_S = [-6, -5, -4, -3, -2, -1, 0]
  .flatMap((exponent) => [1, 2, 5].map((step) => Number(`${step}e${exponent}`)))
  .concat(10);

const INTERVAL_MS = { default: 60_000, min: 1, max: 3_600_000 };
const TIMEOUT_MS = { default: 30_000, min: 1, max: 3_600_000 };

/** Different values that one attribute takes; the ones after it are all `_OTHER`. */
export const LABEL_VALUES_MAX = 100;
/** Bytes of one value; over it, it is cut. */
export const LABEL_BYTES_MAX = 128;

/** @throws VerdictError config_invalid when metrics are to be exported and the OTEL_EXPORTER_OTLP_* variables are wrong */
export function createMetrics(options: MetricsOptions): Metrics {
  if (!isExported(options.env, 'METRICS', options.diagnostics)) return UNSEEN;
  const provider = createProvider(options);
  const meter = provider.getMeter(SCOPE_NAME, options.version);
  const label = createLabels();

  const decisions = meter.createCounter('verdict.decisions', {
    unit: '{decision}',
    description: 'Decisions made.',
  });
  const states = meter.createCounter('verdict.lifecycle', {
    unit: '{change}',
    description: 'Changes of state.',
  });
  const evaluation = duration(meter, 'verdict.policy.evaluation.duration', EVALUATION_BUCKETS_S);
  const server = duration(meter, 'mcp.server.operation.duration', OPERATION_BUCKETS_S);
  const client = duration(meter, 'mcp.client.operation.duration', OPERATION_BUCKETS_S);
  const commits = duration(meter, 'verdict.spool.commit.duration', COMMIT_BUCKETS_S);

  const operationLabels = (operation: Operation): Attributes =>
    label({
      'mcp.method.name': operation.method,
      'verdict.server.name': operation.server,
      'network.transport': operation.transport,
      'mcp.protocol.version': operation.protocolVersion,
      'error.type': operation.errorType,
    });

  return {
    decision({ effect, server, reason }) {
      decisions.add(
        1,
        label({
          'verdict.decision.effect': effect,
          'verdict.server.name': server,
          'verdict.decision.reason': reason,
        }),
      );
    },
    lifecycle: (state) => states.add(1, { 'verdict.lifecycle.state': state }),
    evaluation: (seconds) => evaluation.record(seconds),
    serverOperation: (seconds, operation) => server.record(seconds, operationLabels(operation)),
    clientOperation: (seconds, operation) => client.record(seconds, operationLabels(operation)),
    observeDelivery: (read) => observeDelivery(meter, read),
    observeSpool: (read) => observeSpool(meter, read),
    commit: (seconds) => commits.record(seconds),
    async flush(deadlineMs) {
      await beforeDeadline(provider.forceFlush({ timeoutMillis: deadlineMs }), deadlineMs);
    },
    async shutdown(deadlineMs) {
      await beforeDeadline(provider.shutdown({ timeoutMillis: deadlineMs }), deadlineMs);
    },
  };
}

/** Where nobody is shown them: the labels of one call would cost more than all the rest of its metrics. */
const UNSEEN: Metrics = {
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

function createProvider({ env, resource, diagnostics }: MetricsOptions): MeterProvider {
  const sdk = routeSdkDiagnostics(diagnostics);
  const settings = readOtlpSettings(env, 'METRICS', diagnostics);
  const exporter =
    settings.protocol === 'http/protobuf' ? new ProtobufMetricExporter() : new JsonMetricExporter();
  reportExports(exporter, settings, sdk);
  const exportIntervalMillis = readNumber(env, 'OTEL_METRIC_EXPORT_INTERVAL', INTERVAL_MS, diagnostics);
  const timeoutMs = readNumber(env, 'OTEL_METRIC_EXPORT_TIMEOUT', TIMEOUT_MS, diagnostics);
  const reader = new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis,
    // The reader throws when the timeout is the longer of the two.
    exportTimeoutMillis: Math.min(timeoutMs, exportIntervalMillis),
  });
  return new MeterProvider({ resource, readers: [reader] });
}

function duration(meter: Meter, name: string, explicitBucketBoundaries: number[]) {
  return meter.createHistogram(name, { unit: 's', advice: { explicitBucketBoundaries } });
}

function observeDelivery(meter: Meter, read: () => Delivery): void {
  const counter = (name: string) =>
    meter.createObservableCounter(`verdict.records.${name}`, { unit: '{record}' });
  const [emitted, delivered, lost] = [counter('emitted'), counter('delivered'), counter('lost')];
  meter.addBatchObservableCallback(
    (result) => {
      const delivery = read();
      result.observe(emitted, delivery.emitted);
      result.observe(delivered, delivery.delivered);
      for (const reason of LOSS_REASONS) {
        result.observe(lost, delivery.lost[reason], { 'verdict.loss.reason': reason });
      }
    },
    [emitted, delivered, lost],
  );
}

/** Methods, versions and error codes come from the other side: each attribute takes so many values and no more. */
function createLabels(): (labels: Readonly<Record<string, string | undefined>>) => Attributes {
  const seen = new Map<string, Set<string>>();
  return (labels) => {
    const attributes: Attributes = {};
    for (const [key, whole] of Object.entries(labels)) {
      if (whole === undefined) continue;
      const value = cutText(whole, LABEL_BYTES_MAX).text;
      const values = seen.get(key) ?? new Set();
      seen.set(key, values);
      if (values.size < LABEL_VALUES_MAX) values.add(value);
      attributes[key] = values.has(value) ? value : '_OTHER';
    }
    return attributes;
  };
}
