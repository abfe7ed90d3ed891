/**
 * The pipeline of `spool.durability: none`: Logger.emit, the chain, the SDK's batch processor, an exporter. Best
 * effort: nothing is kept on disk, a batch that fails is gone, and each loss is counted.
 */
import { randomUUID } from 'node:crypto';
import type { Resource } from '@opentelemetry/resources';
import { BatchLogRecordProcessor } from '@opentelemetry/sdk-logs';
import type { LogRecordExporter } from '@opentelemetry/sdk-logs';
import { VerdictError } from '../errors.ts';
import { createEventClock } from '../event/clock.ts';
import type { NowSource } from '../event/clock.ts';
import type { Recorder } from '../event/recorder.ts';
import { readBatchSettings } from '../telemetry/batch-settings.ts';
import { beforeDeadline } from '../telemetry/deadline.ts';
import type { Delivery } from '../telemetry/delivery.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import { readFlag } from '../telemetry/environment.ts';
import type { Environment } from '../telemetry/environment.ts';
import { routeSdkDiagnostics } from '../telemetry/sdk-diagnostics.ts';
import { countExports } from './counting-exporter.ts';
import { createDeliveryCount } from './delivery-count.ts';
import type { DeliveryCount } from './delivery-count.ts';
import { hearQueueDrops } from './queue-drops.ts';
import { createRecordEmitter } from './record-emitter.ts';
import type { Service } from './resource.ts';
import { createStampingProcessor } from './stamping-processor.ts';

export interface PipelineOptions {
  /** Without one the records are chained and go nowhere. */
  readonly exporter?: LogRecordExporter | undefined;
  readonly resource: Resource;
  readonly service: Service;
  /** OTEL_BLRP_* is read from it. */
  readonly env: Environment;
  readonly diagnostics: Diagnostics;
  readonly now?: NowSource | undefined;
}

export interface Pipeline extends Recorder {
  /** UUID of the chain that this process writes. */
  readonly streamId: string;
  /** Exports what there is, for at most so long. Never rejects. */
  flush(deadlineMs: number): Promise<void>;
  /** Takes nothing more and exports what there is; what is left at the deadline counts as `export_failed`. */
  shutdown(deadlineMs: number): Promise<Delivery>;
  delivery(): Delivery;
}

export function createPipeline(options: PipelineOptions): Pipeline {
  const { resource, service, env, diagnostics } = options;
  const sdk = routeSdkDiagnostics(diagnostics);
  if (readFlag(env, 'OTEL_SDK_DISABLED')) {
    diagnostics.warn('OTEL_SDK_DISABLED turns off spans and metrics only: verdict records are always made');
  }
  const streamId = randomUUID();
  const count = createDeliveryCount();
  const batch = createBatchProcessor(options, count);
  const stamping = createStampingProcessor({ service, streamId, next: batch });
  const clock = createEventClock(options.now);
  const emitter = createRecordEmitter({
    resource,
    version: service.version,
    processor: stamping,
    clock,
    eventAs: 'attributes',
  });
  let flushing = Promise.resolve();
  let ending: Promise<Delivery> | undefined;

  // One after the other: a flush beside another one, or beside the shutdown, loses records in the SDK.
  const flush = (): Promise<void> => {
    flushing = flushing.then(() => batch?.forceFlush()).catch(() => {});
    return flushing;
  };

  const end = async (deadlineMs: number): Promise<Delivery> => {
    await beforeDeadline(
      flushing.then(() => emitter.provider.shutdown()),
      deadlineMs,
    );
    sdk.throttle.flush();
    return batch === undefined ? count.read() : count.close('export_failed');
  };

  return {
    streamId,
    emit(draft) {
      count.emitted();
      if (ending !== undefined) {
        count.lost('after_shutdown', 1);
        return emitter.uid();
      }
      try {
        return emitter.emit(draft);
      } catch (error) {
        count.lost('export_failed', 1);
        diagnostics.error(`a record could not be made: ${String(error)}`);
        return emitter.uid();
      }
    },
    async recorded(uid) {
      if (!stamping.takeSeen(uid)) {
        throw new VerdictError(ending === undefined ? 'audit_unavailable' : 'shutdown');
      }
    },
    async flush(deadlineMs) {
      if (ending === undefined) await beforeDeadline(flush(), deadlineMs);
    },
    shutdown(deadlineMs) {
      ending ??= end(deadlineMs);
      return ending;
    },
    delivery: () => count.read(),
  };
}

function createBatchProcessor(
  { exporter, env, diagnostics }: PipelineOptions,
  count: DeliveryCount,
): BatchLogRecordProcessor | undefined {
  if (exporter === undefined) return undefined;
  const sdk = routeSdkDiagnostics(diagnostics);
  const settings = readBatchSettings(env, 'BLRP', diagnostics);
  const onDrop = (records: number): void => {
    count.lost('queue_full', records);
    const text = `the queue of ${settings.maxQueueSize} records is full (OTEL_BLRP_MAX_QUEUE_SIZE): verdict records are lost`;
    sdk.throttle.say('error', text, text);
  };
  const counting = countExports(
    exporter,
    {
      delivered: (records) => count.delivered(records),
      failed: (records) => count.lost('export_failed', records),
      rejected: (records) => count.lost('rejected', records),
    },
    () => sdk.takeRejected(),
  );
  return new BatchLogRecordProcessor({
    exporter: counting,
    ...settings,
    selfObsMeterProvider: hearQueueDrops(onDrop),
  });
}
