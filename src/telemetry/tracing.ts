/**
 * Our spans: a SERVER span for each request and a CLIENT span for each call upstream, as the MCP semantic conventions
 * shape them (open-telemetry/semantic-conventions-genai, docs/gen-ai/mcp.md). Nothing is registered globally.
 */
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Attributes, Span, SpanContext } from '@opentelemetry/api';
import { OTLPTraceExporter as JsonTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtobufTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import type { Resource } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { SpanProcessor } from '@opentelemetry/sdk-trace';
import { toAttributes, withoutSecrets } from '../event/fields.ts';
import { copied, cutText } from '../event/text.ts';
import { SCOPE_NAME, TOOL_NAME_BYTES_MAX } from '../event/vocabulary.ts';
import type { EventKey, Fields } from '../event/vocabulary.ts';
import { readBatchSettings } from './batch-settings.ts';
import { beforeDeadline } from './deadline.ts';
import type { Diagnostics } from './diagnostics.ts';
import type { Environment } from './environment.ts';
import { reportExports } from './export-report.ts';
import { isExported, readOtlpSettings } from './otlp-settings.ts';
import { readSampler } from './sampler.ts';
import { routeSdkDiagnostics } from './sdk-diagnostics.ts';
import type { SpanEnd, Tracing } from './request-trace.ts';
import { readRemote, writeHeaders } from './trace-context.ts';
import { createUnseenTracing } from './unseen-tracing.ts';

export interface TracingOptions {
  /** The process's own: the SDK's exporter reads endpoint, headers, timeout and TLS from it by itself. */
  readonly env: Environment;
  readonly resource: Resource;
  readonly diagnostics: Diagnostics;
  /** Of mcp-verdict, for the scope. */
  readonly version?: string | undefined;
}

/** What a span may carry; anything else in the fields it is given stays off it. */
const SPAN_KEYS: ReadonlySet<string> = new Set<EventKey>([
  'mcp.method.name',
  'mcp.protocol.version',
  'mcp.session.id',
  'jsonrpc.request.id',
  'gen_ai.operation.name',
  'gen_ai.tool.name',
  'gen_ai.prompt.name',
  'gen_ai.agent.id',
  'gen_ai.agent.name',
  'network.transport',
  'client.address',
  'server.address',
  'server.port',
  'verdict.server.name',
  'verdict.decision.effect',
  'verdict.decision.enforced',
  'verdict.decision.reason',
  'verdict.policy.name',
  'verdict.rule.id',
  'verdict.outcome.status',
  'error.type',
  'rpc.status_code',
  'http.response.status_code',
]);

/** A SERVER span has client.* and a CLIENT span server.*, never both (the conventions' rule for a proxy). */
const NOT_ON_SERVER = /^server\./;
const NOT_ON_CLIENT = /^client\./;

/** JSON-RPC codes that say the request was at fault, which is no error of the server that answers it. */
const CALLER_FAULTS = new Set(['-32700', '-32600', '-32601', '-32602', '-32002']);

/** @throws VerdictError config_invalid when spans are to be exported and the OTEL_EXPORTER_OTLP_* variables are wrong */
export function createTracing(options: TracingOptions): Tracing {
  const { env, resource, diagnostics } = options;
  const sampler = readSampler(env, diagnostics);
  if (!isExported(env, 'TRACES', diagnostics)) return createUnseenTracing(sampler);
  const spanProcessors = [createProcessor(env, diagnostics)];
  const provider = new TracerProvider({ resource, sampler, spanProcessors });
  const tracer = provider.getTracer(SCOPE_NAME, options.version);

  return {
    start({ method, target, parents, attributes = {} }) {
      const parent = readRemote(parents.meta);
      const ambient = readRemote(parents.http);
      const remote = parent ?? ambient;
      const name = spanName(method, target);
      const context = remote === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote);
      const common = ofTheirOwn<Fields>({ 'mcp.method.name': method, ...attributes });
      const span = tracer.startSpan(
        name,
        {
          kind: SpanKind.SERVER,
          attributes: onSpan(common, NOT_ON_SERVER),
          links:
            parent !== undefined && ambient !== undefined && differ(parent, ambient)
              ? [{ context: ambient }]
              : [],
        },
        context,
      );
      const { traceId, spanId, traceFlags } = span.spanContext();
      return {
        ids: { traceId, spanId, traceFlags },
        note(fields) {
          // One that is not sampled would throw away what is made here.
          if (span.isRecording()) span.setAttributes(ofTheirOwn(onSpan(fields, NOT_ON_SERVER)));
        },
        upstream(more = {}) {
          const client = tracer.startSpan(
            name,
            { kind: SpanKind.CLIENT, attributes: onSpan({ ...common, ...more }, NOT_ON_CLIENT) },
            trace.setSpan(context, span),
          );
          return {
            ...writeHeaders(client.spanContext()),
            end: (end) => finish(client, end, NOT_ON_CLIENT),
          };
        },
        end: (end) => finish(span, end, NOT_ON_SERVER),
      };
    },
    async flush(deadlineMs) {
      await beforeDeadline(provider.forceFlush({ timeoutMillis: deadlineMs }), deadlineMs);
    },
    async shutdown(deadlineMs) {
      await beforeDeadline(provider.shutdown(), deadlineMs);
    },
  };
}

function createProcessor(env: Environment, diagnostics: Diagnostics): SpanProcessor {
  const sdk = routeSdkDiagnostics(diagnostics);
  const settings = readOtlpSettings(env, 'TRACES', diagnostics);
  const exporter =
    settings.protocol === 'http/protobuf' ? new ProtobufTraceExporter() : new JsonTraceExporter();
  reportExports(exporter, settings, sdk);
  return new BatchSpanProcessor({ exporter, ...readBatchSettings(env, 'BSP', diagnostics) });
}

function spanName(method: string, target: string | undefined): string {
  const name = target === undefined ? method : `${method} ${target}`;
  // A caller may send a secret as a tool's name, and span names are seen by more people than records.
  return cutText(withoutSecrets(name), TOOL_NAME_BYTES_MAX).text;
}

function differ(one: SpanContext, other: SpanContext): boolean {
  return one.traceId !== other.traceId || one.spanId !== other.spanId;
}

function onSpan(fields: Fields, except: RegExp): ReturnType<typeof toAttributes> {
  // First, because what is left out need not be looked through for secrets.
  const kept = Object.entries(fields).filter(([key]) => SPAN_KEYS.has(key) && !except.test(key));
  return toAttributes(Object.fromEntries(kept));
}

/** A span outlives the message that its attributes are parts of. */
function ofTheirOwn<T extends Fields | Attributes>(fields: T): T {
  const own = Object.entries(fields).map(([key, value]: [string, unknown]) => [
    key,
    typeof value === 'string' ? copied(value) : value,
  ]);
  return Object.fromEntries(own) as T;
}

function finish(span: Span, end: SpanEnd | undefined, except: RegExp): void {
  // The SDK reports a second end as an error of its own; ours come from racing streams, where the first one counts.
  if (!span.isRecording()) return;
  const { errorType, attributes = {} } = end ?? {};
  span.setAttributes(
    onSpan({ ...attributes, ...(errorType === undefined ? {} : { 'error.type': errorType }) }, except),
  );
  const faulty = errorType !== undefined && !CALLER_FAULTS.has(errorType);
  if ((end?.status ?? (faulty ? 'error' : 'unset')) === 'error')
    span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}
