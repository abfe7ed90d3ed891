/** `records replay`: sends what the spool still has once more, because a later hop lost it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ExportResultCode } from '@opentelemetry/core';
import { loadServeConfig, packageVersion, type ServeConfig } from '../config.ts';
import { VerdictError } from '../errors.ts';
import { createHonestOtlpExporter } from '../export/honest-otlp.ts';
import type { HonestOtlpExporter } from '../export/honest-otlp.ts';
import { printable } from '../telemetry/diagnostics.ts';
import { diagnosticsFor } from './process.ts';
import { batchesOf } from './records-batch.ts';
import type { Batch } from './records-batch.ts';
import { checkRange, chooseStreams, sequenceOf } from './records-options.ts';
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

type Wait = (delayMs: number) => Promise<unknown>;

/**
 * @param wait replaced in tests
 * @returns 0 when all was acknowledged, 1 when something was refused or is not in the spool, 4 when the endpoint
 * cannot be reached
 */
export async function replayRecords(args: readonly string[], io: Io, wait: Wait = sleep): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const selection = { from: sequenceOf('from', values.from), to: sequenceOf('to', values.to) };
  if (values.stream === undefined || selection.from === undefined || selection.to === undefined) {
    throw new VerdictError('usage', { detail: 'replay needs --stream, --from and --to' });
  }
  checkRange(selection.from, selection.to);
  const config =
    values.config === undefined ? undefined : loadServeConfig(resolve(io.cwd, values.config), io.env);
  const exporter = exporterOf(values, config, io);
  const spool = values.spool ?? config?.spool.directory;
  let damages = 0;
  let sent = 0;
  const onDamage = (text: string): void => {
    damages += 1;
    io.stderr.write(`${printable(text)}\n`);
  };
  try {
    for (const stream of chooseStreams({ ...values, spool }, io)) {
      for (const batch of batchesOf(stream, selection, onDamage)) {
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
    }
  } finally {
    await exporter.shutdown();
  }
  io.stdout.write(`${sent} records were sent again to ${printable(exporter.endpoint)} and acknowledged.\n`);
  return damages === 0 ? 0 : 1;
}

interface Destination {
  readonly exporter?: string | undefined;
  readonly endpoint?: string | undefined;
}

/** The exporter of that name in the config, or `otlp` as the environment has it, or an endpoint by its URL. */
function exporterOf(
  { exporter, endpoint }: Destination,
  config: ServeConfig | undefined,
  io: Io,
): HonestOtlpExporter {
  if ((exporter === undefined) === (endpoint === undefined)) {
    throw new VerdictError('usage', { detail: 'give one of --endpoint URL and --exporter NAME' });
  }
  const named = config?.exporters?.find(({ name }) => name === exporter);
  if (exporter !== undefined && named === undefined && exporter !== 'otlp') {
    const known = config?.exporters?.map(({ name }) => name).join(', ') ?? 'otlp, or those of a --config';
    throw new VerdictError('usage', { detail: `there is no exporter ${exporter}: use ${known}` });
  }
  return createHonestOtlpExporter({
    endpoint: endpoint === undefined ? named?.endpoint : { url: endpoint },
    env: io.env,
    diagnostics: diagnosticsFor(io, undefined, 'warn'),
    version: packageVersion(),
  });
}

/** undefined when the batch was acknowledged. */
async function send(
  exporter: HonestOtlpExporter,
  { records }: Batch,
  wait: Wait,
): Promise<{ readonly text: string; readonly refused: boolean } | undefined> {
  for (let tries = 1; ; tries += 1) {
    const failed = await new Promise<Error | undefined>((resolve) => {
      exporter.export(records, ({ code, error }) => {
        resolve(code === ExportResultCode.SUCCESS ? undefined : (error ?? new Error('not acknowledged')));
      });
    });
    if (failed === undefined) return undefined;
    const judgement = exporter.lastJudgement();
    if (judgement?.kind === 'refused') return { text: judgement.text, refused: true };
    if (tries === REPLAY_TRIES) return { text: failed.message, refused: false };
    const askedMs = judgement?.kind === 'retry' ? (judgement.afterMs ?? 0) : 0;
    await wait(Math.min(Math.max(FIRST_DELAY_MS * 2 ** (tries - 1), askedMs), DELAY_MS_MAX));
  }
}
