/** Real spans of the programs around the proxy: the agent before it and the server behind it. */
import { ROOT_CONTEXT, trace, type Span, type SpanKind } from '@opentelemetry/api';
import { parseTraceParent } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';

/** More than a test makes, so that none is dropped. */
const QUEUE_SPANS_MAX = 20_000;

export interface SpanStart {
  readonly name: string;
  readonly kind: SpanKind;
  /** Without a valid one the span is the root of a trace of its own. */
  readonly traceparent?: string | undefined;
  /** Of a root span; any other does as its parent says. Default: true. */
  readonly sampled?: boolean;
}

export interface SpanSource {
  start(start: SpanStart): Span;
  /** Exports what there is. */
  stop(): Promise<void>;
}

/** @param endpoint base URL of an OTLP/HTTP receiver */
export function createSpanSource(serviceName: string, endpoint: string): SpanSource {
  const exporter = new OTLPTraceExporter({ url: `${endpoint}/v1/traces` });
  const spanProcessors = [new BatchSpanProcessor({ exporter, maxQueueSize: QUEUE_SPANS_MAX })];
  const resource = resourceFromAttributes({ 'service.name': serviceName });
  const tracerOf = (root: AlwaysOnSampler | AlwaysOffSampler) =>
    new TracerProvider({ resource, spanProcessors, sampler: new ParentBasedSampler({ root }) });
  const providers = { on: tracerOf(new AlwaysOnSampler()), off: tracerOf(new AlwaysOffSampler()) };
  return {
    start({ name, kind, traceparent, sampled = true }) {
      const parent = parseTraceParent(traceparent ?? '');
      const context =
        parent === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, { ...parent, isRemote: true });
      const provider = sampled ? providers.on : providers.off;
      return provider.getTracer(serviceName).startSpan(name, { kind }, context);
    },
    // Both share the processors, which are shut down once.
    stop: () => providers.on.shutdown(),
  };
}

/** W3C traceparent of a span. */
export function traceparentOf(span: Span): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-0${traceFlags & 1}`;
}
