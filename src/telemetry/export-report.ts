/** Says what goes wrong between our OTLP exporters and the collector, while it goes wrong. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { ClientRequest, IncomingMessage } from 'node:http';
import { ExportResultCode } from '@opentelemetry/core';
import type { ExportResult } from '@opentelemetry/core';
import { explainExportError } from './export-error.ts';
import type { OtlpSettings } from './otlp-settings.ts';
import type { SdkDiagnostics } from './sdk-diagnostics.ts';

/** What the SDK's exporters of all signals have in common. */
interface Exporter<Items> {
  export(items: Items, done: (result: ExportResult) => void): void;
  shutdown(): Promise<void>;
}

const NOUNS = { LOGS: 'verdict records', TRACES: 'spans', METRICS: 'metrics' } as const;

/** Makes the exporter report each failure once a minute; its results go on to whoever asked for them. */
export function reportExports<Items>(
  exporter: Exporter<Items>,
  settings: OtlpSettings,
  sdk: SdkDiagnostics,
): void {
  const send = exporter.export.bind(exporter);
  const stop = exporter.shutdown.bind(exporter);
  const unwatch = watchAttempts(settings, sdk);
  const noun = NOUNS[settings.signal];

  exporter.export = (items, done) =>
    send(items, (result) => {
      if (result.code === ExportResultCode.FAILED) {
        const cause = explainExportError(result.error, settings.endpoint);
        const count = Array.isArray(items) ? `${items.length} ` : '';
        sdk.throttle.say('error', `lost ${noun} ${cause}`, `${count}${noun} lost: ${cause}`);
        sdk.silence(result.error);
      }
      done(result);
    });
  exporter.shutdown = () => stop().finally(unwatch);
}

/** Codes that the exporter retries for seconds without a word; what it does not retry is reported at once anyway. */
const RETRIED_CODES = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);
const RETRIED_STATUSES = new Set([429, 502, 503, 504]);

/**
 * The SDK tells of a collector that is down only when it has given up, after about eight seconds, and a short-lived
 * process is gone by then. Node publishes each attempt (diagnostics channels of node:http).
 */
function watchAttempts(settings: OtlpSettings, sdk: SdkDiagnostics): () => void {
  const say = (error: unknown): void => {
    const cause = explainExportError(error, settings.endpoint);
    const noun = NOUNS[settings.signal];
    sdk.throttle.say('warn', `attempt ${noun} ${cause}`, `${noun} wait: ${cause}; trying again`);
  };
  const onError = (message: unknown): void => {
    const { request, error } = published(message);
    if (error === undefined || !isOurs(request, settings.url)) return;
    if (RETRIED_CODES.has(codeOf(error))) say(error);
  };
  const onFinish = (message: unknown): void => {
    const { request, response } = published(message);
    const status = response?.statusCode ?? 0;
    if (RETRIED_STATUSES.has(status) && isOurs(request, settings.url)) say({ code: status, message: '' });
  };
  subscribe('http.client.request.error', onError);
  subscribe('http.client.response.finish', onFinish);
  return () => {
    unsubscribe('http.client.request.error', onError);
    unsubscribe('http.client.response.finish', onFinish);
  };
}

interface Published {
  readonly request: ClientRequest | undefined;
  readonly response: IncomingMessage | undefined;
  readonly error: object | undefined;
}

function published(message: unknown): Published {
  const of = (name: string): unknown =>
    typeof message === 'object' && message !== null ? Reflect.get(message, name) : undefined;
  const [request, response, error] = [of('request'), of('response'), of('error')];
  return {
    request: request instanceof ClientRequest ? request : undefined,
    response: response instanceof IncomingMessage ? response : undefined,
    error: error instanceof Error ? error : undefined,
  };
}

function isOurs(request: ClientRequest | undefined, url: string): boolean {
  const ours = new URL(url);
  return (
    request !== undefined &&
    request.protocol === ours.protocol &&
    request.getHeader('host') === ours.host &&
    request.path === `${ours.pathname}${ours.search}`
  );
}

function codeOf(error: object): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}
