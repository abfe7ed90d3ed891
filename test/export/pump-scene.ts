/** One pump over streams in memory, with time that jumps. */
import type { TestContext } from 'node:test';
import type { LogRecordExporter } from '@opentelemetry/sdk-logs';
import type { DeadLetter } from '../../src/export/dead-letter.ts';
import { createPump } from '../../src/export/pump.ts';
import type { PumpOptions } from '../../src/export/pump-options.ts';
import type { Damage } from '../../src/spool/position.ts';
import { eventually } from '../support/eventually.ts';
import { hear } from '../telemetry/heard.ts';
import { createJumpingTimers } from './jumping-timers.ts';
import type { JumpingTimers } from './jumping-timers.ts';
import { createMemorySource } from './memory-stream.ts';
import type { MemoryStream } from './memory-stream.ts';

/** Held until a test lets them run out. */
export const TIMEOUT_MS = 10_000;
export const WATCHDOG_MS = 20_000;
export const DEADLINE_MS = 5000;

export interface SceneOptions extends Partial<
  Pick<PumpOptions, 'select' | 'knownGood' | 'onDeadLetter' | 'onDamage'>
> {
  readonly streams: readonly MemoryStream[];
  readonly exporter: (timers: JumpingTimers) => LogRecordExporter;
  readonly recordsMax?: number;
  readonly bytesMax?: number;
}

export function startScene(t: TestContext, options: SceneOptions) {
  const { streams, exporter, recordsMax = 512, bytesMax = 4 * 1024 * 1024 } = options;
  const timers = createJumpingTimers(TIMEOUT_MS, WATCHDOG_MS, DEADLINE_MS);
  const heard = hear();
  const letters: DeadLetter[] = [];
  const damages: Damage[] = [];
  const acknowledged: [stream: string, sequence: number][] = [];
  const source = createMemorySource(...streams);
  const silenced: unknown[] = [];
  const pump = createPump({
    onDeadLetter: async (letter) => void letters.push(letter),
    onDamage: async (damage) => void damages.push(damage),
    ...options,
    name: 'otlp',
    exporter: () => exporter(timers),
    source,
    limits: { recordsMax, bytesMax, lingerMs: 100, watchdogMs: WATCHDOG_MS },
    random: () => 0.5,
    timers,
    diagnostics: heard.diagnostics,
    onAcknowledged: (stream, sequence) => acknowledged.push([stream, sequence]),
    silence: (error) => silenced.push(error),
  });
  t.after(() => {
    const stopped = pump.stop(0);
    timers.expire(WATCHDOG_MS);
    return stopped;
  });
  return {
    pump,
    timers,
    heard,
    letters,
    damages,
    acknowledged,
    source,
    silenced,
    /** Resolves when all that is durable has been acknowledged or set aside. */
    drained: () => eventually('the pump is empty', () => pump.status().backlogRecords === 0),
  };
}
