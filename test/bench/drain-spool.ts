/** Delivers a prepared stream with our own pump, and tells what that took. Arguments: DIRECTORY POSITION-JSON PLAN-JSON */
import { createDelivery } from '../../src/export/delivery.ts';
import type { ExporterPlan } from '../../src/export/delivery-message.ts';
import type { DurablePosition } from '../../src/spool/position.ts';
import { createMeter } from './meter.ts';
import { IDENTITY } from './records.ts';

const [directory = '', json = '{}', planJson = '{}'] = process.argv.slice(2);
const durable = JSON.parse(json) as DurablePosition;
const plan = JSON.parse(planJson) as ExporterPlan;
const complain = (text: string): void => void process.stderr.write(`${text}\n`);
const meter = createMeter(durable.sequence);

const delivery = createDelivery({
  directory,
  exporters: [plan],
  version: '0.1.0',
  diagnostics: { error: complain, warn: complain, info: () => {}, debug: () => {} },
  onDamage: (damage) => Promise.reject(new Error(`damage: ${JSON.stringify(damage)}`)),
  onDeadLetter: ({ sequence }) => Promise.reject(new Error(`dead letter: ${sequence}`)),
  onAcknowledged: (_exporter, _stream, sequence) => meter.done(sequence),
});
delivery.announce({ identity: IDENTITY, first: 1, durable, end: durable });
// The thread alone keeps nobody waiting.
const alive = setInterval(() => {}, 1000);
await meter.finished;
clearInterval(alive);
await delivery.stop(5000);
