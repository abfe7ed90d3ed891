/**
 * A loopback OTLP/HTTP receiver with scripted answers. JSON requests are parsed and flattened; of protobuf ones only
 * the envelope is kept.
 */
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';

export interface Script {
  readonly status?: number;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** Never answers. */
  readonly hang?: boolean;
  /**
   * Instead of an answer, or of a whole one: a reset, an end of our side without a word, bytes that are not HTTP, an
   * answer that stops in the middle.
   */
  readonly broken?: 'reset' | 'half_closed' | 'garbage' | 'cut_off';
  /** Answers only when this resolves. */
  readonly until?: Promise<unknown>;
}

export interface OtlpRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Bytes as they came, unzipped. */
  readonly body: Buffer;
  readonly json: Tree;
}

interface Item {
  readonly attributes: Record<string, unknown>;
  readonly resource: Record<string, unknown>;
  readonly scope: { readonly name: string; readonly version?: string; readonly schemaUrl?: string };
}

export interface LogItem extends Item {
  readonly eventName: string;
  readonly severityNumber: number;
  readonly timeUnixNano: string;
  readonly observedTimeUnixNano: string;
  readonly traceId?: string;
  readonly spanId?: string;
  readonly flags?: number;
  readonly body: unknown;
}

export interface SpanItem extends Item {
  readonly name: string;
  /** 2 server, 3 client. */
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  /** 2 is error. */
  readonly status: { readonly code: number };
}

export interface MetricItem extends Item {
  readonly name: string;
  readonly unit: string;
  readonly points: readonly {
    readonly attributes: Record<string, unknown>;
    readonly value: number | undefined;
    readonly count: number | undefined;
    readonly bounds: readonly number[] | undefined;
  }[];
}

// OTLP JSON is navigated by name all the way down; a test that goes wrong on it fails by itself.
// oxlint-disable-next-line typescript/no-explicit-any
type Tree = any;

export type OtlpReceiver = Awaited<ReturnType<typeof startOtlpReceiver>>;

/** PEM texts. */
export interface ReceiverTls {
  readonly cert: string;
  readonly key: string;
}

export async function startOtlpReceiver(tls?: ReceiverTls) {
  const requests: OtlpRequest[] = [];
  const waiting = new Set<() => void>();
  let script: (request: OtlpRequest, index: number) => Script = () => ({});

  const receive = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const raw = await buffer(incoming);
    const body = incoming.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
    const isJson = incoming.headers['content-type']?.startsWith('application/json') === true;
    const json = isJson ? JSON.parse(body.toString()) : undefined;
    const request = { path: incoming.url ?? '', headers: incoming.headers, body, json };
    const index = requests.push(request) - 1;
    for (const wake of waiting) wake();
    waiting.clear();
    await answer(response, script(request, index));
  };
  const listener = (incoming: IncomingMessage, response: ServerResponse): void => {
    receive(incoming, response).catch(() => response.destroy());
  };
  const secure = tls && createTlsServer({ ...tls }, listener);
  const server = secure ?? createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const items = (signal: 'Log' | 'Span' | 'Metric', name: string): Tree[] =>
    requests
      .flatMap(({ json }) => json?.[`resource${signal}s`] ?? [])
      .flatMap((outer: Tree) =>
        outer[`scope${signal}s`].flatMap((inner: Tree) =>
          inner[name].map((item: Tree) => ({
            ...item,
            ...(item.body && { body: plain(item.body) }),
            attributes: plainAttributes(item.attributes),
            resource: plainAttributes(outer.resource.attributes),
            scope: { ...inner.scope, schemaUrl: inner.schemaUrl },
          })),
        ),
      );

  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    /** Shows another certificate to new connections. */
    present: (next: ReceiverTls) => secure?.setSecureContext(next),
    /** Decides each answer from now on; the default is 200 and `{}`. */
    answerWith: (next: typeof script) => {
      script = next;
    },
    logs: (): LogItem[] => items('Log', 'logRecords'),
    spans: (): SpanItem[] => items('Span', 'spans'),
    metrics: (): MetricItem[] =>
      items('Metric', 'metrics').map((item) => ({ ...item, points: points(item) })),
    /** Resolves when so many requests have come. */
    received: async (count: number) => {
      while (requests.length < count) await new Promise<void>((wake) => waiting.add(wake));
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(response: ServerResponse, script: Script): Promise<void> {
  if (script.hang) return;
  await script.until;
  if (script.broken !== undefined) return breakOff(response, script.broken);
  response.writeHead(script.status ?? 200, { 'content-type': 'application/json', ...script.headers });
  response.end(script.body ?? '{}');
}

function breakOff(response: ServerResponse, how: NonNullable<Script['broken']>): void {
  const { socket } = response;
  switch (how) {
    case 'reset':
      socket?.resetAndDestroy();
      return;
    case 'half_closed':
      socket?.end();
      return;
    case 'garbage':
      socket?.end('\u0000\u0001 SSH-2.0-nothing\r\n');
      return;
    case 'cut_off':
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
      response.write('{"partial', () => socket?.destroy());
      return;
  }
}

function points(metric: Tree): MetricItem['points'] {
  const data: Tree[] = (metric.sum ?? metric.histogram ?? metric.gauge).dataPoints;
  return data.map((point) => ({
    attributes: plainAttributes(point.attributes),
    value: point.asDouble ?? (point.asInt === undefined ? undefined : Number(point.asInt)),
    count: point.count === undefined ? undefined : Number(point.count),
    bounds: point.explicitBounds,
  }));
}

function plainAttributes(attributes: readonly Tree[] = []): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plain(value)]));
}

/** AnyValue of the OTLP JSON encoding; an int64 may be a number or its text. */
function plain(value: Tree): unknown {
  if (value === undefined) return undefined;
  if ('intValue' in value) return Number(value.intValue);
  if ('arrayValue' in value) return (value.arrayValue.values ?? []).map(plain);
  if ('kvlistValue' in value) return plainAttributes(value.kvlistValue.values);
  return value.stringValue ?? value.boolValue ?? value.doubleValue ?? value.bytesValue;
}
