/** From a plan to its exporter. */
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import type { Environment } from '../telemetry/environment.ts';
import type { ExporterPlan } from './delivery-message.ts';
import type { Exporter } from './direct-exporter.ts';
import { createFileExporter } from './file/file-exporter.ts';
import { createHonestOtlpExporter } from './honest-otlp.ts';
import { createHttpExporter } from './http/http-exporter.ts';
import { createStdoutExporter } from './stdout-exporter.ts';
import { createSyslogExporter } from './syslog/syslog-exporter.ts';
import { systemTimers } from './timers.ts';

export interface ExporterOptions {
  /** The process's own. */
  readonly env: Environment;
  readonly diagnostics: Diagnostics;
  /** Ours, for the User-Agent. */
  readonly version: string;
}

/**
 * Opens and sends nothing before the first batch.
 * @throws VerdictError config_invalid when a setting is wrong, or a file that one names
 */
export function makeExporter(plan: ExporterPlan, options: ExporterOptions): Exporter {
  if (plan.kind === 'otlp') return createHonestOtlpExporter({ ...options, endpoint: plan.endpoint });
  if (plan.kind === 'http') return createHttpExporter({ ...options, settings: plan.http });
  if (plan.kind === 'stdout') return createStdoutExporter({ settings: plan.stdout });
  if (plan.kind === 'syslog') return createSyslogExporter({ settings: plan.syslog });
  return createFileExporter({ ...options, settings: plan.file, nowMs: () => systemTimers.nowMs() });
}
