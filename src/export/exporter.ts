import { OTLPLogExporter as JsonLogExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPLogExporter as ProtobufLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import type { LogRecordExporter } from '@opentelemetry/sdk-logs';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import { readText } from '../telemetry/environment.ts';
import type { Environment } from '../telemetry/environment.ts';
import { reportExports } from '../telemetry/export-report.ts';
import { hasEndpoint, readOtlpSettings } from '../telemetry/otlp-settings.ts';
import { routeSdkDiagnostics } from '../telemetry/sdk-diagnostics.ts';

export interface OtlpLogExporterOptions {
  /** The process's own: the SDK's exporter reads endpoint, headers, timeout and TLS from it by itself. */
  readonly env: Environment;
  readonly diagnostics: Diagnostics;
  /** Whether the configuration names this exporter; without an endpoint it then sends to localhost:4318. */
  readonly named: boolean;
}

/**
 * The SDK's OTLP exporter over HTTP, its failures told to the diagnostics.
 * @returns undefined where no endpoint is set and nobody named it
 * @throws VerdictError config_invalid when a variable is wrong
 */
export function createOtlpLogExporter(options: OtlpLogExporterOptions): LogRecordExporter | undefined {
  const { env, diagnostics, named } = options;
  if (!named && !hasEndpoint(env, 'LOGS')) return undefined;
  if (!named && readText(env, 'OTEL_LOGS_EXPORTER') === 'none') {
    diagnostics.warn('OTEL_LOGS_EXPORTER=none: verdict records are not sent over OTLP');
    return undefined;
  }
  // First, because the exporters warn while they are made.
  const sdk = routeSdkDiagnostics(diagnostics);
  const settings = readOtlpSettings(env, 'LOGS', diagnostics);
  const exporter = settings.protocol === 'http/protobuf' ? new ProtobufLogExporter() : new JsonLogExporter();
  reportExports(exporter, settings, sdk);
  return exporter;
}
