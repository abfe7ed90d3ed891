/** `records replay`: sends what the spool still has once more, because a later hop lost it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { ExportResult } from '@opentelemetry/core';
import { loadServeConfig, type ServeConfig } from '../config.ts';
import { packageVersion } from '../config/places.ts';
import { VerdictError } from '../errors.ts';
import { judgeResult } from '../export/acknowledgement.ts';
import type { ExporterPlan } from '../export/delivery-message.ts';
import type { Exporter } from '../export/direct-exporter.ts';
import { selectEffects } from '../export/effects.ts';
import { makeExporter } from '../export/make-exporter.ts';
import { printable } from '../telemetry/diagnostics.ts';
import { diagnosticsFor } from './process.ts';
import { batchesOf } from './records-batch.ts';
import type { Batch, Selection } from './records-batch.ts';
import { checkRange, sequenceOf, spoolDirectory, streamOf } from './records-options.ts';
import { listSpool } from './records-spool.ts';
import type { Io } from './verb.ts';

/** Tries of one batch; somebody sits in front of it and can start it again from where it came to. */
export const REPLAY_TRIES = 5;
const FIRST_DELAY_MS = 1000;
const DELAY_MS_MAX = 30_000;

const OPTIONS = {
  spool: { type: 'string' },
  stream: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  exporter: { type: 'string' },
  endpoint: { type: 'string' },
  config: { type: 'string' },
} as const;

const NOT_ALL = `What is not there cannot be sent: the spool is that of the machine that recorded it (--spool, --config), and it
frees what was acknowledged after spool.keep (72h by default), or sooner when it is full. Another destination may still
have it.
`;

type Wait = (delayMs: number) => Promise<unknown>;

/**
 * @param wait replaced in tests
 * @returns 0 when all was acknowledged, 1 when something was refused or is not in the spool, 4 when the endpoint
 * cannot be reached
 */
export async function replayRecords(args: readonly string[], io: Io, wait: Wait = sleep): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const selection = selectionOf(values);
  const config =
    values.config === undefined ? undefined : loadServeConfig(resolve(io.cwd, values.config), io.env);
  const plan = planOf(values, config);
  const exporter = makeExporter(plan, {
    env: io.env,
    diagnostics: diagnosticsFor(io, undefined, 'warn'),
    version: packageVersion(),
  });
  const select = plan.effects === undefined ? undefined : selectEffects(plan.effects);
  const spool = spoolDirectory(values.spool ?? config?.spool.directory, io);
  let absent = false;
  let sent = 0;
  const onAbsent = (text: string): void => {
    absent = true;
    io.stderr.write(`${printable(text)}\n`);
  };
  try {
    for (const kept of keptBatches(spool, selection, onAbsent)) {
      const batch = select === undefined ? kept : chosenOf(kept, select);
      if (batch.records.length === 0) continue;
      const failure = await send(exporter, batch, wait);
      if (failure !== undefined) {
        const left = `${sent} records were sent again; those from ${batch.from} on were not`;
        io.stderr.write(
          printable(`${exporter.endpoint}: ${failure.text}.\n${left}: try --from ${batch.from}\n`),
        );
        return failure.refused ? 1 : 4;
      }
      sent += batch.records.length;
    }
  } finally {
    await exporter.shutdown();
  }
  const endpoint = printable(exporter.endpoint);
  io.stdout.write(
    sent === 0
      ? `Nothing was sent to ${endpoint}.\n`
      : `${sent} records were sent again to ${endpoint} and acknowledged.\n`,
  );
  if (absent) io.stderr.write(NOT_ALL);
  return absent ? 1 : 0;
}

interface ReplaySelection extends Selection {
  /** UUID. */
  readonly stream: string;
}

interface SelectionOptions {
  readonly stream?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

function selectionOf({ stream, ...range }: SelectionOptions): ReplaySelection {
  const selection = { from: sequenceOf('from', range.from), to: sequenceOf('to', range.to) };
  if (stream === undefined || selection.from === undefined || selection.to === undefined) {
    throw new VerdictError('usage', { detail: 'replay needs --stream, --from and --to' });
  }
  checkRange(selection.from, selection.to);
  return { ...selection, stream: streamOf(stream) };
}

/** What the spool still has of a selection; what it has not goes to `onAbsent`. */
function* keptBatches(
  spool: string,
  selection: ReplaySelection,
  onAbsent: (text: string) => void,
): Generator<Batch> {
  const kept = listSpool(spool).find(({ stream }) => stream === selection.stream);
  if (kept === undefined) onAbsent(`${spool} holds no stream ${selection.stream}`);
  else yield* batchesOf(kept, selection, onAbsent);
}

interface Destination {
  readonly exporter?: string | undefined;
  readonly endpoint?: string | undefined;
}

/** The exporter of that name in the config, or `otlp` as the environment has it, or an endpoint by its URL. */
function planOf({ exporter, endpoint }: Destination, config: ServeConfig | undefined): ExporterPlan {
  if ((exporter === undefined) === (endpoint === undefined)) {
    throw new VerdictError('usage', { detail: 'give one of --endpoint URL and --exporter NAME' });
  }
  const named = config?.exporters?.find(({ name }) => name === exporter);
  if (exporter !== undefined && named === undefined && exporter !== 'otlp') {
    const known = config?.exporters?.map(({ name }) => name).join(', ') ?? 'otlp, or those of a --config';
    throw new VerdictError('usage', { detail: `there is no exporter ${exporter}: use ${known}` });
  }
  const otlp = { name: 'otlp', kind: 'otlp', required: false } as const;
  return named ?? (endpoint === undefined ? otlp : { ...otlp, endpoint: { url: endpoint } });
}

/** What of a batch the exporter had at first: its destination wants no more now. */
function chosenOf(batch: Batch, select: (body: string) => boolean): Batch {
  return { ...batch, records: batch.records.filter(({ body }) => typeof body === 'string' && select(body)) };
}

/** undefined when the batch was acknowledged. */
async function send(
  exporter: Exporter,
  { records }: Batch,
  wait: Wait,
): Promise<{ readonly text: string; readonly refused: boolean } | undefined> {
  for (let tries = 1; ; tries += 1) {
    const result = await new Promise<ExportResult>((resolve) => exporter.export(records, resolve));
    const judgement = judgeResult(result, { endpoint: exporter.endpoint, nowMs: Date.now() });
    if (judgement.kind === 'acknowledged') return undefined;
    if (judgement.kind === 'refused') return { text: judgement.text, refused: true };
    if (tries === REPLAY_TRIES) return { text: judgement.text, refused: false };
    const askedMs = judgement.afterMs ?? 0;
    await wait(Math.min(Math.max(FIRST_DELAY_MS * 2 ** (tries - 1), askedMs), DELAY_MS_MAX));
  }
}
