/**
 * An OpenTelemetry LogRecordProcessor behind which nothing gets lost: records are durable on disk when `recorded`
 * resolves, and are delivered at least once, in order, from there. It takes the place of BatchLogRecordProcessor.
 */
import type { Resource } from '@opentelemetry/resources';
import type { LogRecordProcessor, ReadWriteLogRecord } from '@opentelemetry/sdk-logs';
import { createEventClock, type EventClock } from '../event/clock.ts';
import type { SigningKey } from '../event/signing.ts';
import { SCHEMA_URL, SCOPE_NAME, SEVERITY, type Event, type Fields } from '../event/vocabulary.ts';
import { KEEP_MS_DEFAULT, SPOOL_BYTES_DEFAULT } from '../spool/retention.ts';
import { stderrDiagnostics, type Diagnostics } from '../telemetry/diagnostics.ts';
import type { ExporterPlan } from './delivery-message.ts';
import type { Waiting } from './delivery.ts';
import type { Spool, SpoolOptions } from './spool-options.ts';
import { openSpool } from './spool.ts';
import { createRecordReader } from './unstamped.ts';

export interface SpoolProcessorOptions {
  /** Of the spool; made, 0700, where it is missing. Processes may share it. */
  readonly directory: string;
  /** That of the LoggerProvider. */
  readonly resource: Resource;
  /** Default: one OTLP exporter, required, that OTEL_EXPORTER_OTLP_* configures. */
  readonly exporters?: readonly ExporterPlan[] | undefined;
  readonly durability?: SpoolOptions['durability'] | undefined;
  /** Milliseconds that acknowledged records are kept; default 72 h. */
  readonly keepMs?: number | undefined;
  /** Default 10 GiB. */
  readonly bytesMax?: number | undefined;
  readonly segmentBytes?: number | undefined;
  /** Signs checkpoints, so that a cut-off end shows. */
  readonly signing?: SigningKey | undefined;
  readonly version?: string | undefined;
  readonly clock?: EventClock | undefined;
  readonly diagnostics?: Diagnostics | undefined;
  readonly onCommit?: SpoolOptions['onCommit'];
  /**
   * Whether to record start and stop, without which a stream has no end that can be proven; default: true. `elsewhere`:
   * whoever opens it records both, and the start with `spool.adopted`.
   */
  readonly lifecycle?: boolean | 'elsewhere' | undefined;
}

/** How long `shutdown` delivers, where nobody says otherwise; what is left stays in the spool. */
export const SHUTDOWN_MS = 10_000;

export class SpoolLogRecordProcessor implements LogRecordProcessor {
  readonly spool: Spool;
  readonly #read: ReturnType<typeof createRecordReader>;
  readonly #lifecycle: boolean | 'elsewhere';
  #stopped: Promise<Waiting> | undefined;

  private constructor(
    spool: Spool,
    read: ReturnType<typeof createRecordReader>,
    lifecycle: boolean | 'elsewhere',
  ) {
    this.spool = spool;
    this.#read = read;
    this.#lifecycle = lifecycle;
    const adopted = { 'verdict.lifecycle.adopted': spool.adopted };
    if (lifecycle === true) this.#record({ 'verdict.lifecycle.state': 'start', ...adopted });
    // Who died before must be said in any case: nothing else proves where its stream ended.
    else if (lifecycle === false && spool.adopted.length > 0)
      this.#record({ 'verdict.lifecycle.state': 'streams_adopted', ...adopted });
  }

  #record(fields: Fields): void {
    this.spool.record({ name: 'verdict.lifecycle', severity: SEVERITY.info, fields });
  }

  /** Opens the spool and starts its threads. Rejects with `spool_unavailable` where the directory cannot be used. */
  static async open(options: SpoolProcessorOptions): Promise<SpoolLogRecordProcessor> {
    const clock = options.clock ?? createEventClock();
    const attributes = scalars(options.resource);
    const service = {
      name: String(attributes['service.name'] ?? 'unknown_service'),
      instanceId: String(attributes['service.instance.id'] ?? ''),
      version: options.version ?? '',
    };
    const spool = await openSpool({
      directory: options.directory,
      durability: options.durability ?? 'sync',
      segmentBytes: options.segmentBytes,
      keepMs: options.keepMs ?? KEEP_MS_DEFAULT,
      bytesMax: options.bytesMax ?? SPOOL_BYTES_DEFAULT,
      identity: {
        resource: attributes,
        scope: { name: SCOPE_NAME, version: service.version, schemaUrl: SCHEMA_URL },
      },
      service,
      exporters: options.exporters ?? [{ name: 'otlp', kind: 'otlp', required: true }],
      signing: options.signing,
      clock,
      diagnostics:
        options.diagnostics ?? stderrDiagnostics('warn', (line) => void process.stderr.write(line)),
      onCommit: options.onCommit,
    });
    return new SpoolLogRecordProcessor(spool, createRecordReader(service, clock), options.lifecycle ?? true);
  }

  onEmit(record: ReadWriteLogRecord): void {
    if (this.#stopped !== undefined) return;
    this.spool.append(this.#read(record));
  }

  /**
   * Resolves when the record is on stable storage.
   * @param uid its attribute `log.record.uid`
   */
  recorded(uid: string): Promise<void> {
    return this.spool.recorded(uid);
  }

  /** Resolves when everything emitted so far is durable, which is all that a flush can promise here. */
  async forceFlush(): Promise<void> {
    await this.spool.settled();
  }

  async shutdown(): Promise<void> {
    await this.stop(SHUTDOWN_MS);
  }

  /** As `shutdown`, within a time of one's own; tells what waits for the next start. */
  stop(deadlineMs: number): Promise<Waiting> {
    if (this.#stopped === undefined) {
      if (this.#lifecycle === true) this.#record({ 'verdict.lifecycle.state': 'stop' });
      this.#stopped = this.spool.stop(deadlineMs);
    }
    return this.#stopped;
  }
}

/** What a segment's header can say of the resource: scalars, which is what resources hold. */
function scalars(resource: Resource): Event {
  return Object.fromEntries(
    Object.entries(resource.attributes).flatMap(([key, value]) =>
      typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
        ? [[key, value]]
        : [],
    ),
  );
}
