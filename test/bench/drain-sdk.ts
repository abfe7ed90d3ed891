/**
 * Emits the records of a prepared stream to the SDK's own processor and exporter, as they come. Arguments: DIRECTORY
 * POSITION-JSON URL PACE. `flushed`: 512 at a time, each flushed, so that nothing is dropped; what it takes is told.
 * `burst`: 4,096 a turn of the event loop.
 */
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { LogRecord } from '@opentelemetry/api';
import { bodyToLogRecord } from '../../src/event/log-record.ts';
import { nodeFiles } from '../../src/spool/node-files.ts';
import type { DurablePosition } from '../../src/spool/position.ts';
import { openStreamReader } from '../../src/spool/reader.ts';
import { createMeter } from './meter.ts';
import { IDENTITY } from './records.ts';

const FLUSHED_RECORDS = 512;
const BURST_RECORDS = 4096;
const BATCH_BYTES = 64 * 1024 * 1024;

const [directory = '', json = '{}', url = '', pace = 'flushed'] = process.argv.slice(2);
const durable = JSON.parse(json) as DurablePosition;
const meter = createMeter(durable.sequence);
const reader = openStreamReader({
  files: nodeFiles,
  directory: `${directory}/${durable.stream}`,
  stream: durable.stream,
  from: undefined,
  durable: () => durable,
  end: durable,
});
const { resource, scope } = IDENTITY;
const provider = new LoggerProvider({
  resource: resourceFromAttributes({ ...resource }),
  processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter({ url }) })],
});
const logger = provider.getLogger(scope.name, scope.version, { schemaUrl: scope.schemaUrl });

let emitted = 0;
for (;;) {
  // The application has its records: reading them is no cost of the SDK's.
  const batch = readBatch();
  if (batch.length === 0) break;
  meter.resume();
  for (const record of batch) logger.emit(record);
  emitted += batch.length;
  if (pace === 'burst') await nextTurn();
  else {
    await provider.forceFlush();
    meter.pause();
    meter.done(emitted);
  }
}
await provider.shutdown();
if (pace !== 'burst') await meter.finished;

function readBatch(): LogRecord[] {
  return reader
    .next(pace === 'burst' ? BURST_RECORDS : FLUSHED_RECORDS, BATCH_BYTES)
    .records.map(({ body }): LogRecord => {
      const { eventName, severityNumber, timestamp, attributes } = bodyToLogRecord(body);
      return {
        eventName,
        // The enum's members are the specification's numbers, and so are ours.
        // oxlint-disable-next-line typescript/no-unsafe-enum-assignment
        severityNumber,
        timestamp,
        observedTimestamp: timestamp,
        body,
        attributes: { ...attributes },
      };
    });
}
