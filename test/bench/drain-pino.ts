/**
 * Writes the records of a prepared stream with pino, as an application would that logs them. Arguments: DIRECTORY
 * POSITION-JSON FILE HOW. `buffered`: written 4 KiB at a time; `synced`: each line written and fsynced before the
 * next, which is what pino has for records that must not get lost.
 */
import { once } from 'node:events';
import pino from 'pino';
import { nodeFiles } from '../../src/spool/node-files.ts';
import type { DurablePosition } from '../../src/spool/position.ts';
import { openStreamReader } from '../../src/spool/reader.ts';
import { createMeter } from './meter.ts';

const BATCH_RECORDS = 512;
const BATCH_BYTES = 64 * 1024 * 1024;
/** As pino's own documentation has it. */
const BUFFER_BYTES = 4096;

const [directory = '', json = '{}', file = '', how = 'buffered'] = process.argv.slice(2);
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
const isSynced = how === 'synced';
const destination = pino.destination({
  dest: file,
  sync: isSynced,
  fsync: isSynced,
  ...(!isSynced && { minLength: BUFFER_BYTES }),
});
await once(destination, 'ready');
// What pino would add of its own is in the records.
const logger = pino({ base: null, timestamp: false }, destination);

let written = 0;
for (;;) {
  // The application has its records: reading them is no cost of pino's.
  const { records } = reader.next(BATCH_RECORDS, BATCH_BYTES);
  if (records.length === 0) break;
  const batch = records.map(({ body }) => JSON.parse(body) as object);
  meter.resume();
  for (const record of batch) logger.info(record);
  if (!isSynced) await new Promise<void>((resolve) => destination.flush(() => resolve()));
  written += batch.length;
  meter.pause();
  meter.done(written);
}
await meter.finished;
