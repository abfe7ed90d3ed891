import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExportResultCode } from '@opentelemetry/core';
import type { ExportResult } from '@opentelemetry/core';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { hearQueueDrops } from '../../src/export/queue-drops.ts';

// The hook is an experimental option of the SDK: this pins what it does.
test('each record that a full queue drops is heard at once, and nothing else is', async () => {
  let drops = 0;
  const open: ((result: ExportResult) => void)[] = [];
  const processor = new BatchLogRecordProcessor({
    exporter: {
      export: (_, done) => void open.push(done),
      forceFlush: async () => {},
      shutdown: async () => {},
    },
    maxQueueSize: 5,
    maxExportBatchSize: 2,
    selfObsMeterProvider: hearQueueDrops((records) => (drops += records)),
  });
  const logger = new LoggerProvider({ processors: [processor] }).getLogger('test');
  // Two leave at once, five wait.
  for (let i = 0; i < 7; i++) logger.emit({});
  assert.equal(drops, 0);
  for (let i = 0; i < 11; i++) logger.emit({});
  assert.equal(drops, 11);

  const shutdown = processor.shutdown();
  // Four batches are left: the one under way, and three of the queue's.
  for (let batch = 0; batch < 4; batch++) {
    while (open.length === 0) await new Promise(setImmediate);
    open.pop()?.({ code: ExportResultCode.FAILED, error: new Error('no') });
  }
  await shutdown;
  assert.equal(drops, 11);
});
