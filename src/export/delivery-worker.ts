/** What runs in the delivery thread: one pump an exporter over one set of streams. The shell is delivery-thread.ts. */
import type { MessagePort } from 'node:worker_threads';
import type { SpoolFiles } from '../spool/files.ts';
import type { DurablePosition, SpooledRecord } from '../spool/position.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import { writeDeadLetter } from './dead-letter.ts';
import type {
  DeliveryPlan,
  ExporterPlan,
  FromThread,
  StreamAnnouncement,
  ToThread,
} from './delivery-message.ts';
import type { Exporter } from './direct-exporter.ts';
import { selectEffects } from './effects.ts';
import { BATCH_BYTES_MAX, BATCH_RECORDS_MAX, LINGER_MS } from './pump-options.ts';
import type { PumpStatus, Sample } from './pump-options.ts';
import { createPump } from './pump.ts';
import type { Pump } from './pump.ts';
import { createSpoolSource } from './spool-source.ts';
import type { Opener, SpoolSource } from './spool-source.ts';
import { originOf } from './spooled-log-record.ts';
import type { Timers } from './timers.ts';
import { WATCHDOG_TIMEOUTS } from './watchdog.ts';

export const STATUS_INTERVAL_MS = 1000;

/** After a stream could not be opened. */
const REOPEN_MS = 1000;

export interface DeliveryWorkerOptions {
  readonly plan: DeliveryPlan;
  readonly files: SpoolFiles;
  readonly open: Opener;
  readonly makeExporter: (plan: ExporterPlan) => DeliveryExporter;
  readonly post: (message: FromThread) => void;
  readonly diagnostics: Diagnostics;
  readonly timers: Timers;
  readonly random: () => number;
  readonly silence?: ((error: unknown) => void) | undefined;
}

export interface DeliveryWorker {
  handle(message: ToThread): void;
  /** A stream is durable further than before. */
  advance(position: DurablePosition): void;
}

type DeliveryExporter = Omit<Exporter, 'endpoint'>;

interface Arm {
  readonly name: string;
  readonly pump: Pump;
  readonly source: SpoolSource;
  readonly reopen: () => void;
}

export function createDeliveryWorker(options: DeliveryWorkerOptions): DeliveryWorker {
  const { plan, open, post, diagnostics, timers } = options;
  const durable = new Map<string, DurablePosition>();
  const announced: StreamAnnouncement[] = [];
  const ask = createQuestions(post);
  const shared: Shared = {
    ask,
    durable: (stream) => durable.get(stream),
    knownGood: () => findKnownGood(announced, open, durable),
  };
  const arms = plan.exporters.map((exporter) => createArm(exporter, options, shared));

  const add = (arm: Arm, stream: StreamAnnouncement): void => {
    const { name, source, pump } = arm;
    try {
      source.add(stream);
      pump.wake();
    } catch (error) {
      const { stream: id } = stream.durable;
      diagnostics.error(`exporter ${name}: stream ${id} cannot be opened, trying again: ${String(error)}`);
      timers.after(REOPEN_MS, () => add(arm, stream));
    }
  };
  const advance = (position: DurablePosition): void => {
    // Two senders tell of it, by different ways.
    if ((durable.get(position.stream)?.sequence ?? 0) > position.sequence) return;
    durable.set(position.stream, position);
    for (const { pump } of arms) pump.wake();
  };
  const ticking = tick(() => post({ kind: 'status', exporters: statuses(arms) }), timers);

  return {
    advance,
    handle(message) {
      switch (message.kind) {
        case 'stream': {
          const { durable: position } = message.stream;
          // The writer's own word, if it came first, is the newer one.
          if (!durable.has(position.stream)) durable.set(position.stream, position);
          announced.push(message.stream);
          for (const arm of arms) add(arm, message.stream);
          return;
        }
        case 'ended':
          for (const { source, pump } of arms) {
            source.end(message.end);
            pump.wake();
          }
          return;
        case 'kept':
          for (const { source } of arms) source.kept(message.stream, message.first);
          return;
        case 'durable':
          return advance(message.position);
        case 'durable_port':
          return listen(message.port, advance);
        case 'answer':
          return ask.answer(message.id, message.error);
        case 'reopen':
          for (const { reopen } of arms) reopen();
          return;
        case 'stop':
          ticking();
          void stop(arms, message.deadlineMs).then((exporters) => post({ kind: 'stopped', exporters }));
          return;
      }
    },
  };
}

interface Shared {
  readonly ask: Questions;
  readonly durable: (stream: string) => DurablePosition | undefined;
  readonly knownGood: () => Sample | undefined;
}

function createArm(exporter: ExporterPlan, options: DeliveryWorkerOptions, shared: Shared): Arm {
  const { plan, files, open, post, diagnostics, makeExporter } = options;
  const { ask, durable, knownGood } = shared;
  const { name } = exporter;
  const source = createSpoolSource({
    exporter: name,
    open,
    durable,
    onFinished: (stream) => post({ kind: 'finished', exporter: name, stream }),
  });
  let current: DeliveryExporter | undefined;
  const make = (): DeliveryExporter => (current = makeExporter(exporter));
  const first = make();
  const unused = [first];
  const pump = createPump({
    ...options,
    name,
    source,
    exporter: () => unused.pop() ?? make(),
    limits: {
      recordsMax: BATCH_RECORDS_MAX,
      bytesMax: BATCH_BYTES_MAX,
      lingerMs: LINGER_MS,
      watchdogMs: first.timeoutMs * WATCHDOG_TIMEOUTS,
    },
    select: exporter.effects && selectEffects(exporter.effects),
    onDamage: (damage) => ask((id) => ({ kind: 'damage', id, damage })),
    onDeadLetter: async (letter) => {
      writeDeadLetter(files, plan.directory, letter);
      await ask((id) => ({ kind: 'dead_letter', id, letter }));
    },
    onAcknowledged: (stream, sequence) => post({ kind: 'acknowledged', exporter: name, stream, sequence }),
    knownGood,
  });
  const reopen = (): void => {
    current?.reopen?.().catch((error: unknown) => diagnostics.warn(`exporter ${name}: ${String(error)}`));
  };
  return { name, pump, source, reopen };
}

async function stop(arms: readonly Arm[], deadlineMs: number): Promise<Record<string, PumpStatus>> {
  await Promise.allSettled(arms.map(({ pump }) => pump.stop(deadlineMs)));
  const left = statuses(arms);
  for (const { source } of arms) source.close();
  return left;
}

function statuses(arms: readonly Arm[]): Record<string, PumpStatus> {
  return Object.fromEntries(arms.map(({ name, pump }) => [name, pump.status()]));
}

/** @returns ends it */
function tick(run: () => void, timers: Timers): () => void {
  let cancel = (): void => {};
  const again = (): void => {
    cancel = timers.after(STATUS_INTERVAL_MS, () => {
      run();
      again();
    });
  };
  again();
  return () => cancel();
}

function listen(port: MessagePort, advance: (position: DurablePosition) => void): void {
  // The writer thread is ours and posts nothing else here (spool/position.ts).
  port.on('message', (position: DurablePosition) => advance(position));
}

type Question = (id: number) => FromThread;

interface Questions {
  /** Resolves when the main thread has done what is asked. */
  (question: Question): Promise<void>;
  answer(id: number, error: string | undefined): void;
}

function createQuestions(post: (message: FromThread) => void): Questions {
  const open = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  let last = 0;
  const ask = (question: Question): Promise<void> =>
    new Promise((resolve, reject) => {
      last += 1;
      open.set(last, { resolve, reject });
      post(question(last));
    });
  return Object.assign(ask, {
    answer(id: number, error: string | undefined) {
      const asked = open.get(id);
      open.delete(id);
      if (error === undefined) asked?.resolve();
      else asked?.reject(new Error(error));
    },
  });
}

/** What we made ourselves and every sound destination takes, of the newest stream that still holds such a record. */
const OWN_EVENT = /"event\.name":"verdict\.(?:checkpoint|lifecycle)"/;

function findKnownGood(
  announced: readonly StreamAnnouncement[],
  open: Opener,
  durable: ReadonlyMap<string, DurablePosition>,
): Sample | undefined {
  for (const { identity, first, durable: position, end } of announced.toReversed()) {
    const { stream } = position;
    const record = firstOwn(() =>
      open.reader({
        stream,
        from: undefined,
        durable: () => durable.get(stream) ?? position,
        end,
        keptFrom: () => first,
      }),
    );
    if (record !== undefined) return { record, origin: originOf(identity) };
  }
  return undefined;
}

function firstOwn(open: () => ReturnType<Opener['reader']>): SpooledRecord | undefined {
  try {
    const reader = open();
    try {
      const { records } = reader.next(BATCH_RECORDS_MAX, BATCH_BYTES_MAX);
      return records.find(({ body }) => OWN_EVENT.test(body));
    } finally {
      reader.close();
    }
  } catch {
    // A stream that cannot be read just now has no record to try.
    return undefined;
  }
}
