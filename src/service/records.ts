/** Which pipeline records go through, chosen by `spool.durability`, behind one interface. */
import type { Resource } from '@opentelemetry/resources';
import type { SpoolConfig } from '../config/spool.ts';
import { VerdictError } from '../errors.ts';
import type { Recorder } from '../event/recorder.ts';
import { loadSigningKey } from '../event/signing.ts';
import type { Fields } from '../event/vocabulary.ts';
import type { ExporterPlan } from '../export/delivery-message.ts';
import { createOtlpLogExporter } from '../export/exporter.ts';
import { createPipeline } from '../export/pipeline.ts';
import type { Service } from '../export/resource.ts';
import { openSpoolPipeline } from '../export/spool-pipeline.ts';
import { describeDisk, probeDisk } from '../spool/disk-probe.ts';
import { fileSystemMagic, nodeFiles } from '../spool/node-files.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import type { Environment } from '../telemetry/environment.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { hasEndpoint } from '../telemetry/otlp-settings.ts';
import type { SpoolReading } from '../telemetry/spool-metrics.ts';

export interface RecordsOptions {
  readonly spool: SpoolConfig;
  /** undefined: what the environment says. */
  readonly exporters: readonly ExporterPlan[] | undefined;
  readonly keysDirectory: string;
  readonly env: Environment;
  readonly resource: Resource;
  readonly service: Service;
  readonly metrics: Metrics;
  readonly diagnostics: Diagnostics;
}

/** How it ended, for people and for the demo. */
export interface Farewell {
  readonly text: string;
  /** Whether a record is gone for good. */
  readonly lost: boolean;
  readonly recorded: number;
  readonly delivered: number;
}

export interface Records extends Recorder {
  /** What the `start` record says of how records are kept. */
  readonly facts: Fields;
  /** undefined where records are not spooled. */
  reading(): SpoolReading | undefined;
  /** Files that exporters write to may have been moved away: they are opened anew. */
  reopen(): void;
  /** Bytes that are spooled; asked for each call, and so told without all the rest of a reading. */
  bytes(): number;
  stop(deadlineMs: number): Promise<Farewell>;
}

/** Rejects with `spool_unavailable` or `config_invalid`. */
export function openRecords(options: RecordsOptions): Promise<Records> {
  return options.spool.durability === 'none' ? Promise.resolve(unspooled(options)) : spooled(options);
}

function unspooled(options: RecordsOptions): Records {
  const { env, diagnostics, exporters, metrics } = options;
  const other = exporters?.find(
    (plan) => plan.kind !== 'otlp' || plan.endpoint !== undefined || plan.effects !== undefined,
  );
  if (other !== undefined) {
    const detail = `the exporter ${other.name} needs a spool: set spool.durability to sync or os`;
    throw new VerdictError('config_invalid', { detail });
  }
  const exporter = createOtlpLogExporter({ env, diagnostics, named: exporters !== undefined });
  if (exporter === undefined) {
    diagnostics.warn(
      'decisions are kept nowhere: set OTEL_EXPORTER_OTLP_ENDPOINT, or a spool.durability but none',
    );
  }
  const pipeline = createPipeline({ ...options, exporter });
  metrics.observeDelivery(() => pipeline.delivery());
  return {
    facts: { 'verdict.lifecycle.durability': 'none' },
    emit: (draft) => pipeline.emit(draft),
    recorded: (uid) => pipeline.recorded(uid),
    reading: () => undefined,
    reopen: () => {},
    bytes: () => 0,
    async stop(deadlineMs) {
      const { emitted, delivered, lost } = await pipeline.shutdown(deadlineMs);
      const losses = Object.entries(lost).filter(([, count]) => count > 0);
      const total = losses.reduce((sum, [, count]) => sum + count, 0);
      const why = losses.map(([reason, count]) => `${reason}: ${count}`).join(', ');
      const text = `${emitted} records, ${delivered} delivered${total === 0 ? '' : `, ${total} LOST (${why})`}`;
      return { text, lost: total > 0, recorded: emitted, delivered };
    },
  };
}

async function spooled(options: RecordsOptions): Promise<Records> {
  const { spool, env, diagnostics, metrics } = options;
  const exporters = options.exporters ?? exportersOfEnvironment(env, diagnostics);
  const signing = loadSigningKey({ directory: options.keysDirectory, env });
  const pipeline = await openSpoolPipeline({
    ...options,
    ...spool,
    durability: spool.durability === 'os' ? 'os' : 'sync',
    exporters,
    signing,
    onCommit: (seconds) => metrics.commit(seconds),
  });
  sayDisk(spool.directory, diagnostics);
  sayFiltered(exporters, diagnostics);
  metrics.observeSpool(() => pipeline.spool.status());
  return {
    facts: {
      'verdict.lifecycle.durability': spool.durability,
      'verdict.lifecycle.public_key': signing.publicKeyText,
      'verdict.lifecycle.adopted': pipeline.spool.adopted,
    },
    emit: (draft) => pipeline.emit(draft),
    recorded: (uid) => pipeline.recorded(uid),
    reading: () => pipeline.spool.status(),
    reopen: () => pipeline.spool.reopen(),
    bytes: () => pipeline.spool.bytes(),
    async stop(deadlineMs) {
      const { waiting } = await pipeline.stop(deadlineMs);
      const { writer, exporters: pumps } = pipeline.spool.status();
      const delivered = Math.max(0, ...Object.values(pumps).map((pump) => pump.delivered));
      const where =
        exporters.length === 0 ? 'are kept in the spool' : `wait in the spool, which is ${spool.directory}`;
      const kept =
        waiting === 0 && exporters.length > 0
          ? 'all delivered'
          : `${exporters.length === 0 ? 'they' : waiting} ${where}`;
      const lost = writer.lost === 0 ? '' : `, ${writer.lost} LOST (the spool had no room)`;
      const text = `${writer.committed} records are durable, ${kept}${lost}`;
      return { text, lost: writer.lost > 0, recorded: writer.committed, delivered };
    },
  };
}

/** One required exporter where the environment names an endpoint; else records stay in the spool. */
export function exportersOfEnvironment(env: Environment, diagnostics: Diagnostics): readonly ExporterPlan[] {
  if (!hasEndpoint(env, 'LOGS')) {
    diagnostics.info(
      'OTEL_EXPORTER_OTLP_ENDPOINT is not set: records stay in the spool, where `records tail` reads them',
    );
    return [];
  }
  if (env['OTEL_LOGS_EXPORTER'] === 'none') {
    diagnostics.warn('OTEL_LOGS_EXPORTER=none: records stay in the spool');
    return [];
  }
  return [{ name: 'otlp', kind: 'otlp', required: true }];
}

/** What none of them gets counts as had by all of them, and goes with the rest. */
export function sayFiltered(exporters: readonly ExporterPlan[], diagnostics: Diagnostics): void {
  if (exporters.length === 0 || exporters.some(({ effects }) => effects === undefined)) return;
  diagnostics.warn(
    'every exporter has effects: no destination gets all records, so that none can prove that nothing is missing; ' +
      'what no exporter is to get leaves the spool after spool.keep',
  );
}

function sayDisk(directory: string, diagnostics: Diagnostics): void {
  try {
    const probe = probeDisk({ files: nodeFiles, directory, magic: fileSystemMagic(directory) });
    const { fact, warnings } = describeDisk(probe);
    diagnostics.info(fact);
    for (const warning of warnings) diagnostics.warn(warning);
  } catch (error) {
    diagnostics.warn(`the spool's disk could not be measured: ${String(error)}`);
  }
}
