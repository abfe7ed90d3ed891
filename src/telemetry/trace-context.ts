/** W3C trace context, in and out (W3C Trace Context, level 1; for MCP's `_meta`: SEP-414). Inbound text is hostile. */
import { trace, TraceFlags } from '@opentelemetry/api';
import type { SpanContext } from '@opentelemetry/api';
import { parseTraceParent, TraceState } from '@opentelemetry/core';
import { copied } from '../event/text.ts';

/** What came in; unchecked. */
export interface RemoteContext {
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
}

/** What goes out; well-formed. */
export interface TraceHeaders {
  readonly traceparent: string;
  readonly tracestate?: string | undefined;
}

/** A version we do not know may be longer than ours; beyond this it is no traceparent. */
export const TRACEPARENT_CHARS_MAX = 256;
/** Read at most; what is kept of it is at most 32 members in 512 characters (section 3.3.1.5). */
export const TRACESTATE_CHARS_MAX = 4096;

/** The parent that the text names; undefined where it names none. */
export function readRemote(remote: RemoteContext | undefined): SpanContext | undefined {
  const { traceparent = '', tracestate = '' } = remote ?? {};
  if (traceparent.length > TRACEPARENT_CHARS_MAX) return undefined;
  // Its ids are kept until the answer has come: of their own, or all of the message that they stood in would be.
  const parent = parseTraceParent(copied(traceparent));
  if (parent === null || !trace.isSpanContextValid(parent)) return undefined;
  const state = tracestate.length > TRACESTATE_CHARS_MAX ? '' : new TraceState(tracestate).serialize();
  return {
    ...parent,
    isRemote: true,
    ...(state === '' ? {} : { traceState: new TraceState(state) }),
  };
}

export function writeHeaders(context: SpanContext): TraceHeaders {
  const flags = (context.traceFlags & TraceFlags.SAMPLED) === 0 ? '00' : '01';
  const tracestate = context.traceState?.serialize() ?? '';
  return {
    traceparent: `00-${context.traceId}-${context.spanId}-${flags}`,
    ...(tracestate === '' ? {} : { tracestate }),
  };
}
