/**
 * Section `direct`: the exporter `file` beside pino with the same records, and the exporter `http` beside the OTLP
 * exporter to the same receiver.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ExporterPlan } from '../../src/export/delivery-message.ts';
import type { DurablePosition } from '../../src/spool/position.ts';
import { removeCursors } from './delivery.ts';
import { fillStream } from './fill.ts';
import type { Drained } from './meter.ts';
import { startProgram, startScript, stopAll } from './programs.ts';
import { forgetReceived, readReceived } from './received.ts';
import { inRounds } from './rounds.ts';
import type { Section } from './section.ts';
import { median, ratio } from './statistics.ts';
import { count, table, times } from './table.ts';

const RECORDS = 50_000;
/** An fsync a line takes so much longer. */
const SYNCED_SHARE = 0.1;

interface Spooled {
  readonly directory: string;
  readonly position: DurablePosition;
}

interface Contender {
  readonly name: string;
  run(): Promise<Drained>;
}

export const directSection: Section = {
  name: 'direct',
  async run({ rounds, records = RECORDS, directory }) {
    const all = fill(join(directory, 'all'), records);
    const few = fill(join(directory, 'few'), Math.ceil(records * SYNCED_SHARE));
    const file = join(directory, 'lines.jsonl');
    const fresh = async (run: () => Promise<Drained>): Promise<Drained> => {
      rmSync(file, { force: true });
      return await run();
    };
    const plan = {
      name: 'file',
      kind: 'file',
      required: true,
      file: { path: file, format: 'json' },
    } as const;
    const files: readonly Contender[] = [
      { name: 'file, each batch synced', run: () => fresh(() => drainSpool(all, plan)) },
      { name: 'pino, not synced', run: () => fresh(() => drain(all, 'drain-pino', file, 'buffered')) },
      { name: 'pino, each line synced', run: () => fresh(() => drain(few, 'drain-pino', file, 'synced')) },
    ];
    const written = await inRounds(files, rounds, (contender) => contender.run());
    const receiver = await startProgram('receiver');
    const posts = contendersOver(receiver.port, all);
    const posted = await inRounds(posts, rounds, async (contender) => {
      await forgetReceived(receiver.port);
      const drained = await contender.run();
      const got = (await readReceived(receiver.port)).records;
      if (got !== records) throw new Error(`${contender.name}: ${got} of ${records} records arrived`);
      return drained;
    });
    await stopAll([receiver]);
    return (
      `${count(records)} records each (${count(few.position.sequence)} where each line is synced). CPU is that of the whole ` +
      `process; reading and checking the spool is in ours, and not in pino’s.\n\n${tableOf(files, written)}\n` +
      `To the same receiver in a process of its own:\n\n${tableOf(posts, posted)}`
    );
  },
};

function contendersOver(port: number, spooled: Spooled): readonly Contender[] {
  const url = `http://127.0.0.1:${port}/v1/logs`;
  const http = {
    url,
    format: 'json',
    batch: 'lines',
    headers: {},
    compression: 'none',
    timeoutMs: 10_000,
  } as const;
  const plans: readonly (readonly [string, ExporterPlan])[] = [
    ['http, lines', { name: 'http', kind: 'http', required: true, http }],
    ['otlp, JSON', { name: 'otlp', kind: 'otlp', required: true, endpoint: { url } }],
  ];
  return plans.map(([name, plan]) => ({ name, run: () => drainSpool(spooled, plan) }));
}

function fill(directory: string, records: number): Spooled {
  mkdirSync(directory, { mode: 0o700 });
  return { directory, position: fillStream(directory, records) };
}

function drainSpool(spooled: Spooled, plan: ExporterPlan): Promise<Drained> {
  removeCursors(join(spooled.directory, spooled.position.stream));
  return drain(spooled, 'drain-spool', JSON.stringify(plan));
}

async function drain(
  { directory, position }: Spooled,
  program: string,
  ...args: readonly string[]
): Promise<Drained> {
  const running = startScript(program, directory, JSON.stringify(position), ...args);
  const { code } = await running.ended;
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${running.stderr()}`);
  // It prints just that.
  return JSON.parse(running.stdout()) as Drained;
}

/** Each row against the first. */
function tableOf(contenders: readonly Contender[], results: readonly (readonly Drained[])[]): string {
  const [first = []] = results;
  const rows = contenders.map(({ name }, index) => {
    const own = results[index] ?? [];
    const against = (of: (drained: Drained) => number): string =>
      index === 0 ? '' : times(ratio(first, own, of));
    return [
      name,
      count(median(own.map(({ perSecond }) => perSecond))),
      median(own.map(({ cpuUs }) => cpuUs)).toFixed(1),
      against(({ perSecond }) => perSecond),
      against(({ cpuUs }) => cpuUs),
    ];
  });
  const head = ['', 'records/s', 'CPU us/record', 'RATIO records/s', 'RATIO CPU'];
  return table(head, rows);
}
