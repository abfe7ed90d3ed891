/**
 * Traces that nobody is shown: where spans are not exported, only their ids count, for records and for the headers
 * towards the upstream. The SDK's spans would give the same ones for several times the cost, on each call.
 */
import { ROOT_CONTEXT, SpanKind, trace, TraceFlags } from '@opentelemetry/api';
import type { SpanContext } from '@opentelemetry/api';
import { RandomIdGenerator, SamplingDecision } from '@opentelemetry/sdk-trace';
import type { Sampler } from '@opentelemetry/sdk-trace';
import type { Tracing } from './request-trace.ts';
import { readRemote, writeHeaders } from './trace-context.ts';

/** @param sampler asked once for a request: the ones there are give a child what they gave its parent */
export function createUnseenTracing(sampler: Sampler): Tracing {
  const generator = new RandomIdGenerator();

  const sampledFlags = (traceId: string, parent: SpanContext | undefined): number => {
    const context = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
    const { decision } = sampler.shouldSample(context, traceId, '', SpanKind.SERVER, {}, []);
    return decision === SamplingDecision.RECORD_AND_SAMPLED ? TraceFlags.SAMPLED : TraceFlags.NONE;
  };

  return {
    start({ parents }) {
      const parent = readRemote(parents.meta) ?? readRemote(parents.http);
      const traceId = parent?.traceId ?? generator.generateTraceId();
      const traceFlags = sampledFlags(traceId, parent);
      return {
        ids: { traceId, spanId: generator.generateSpanId(), traceFlags },
        note: () => {},
        upstream() {
          const spanId = generator.generateSpanId();
          const { traceState } = parent ?? {};
          return {
            ...writeHeaders({ traceId, spanId, traceFlags, ...(traceState && { traceState }) }),
            end: () => {},
          };
        },
        end: () => {},
      };
    },
    flush: () => Promise.resolve(),
    shutdown: () => Promise.resolve(),
  };
}
