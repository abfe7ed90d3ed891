/**
 * The main thread's side of delivery. All exporters run in one thread of their own, so that neither encoding nor a
 * slow destination holds up a call; a thread that dies is started again and goes on from the cursors.
 */
import { Worker } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { VerdictError } from '../errors.ts';
import type { Citation, Damage, DurablePosition } from '../spool/position.ts';
import { beforeDeadline } from '../telemetry/deadline.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import type { DeadLetter } from './dead-letter.ts';
import type { DeliveryPlan, FromThread, StreamAnnouncement, ToThread } from './delivery-message.ts';
import { makeExporter } from './make-exporter.ts';
import type { PumpStatus } from './pump-options.ts';
import { systemTimers } from './timers.ts';
import type { Timers } from './timers.ts';

export const EXPORTERS_MAX = 16;

/** Before a thread that died is started again. */
export const RESTART_MS = 5000;

/** What the thread gets beyond its deadline to answer, before it is ended. */
const STOP_GRACE_MS = 1000;

const EXPORTER_NAME = /^[a-z0-9_-]{1,64}$/;

export interface DeliveryOptions extends DeliveryPlan {
  readonly diagnostics: Diagnostics;
  /** Puts a gap on record; resolves when it is durable. Called once for each hole, whatever exporters find it. */
  readonly onDamage: (damage: Damage) => Promise<void>;
  readonly onDeadLetter: (letter: DeadLetter) => Promise<void>;
  /** The exporter's cursor is durable at this sequence. */
  readonly onAcknowledged?: ((exporter: string, stream: string, sequence: number) => void) | undefined;
  /** The exporter has had all of a stream that is over. */
  readonly onFinished?: ((exporter: string, stream: string) => void) | undefined;
  /** Makes a port on which the writer thread posts DurablePositions; asked for at each start of the thread. */
  readonly durablePort?: (() => MessagePort) | undefined;
  readonly timers?: Timers | undefined;
  /** A test puts its own in. */
  readonly startThread?: ((plan: DeliveryPlan) => DeliveryThread) | undefined;
}

/** A Worker, as far as it is needed here. */
export interface DeliveryThread {
  post(message: ToThread, transfer?: readonly MessagePort[]): void;
  onMessage(heard: (message: FromThread) => void): void;
  onError(heard: (error: unknown) => void): void;
  onExit(heard: () => void): void;
  terminate(): Promise<unknown>;
}

export interface Waiting {
  /** Records that the exporter furthest behind has not had acknowledged; they stay in the spool. */
  readonly waiting: number;
  readonly exporters: Readonly<Record<string, number>>;
}

export interface Delivery {
  /** A stream that is to be delivered; oldest first. */
  announce(stream: StreamAnnouncement): void;
  /** A stream that was announced while it was written is over. */
  ended(end: Citation): void;
  /** Retention has freed the records of a stream that lie before this sequence. */
  kept(stream: string, first: number): void;
  /** For a writer without a port. */
  advance(position: DurablePosition): void;
  /** Files may have been moved away: they are opened anew. */
  reopen(): void;
  /** By exporter, at most a second old. */
  status(): Readonly<Record<string, PumpStatus>>;
  /** Delivers what waits for at most so long. Never rejects. */
  stop(deadlineMs: number): Promise<Waiting>;
}

/**
 * Starts the thread when there is an exporter; without one nothing is started and nothing waits.
 * @throws VerdictError config_invalid when an exporter's name or settings are wrong
 */
export function createDelivery(options: DeliveryOptions): Delivery {
  checkExporters(options);
  return options.exporters.length === 0 ? NO_DELIVERY : new ThreadedDelivery(options);
}

const NO_DELIVERY: Delivery = {
  announce: () => {},
  ended: () => {},
  kept: () => {},
  advance: () => {},
  reopen: () => {},
  status: () => ({}),
  stop: async () => ({ waiting: 0, exporters: {} }),
};

/**
 * Here, where it can still be refused: in the thread it could only be said again and again.
 * @throws VerdictError config_invalid
 */
export function checkExporters({ exporters, version }: DeliveryPlan): void {
  const names = new Set(exporters.map(({ name }) => name));
  if (exporters.length > EXPORTERS_MAX) throw invalid(`at most ${EXPORTERS_MAX} exporters`);
  if (names.size < exporters.length) throw invalid('two exporters have the same name');
  for (const name of names) {
    if (!EXPORTER_NAME.test(name)) {
      throw invalid(
        `exporter ${JSON.stringify(name)}: a name is made of a-z, 0-9, _ and -, at most 64 of them`,
      );
    }
  }
  for (const plan of exporters) {
    void makeExporter(plan, { env: process.env, diagnostics: SILENT, version }).shutdown();
  }
}

/** The thread says by itself what there is to warn of. */
const SILENT: Diagnostics = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };

function invalid(detail: string): VerdictError {
  return new VerdictError('config_invalid', { detail });
}

class ThreadedDelivery implements Delivery {
  readonly #options: DeliveryOptions;
  readonly #timers: Timers;
  /** What a thread that is started again has to be told; a Map keeps the order, oldest first. */
  readonly #streams = new Map<string, { stream: StreamAnnouncement; readonly waitedFor: Set<string> }>();
  readonly #damages = new Map<string, Promise<void>>();
  #thread: DeliveryThread;
  #status: Readonly<Record<string, PumpStatus>> = {};
  #stopped: (() => void) | undefined;
  #stopping = false;
  #alive = false;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
    this.#thread = this.#start();
  }

  announce(stream: StreamAnnouncement): void {
    const waitedFor = new Set(this.#options.exporters.map(({ name }) => name));
    this.#streams.set(stream.durable.stream, { stream, waitedFor });
    this.#thread.post({ kind: 'stream', stream });
  }

  ended(end: Citation): void {
    const known = this.#streams.get(end.stream);
    if (known !== undefined) known.stream = { ...known.stream, end };
    this.#thread.post({ kind: 'ended', end });
  }

  kept(stream: string, first: number): void {
    const known = this.#streams.get(stream);
    if (known !== undefined) known.stream = { ...known.stream, first };
    this.#thread.post({ kind: 'kept', stream, first });
  }

  advance(position: DurablePosition): void {
    const known = this.#streams.get(position.stream);
    if (known !== undefined) known.stream = { ...known.stream, durable: position };
    this.#thread.post({ kind: 'durable', position });
  }

  reopen(): void {
    this.#thread.post({ kind: 'reopen' });
  }

  status(): Readonly<Record<string, PumpStatus>> {
    return this.#status;
  }

  async stop(deadlineMs: number): Promise<Waiting> {
    if (!this.#stopping) {
      this.#stopping = true;
      const stopped = new Promise<void>((resolve) => (this.#stopped = resolve));
      this.#thread.post({ kind: 'stop', deadlineMs });
      if (this.#alive) await beforeDeadline(stopped, deadlineMs + STOP_GRACE_MS);
      await this.#thread.terminate();
    }
    const exporters = Object.fromEntries(
      Object.entries(this.#status).map(([name, { backlogRecords }]) => [name, backlogRecords]),
    );
    return { waiting: Math.max(0, ...Object.values(exporters)), exporters };
  }

  #start(): DeliveryThread {
    const { directory, exporters, version, startThread = startWorker, durablePort } = this.#options;
    const thread = startThread({ directory, exporters, version });
    thread.onMessage((message) => this.#hear(message, thread));
    thread.onError((error) =>
      this.#options.diagnostics.error(`the delivery thread failed: ${String(error)}`),
    );
    thread.onExit(() => this.#restart());
    this.#alive = true;
    const port = durablePort?.();
    if (port !== undefined) thread.post({ kind: 'durable_port', port }, [port]);
    for (const { stream } of this.#streams.values()) thread.post({ kind: 'stream', stream });
    return thread;
  }

  #restart(): void {
    this.#alive = false;
    if (this.#stopping) return this.#stopped?.();
    const seconds = RESTART_MS / 1000;
    this.#options.diagnostics.error(`the delivery thread ended and is started again in ${seconds} s`);
    this.#timers.after(RESTART_MS, () => {
      if (!this.#stopping) this.#thread = this.#start();
    });
  }

  #hear(message: FromThread, thread: DeliveryThread): void {
    const { diagnostics, onAcknowledged, onDeadLetter } = this.#options;
    const answer = (id: number, work: Promise<void>): void => {
      work.then(
        () => thread.post({ kind: 'answer', id }),
        (error: unknown) => thread.post({ kind: 'answer', id, error: String(error) }),
      );
    };
    switch (message.kind) {
      case 'line':
        return diagnostics[message.level](message.text);
      case 'status':
        this.#status = message.exporters;
        return;
      case 'damage':
        return answer(message.id, this.#recordDamage(message.damage));
      case 'dead_letter':
        return answer(message.id, onDeadLetter(message.letter));
      case 'acknowledged':
        return onAcknowledged?.(message.exporter, message.stream, message.sequence);
      case 'finished':
        return this.#finish(message.exporter, message.stream);
      case 'stopped':
        this.#status = message.exporters;
        return this.#stopped?.();
    }
  }

  /** Each pump finds the same hole by itself; it is put on record once. */
  #recordDamage(damage: Damage): Promise<void> {
    const key = `${damage.stream} ${damage.from} ${damage.to}`;
    let recorded = this.#damages.get(key);
    if (recorded === undefined) {
      recorded = this.#options.onDamage(damage);
      this.#damages.set(key, recorded);
      recorded.catch(() => this.#damages.delete(key));
    }
    return recorded;
  }

  #finish(exporter: string, stream: string): void {
    const known = this.#streams.get(stream);
    known?.waitedFor.delete(exporter);
    if (known?.waitedFor.size === 0) this.#streams.delete(stream);
    this.#options.onFinished?.(exporter, stream);
  }
}

/** Runs from src, as .ts, and from dist, as .js: the thread's file is of the same kind as this one. */
function startWorker(plan: DeliveryPlan): DeliveryThread {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const worker = new Worker(new URL(`./delivery-thread${extension}`, import.meta.url), {
    workerData: plan,
    // A batch must not outlive the young generation: what gets old is collected late, and memory and CPU go up.
    resourceLimits: { maxYoungGenerationSizeMb: 24 },
    // Ours is the wire: nothing of the thread's may get there.
    stdout: true,
  });
  worker.stdout.resume();
  // Who forgets to stop it must not be kept alive by it: what is not delivered is in the spool.
  worker.unref();
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    onMessage: (heard) => void worker.on('message', heard),
    onError: (heard) => void worker.on('error', heard),
    onExit: (heard) => void worker.on('exit', heard),
    terminate: () => worker.terminate(),
  };
}
