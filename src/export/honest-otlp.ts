/**
 * An OTLP exporter that tells what became of a batch. It is put together from the SDK's public parts, and only the
 * transport is ours: `OTLPLogExporter` calls a partial success, a page of HTML and an answer cut off a success.
 */
import { Agent as HttpAgent } from 'node:http';
import type { Agent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import {
  createOtlpNetworkExportDelegate,
  getSharedConfigurationDefaults,
  OTLPExporterBase,
} from '@opentelemetry/otlp-exporter-base';
import type { IExporterTransport } from '@opentelemetry/otlp-exporter-base';
import {
  convertLegacyHttpOptions,
  createOtlpHttpExporterMetrics,
} from '@opentelemetry/otlp-exporter-base/node-http';
import {
  JsonLogsSerializer,
  LogsExporterMetricsHelper,
  ProtobufLogsSerializer,
} from '@opentelemetry/otlp-transformer';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { VerdictError } from '../errors.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import type { Environment } from '../telemetry/environment.ts';
import { readOtlpSettings } from '../telemetry/otlp-settings.ts';
import type { Protocol } from '../telemetry/otlp-settings.ts';
import { DeliveryError, judge } from './acknowledgement.ts';
import type { Attempt, Judgement } from './acknowledgement.ts';
import type { Exporter } from './direct-exporter.ts';
import { sendOnce } from './honest-transport.ts';
import type { HonestTransportOptions } from './honest-transport.ts';
import { readPem } from './pem.ts';
import { systemTimers } from './timers.ts';
import type { Timers } from './timers.ts';

/**
 * An endpoint of its own, as the configuration names it. Nothing of it comes from OTEL_EXPORTER_OTLP_*: the
 * credentials in there are meant for another server.
 */
export interface OtlpEndpoint {
  /** Used as it stands; http or https. */
  readonly url: string;
  /** Default: http/json. */
  readonly protocol?: Protocol | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** For one request; default: 10,000. */
  readonly timeoutMs?: number | undefined;
  /** Default: none. */
  readonly compression?: 'gzip' | 'none' | undefined;
  /** Paths of PEM files. */
  readonly certificate?: string | undefined;
  readonly clientCertificate?: string | undefined;
  readonly clientKey?: string | undefined;
}

export interface HonestOtlpOptions {
  /** undefined: OTEL_EXPORTER_OTLP_* of `env` says where and how. */
  readonly endpoint?: OtlpEndpoint | undefined;
  /** The process's own: the SDK's reader of headers, timeout, compression and TLS reads that one by itself. */
  readonly env: Environment;
  readonly diagnostics: Diagnostics;
  /** Ours, for the User-Agent. */
  readonly version: string;
  readonly timers?: Timers | undefined;
}

export interface HonestOtlpExporter extends Exporter {
  /** Of the last batch; undefined before the first answer. A failed result carries its own as a DeliveryError. */
  lastJudgement(): Judgement | undefined;
  /** What came back for the last batch, as it came; undefined before the first answer. */
  lastAttempt(): Attempt | undefined;
}

/** @throws VerdictError config_invalid when a variable, a URL or a file is wrong */
export function createHonestOtlpExporter(options: HonestOtlpOptions): HonestOtlpExporter {
  const { diagnostics, timers = systemTimers } = options;
  const target = options.endpoint === undefined ? fromEnvironment(options) : fromEndpoint(options.endpoint);
  const { endpoint, protocol, timeoutMs } = target;
  let last: Judgement | undefined;
  let lastAttempt: Attempt | undefined;
  let agent: Promise<Agent> | undefined;

  const transport: IExporterTransport = {
    async send(data, timeoutMillis) {
      agent ??= target.agent();
      const sending: HonestTransportOptions = {
        ...target,
        agent: await agent,
        userAgent: `mcp-verdict/${options.version} OTel-OTLP-Exporter-JavaScript`,
        timers,
      };
      const attempt = await sendOnce(data, timeoutMillis, sending);
      lastAttempt = attempt;
      last = judge(attempt, { endpoint, nowMs: timers.nowMs() });
      if (last.kind !== 'acknowledged') return { status: 'failure', error: new DeliveryError(last) };
      if (last.warning !== undefined) diagnostics.warn(last.warning);
      // Without the answer: it has been judged, and the SDK would read it a second time.
      return { status: 'success' };
    },
    shutdown() {
      void agent?.then((made) => made.destroy());
    },
  };
  const delegate = createOtlpNetworkExportDelegate<ReadableLogRecord[], unknown>(
    { ...getSharedConfigurationDefaults(), timeoutMillis: timeoutMs, compression: target.compression },
    protocol === 'http/protobuf' ? ProtobufLogsSerializer : JsonLogsSerializer,
    createOtlpHttpExporterMetrics('otlp_http_log_exporter', LogsExporterMetricsHelper, target.url, undefined),
    transport,
  );
  const exporter = new OTLPExporterBase(delegate);
  return {
    endpoint,
    timeoutMs,
    lastJudgement: () => last,
    lastAttempt: () => lastAttempt,
    export: (records, done) => exporter.export(records, done),
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  };
}

interface Target {
  readonly url: string;
  readonly endpoint: string;
  readonly protocol: Protocol;
  readonly headers: () => Promise<Readonly<Record<string, string>>>;
  readonly timeoutMs: number;
  readonly compression: 'gzip' | 'none';
  readonly agent: () => Promise<Agent>;
}

const CONTENT_TYPES = { 'http/json': 'application/json', 'http/protobuf': 'application/x-protobuf' } as const;

function fromEnvironment({ env, diagnostics }: HonestOtlpOptions): Target {
  const { url, endpoint, protocol } = readOtlpSettings(env, 'LOGS', diagnostics);
  const type = { 'Content-Type': CONTENT_TYPES[protocol] };
  const settings = convertLegacyHttpOptions({ url }, 'LOGS', 'v1/logs', type);
  return {
    url,
    endpoint,
    protocol,
    headers: settings.headers,
    timeoutMs: settings.timeoutMillis,
    compression: settings.compression,
    agent: async () => settings.agentFactory(new URL(url).protocol),
  };
}

function fromEndpoint(given: OtlpEndpoint): Target {
  const url = URL.canParse(given.url) ? new URL(given.url) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw invalid(
      'the url of an OTLP endpoint must be an http or https URL, such as http://localhost:4318/v1/logs',
    );
  }
  const protocol = given.protocol ?? 'http/json';
  const headers = { ...given.headers, 'Content-Type': CONTENT_TYPES[protocol] };
  const tls = {
    ca: readPem(given.certificate),
    cert: readPem(given.clientCertificate),
    key: readPem(given.clientKey),
  };
  const defaults = getSharedConfigurationDefaults();
  return {
    url: url.href,
    endpoint: `${url.origin}${url.pathname}`,
    protocol,
    headers: async () => headers,
    timeoutMs: given.timeoutMs ?? defaults.timeoutMillis,
    compression: given.compression ?? defaults.compression,
    agent: async () =>
      url.protocol === 'https:'
        ? new HttpsAgent({ keepAlive: true, ...tls })
        : new HttpAgent({ keepAlive: true }),
  };
}

function invalid(detail: string): VerdictError {
  return new VerdictError('config_invalid', { detail });
}
