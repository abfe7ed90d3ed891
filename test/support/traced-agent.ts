/** An agent that traces its calls: real clients of the SDK, each call in a CLIENT span whose context goes along. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { SpanKind } from '@opentelemetry/api';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import type { Running } from './cli.ts';
import { traceparentOf, type SpanSource } from './span-source.ts';

/**
 * What carries the span's context. With `both`, `_meta` does, and the header names a span of another trace, as an
 * instrumented HTTP client would add it.
 */
export type Carrier = 'meta' | 'header' | 'both';

export interface AgentCall {
  readonly tool: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly sampled: boolean;
}

/** The call as the agent traced it. */
export interface Traced {
  readonly traceId: string;
  readonly spanId: string;
  /** What the HTTP header named besides, with `both`. */
  readonly ambient: string | undefined;
  readonly answer: 'ok' | 'tool_error' | 'rpc_error';
}

export interface Agent {
  call(call: AgentCall): Promise<Traced>;
  close(): Promise<void>;
}

interface Way {
  readonly spans: SpanSource;
  readonly client: Client;
  readonly carrier: Carrier;
  /** Sets the header of the requests to come. */
  readonly setHeader?: (traceparent: string | undefined) => void;
}

/** Calls over HTTP; one at a time, since the header is the connection's. */
export async function connectHttpAgent(
  spans: SpanSource,
  at: { readonly url: URL; readonly key: string; readonly carrier: Carrier },
): Promise<Agent> {
  let header: string | undefined;
  const transport = new StreamableHTTPClientTransport(at.url, {
    requestInit: { headers: { authorization: `Bearer ${at.key}` } },
    fetch: (url, init) => {
      const headers = new Headers(init?.headers);
      if (header !== undefined) headers.set('traceparent', header);
      return fetch(url, { ...init, headers });
    },
  });
  const client = new Client({ name: 'http-client', version: '1' });
  await client.connect(transport);
  return agent({ spans, client, carrier: at.carrier, setHeader: (traceparent) => (header = traceparent) });
}

/** Calls over the stdin and stdout of a process; `close` ends its stdin. */
export async function connectPipeAgent(spans: SpanSource, process: Running): Promise<Agent> {
  const client = new Client({ name: 'pipe-client', version: '1' });
  await client.connect(pipe(process));
  return agent({ spans, client, carrier: 'meta' });
}

function pipe({ child, ended }: Running): Transport {
  const transport: Transport = {
    start: async () => {
      // A process that has ended answers nothing more: calls that wait fail at once.
      child.stdin.on('error', () => {});
      void ended.then(() => transport.onclose?.());
      createInterface({ input: child.stdout }).on('line', (line) => {
        transport.onmessage?.(JSON.parse(line) as JSONRPCMessage);
      });
    },
    send: async (message) => {
      if (!child.stdin.write(`${JSON.stringify(message)}\n`)) await once(child.stdin, 'drain');
    },
    close: async () => void child.stdin.end(),
  };
  return transport;
}

function agent({ spans, client, carrier, setHeader }: Way): Agent {
  return {
    async call({ tool, args, sampled }) {
      const span = spans.start({ name: `tools/call ${tool}`, kind: SpanKind.CLIENT, sampled });
      const ambient =
        carrier === 'both' ? spans.start({ name: 'POST', kind: SpanKind.CLIENT, sampled }) : span;
      if (carrier !== 'meta') setHeader?.(traceparentOf(ambient));
      const meta = carrier === 'header' ? {} : { traceparent: traceparentOf(span) };
      const answer = await client.callTool({ name: tool, arguments: { ...args }, _meta: meta }).then(
        (result) => (result.isError === true ? ('tool_error' as const) : ('ok' as const)),
        () => 'rpc_error' as const,
      );
      span.end();
      if (ambient !== span) ambient.end();
      const { traceId, spanId } = span.spanContext();
      return {
        traceId,
        spanId,
        ambient: carrier === 'both' ? ambient.spanContext().spanId : undefined,
        answer,
      };
    },
    close: () => client.close(),
  };
}
