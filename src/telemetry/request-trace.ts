/** A request's trace, for whoever serves the request: what it begins with, what becomes of it, and the ids it gives. */
import type { TraceIds } from '../event/recorder.ts';
import type { Fields } from '../event/vocabulary.ts';
import type { RemoteContext, TraceHeaders } from './trace-context.ts';

export interface TraceStart {
  /** JSON-RPC method. */
  readonly method: string;
  /** Tool or prompt; never a URI, which would make each span's name its own. */
  readonly target?: string | undefined;
  /** The context in `params._meta` is the parent; one in the HTTP headers that differs is linked. */
  readonly parents: { readonly meta?: RemoteContext | undefined; readonly http?: RemoteContext | undefined };
  /** A decision's fields will do: only those that belong on a span are taken, and arguments never are. */
  readonly attributes?: Fields | undefined;
}

export interface SpanEnd {
  /** `error.type`: `tool_error`, a JSON-RPC error code, or a transport's error code. */
  readonly errorType?: string | undefined;
  /** By default an error type makes the status an error, but for the codes that say the request was at fault. */
  readonly status?: 'unset' | 'error' | undefined;
  readonly attributes?: Fields | undefined;
}

export interface UpstreamTrace extends TraceHeaders {
  end(end?: SpanEnd): void;
}

export interface RequestTrace {
  /** Of the SERVER span; valid whether or not it is sampled or exported. */
  readonly ids: TraceIds;
  /** Puts on the SERVER span what is known by now: the decision, once it has fallen. */
  note(fields: Fields): void;
  /** Starts a CLIENT span; its headers go to the upstream. */
  upstream(attributes?: Fields): UpstreamTrace;
  end(end?: SpanEnd): void;
}

export interface Tracing {
  start(start: TraceStart): RequestTrace;
  /** Exports what there is, for at most so long. Never rejects. */
  flush(deadlineMs: number): Promise<void>;
  shutdown(deadlineMs: number): Promise<void>;
}
