/** The pipeline of `spool.durability: sync` and `os`: Logger.emit, the spool, and whatever is delivered from it. */
import type { Resource } from '@opentelemetry/resources';
import { createEventClock } from '../event/clock.ts';
import type { Recorder } from '../event/recorder.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import type { Waiting } from './delivery.ts';
import { createRecordEmitter } from './record-emitter.ts';
import type { Service } from './resource.ts';
import { SpoolLogRecordProcessor, type SpoolProcessorOptions } from './spool-processor.ts';
import type { Spool } from './spool-options.ts';

export interface SpoolPipelineOptions extends Omit<SpoolProcessorOptions, 'version' | 'clock' | 'lifecycle'> {
  readonly resource: Resource;
  readonly service: Service;
  readonly diagnostics: Diagnostics;
}

export interface SpoolPipeline extends Recorder {
  readonly spool: Spool;
  /** Delivers for at most so long; what waits stays in the spool. Never rejects. */
  stop(deadlineMs: number): Promise<Waiting>;
}

/** Rejects with `spool_unavailable` where the directory cannot be used. */
export async function openSpoolPipeline(options: SpoolPipelineOptions): Promise<SpoolPipeline> {
  const { resource, service, diagnostics } = options;
  const clock = createEventClock();
  const processor = await SpoolLogRecordProcessor.open({
    ...options,
    version: service.version,
    clock,
    lifecycle: 'elsewhere',
  });
  const { version } = service;
  const emitter = createRecordEmitter({ resource, version, processor, clock, eventAs: 'body' });
  return {
    spool: processor.spool,
    emit(draft) {
      try {
        return emitter.emit(draft);
      } catch (error) {
        // `recorded` does not know the uid that is returned, and so refuses whoever asks for it.
        diagnostics.error(`a record could not be made: ${String(error)}`);
        return emitter.uid();
      }
    },
    recorded: (uid) => processor.recorded(uid),
    stop: (deadlineMs) => processor.stop(deadlineMs),
  };
}
