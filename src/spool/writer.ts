/**
 * The main thread's side of the spool: gathers records while a commit is out, hands them over as one message, and
 * tells each caller when its record is durable, or that it never will be (DESIGN section 3, Commit).
 */
import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads';
import { VerdictError } from '../errors.ts';
import { isSpoolable, type Entry } from './committer.ts';
import type { Citation, DurablePosition } from './position.ts';
import { createRecent } from './recent.ts';
import type { FromWriter, StreamBegun, ToWriter, WriterPlan } from './writer-message.ts';

/** How long a record that nobody waits for may stand, so that it rides with others. */
export const LINGER_MS = 50;
/** Records of one commit. */
export const COMMIT_RECORDS_MAX = 4096;
/** Records that nobody waits for, kept while the disk takes none; over it, the oldest are lost, and counted. */
export const WAITING_MAX = 10_000;
/** The same while the disk takes them: what comes at once, in one turn, before any of it can be committed. */
export const BURST_MAX = 100_000;
/** Uids remembered after their commit, for a caller that asks late. */
export const SETTLED_MAX = 10_000;
/** Between attempts to write what nobody waits for. */
export const RETRY_MS = 1000;
/** Before a thread that died is started again. */
export const RESTART_MS = 1000;

/** As much of a Worker as is needed here. */
export interface WriterThread {
  postMessage(message: ToWriter): void;
  on(event: 'message', heard: (message: FromWriter) => void): unknown;
  on(event: 'error', heard: (error: unknown) => void): unknown;
  on(event: 'exit', heard: () => void): unknown;
  terminate(): Promise<unknown>;
}

export interface SpoolWriterOptions extends WriterPlan {
  /** What an operator should know: the disk fails, the thread died, it works again. */
  readonly onTrouble: (text: string) => void;
  /** A stream continues another, because the disk failed under that one or the thread died. */
  readonly onSucceeded: (end: Citation, next: StreamBegun) => void;
  /** How long a commit took, from hand-over to answer, in seconds. */
  readonly onCommit?: ((seconds: number, records: number) => void) | undefined;
  /** A test puts its own in. */
  readonly startThread?: ((plan: WriterPlan) => WriterThread) | undefined;
}

export interface WriterCounts {
  readonly committed: number;
  /** Records that somebody waited for and that could not be made durable. */
  readonly refused: number;
  /** Records that nobody waited for and that were given up. */
  readonly lost: number;
}

export interface SpoolWriter {
  readonly stream: StreamBegun;
  /** @param eager whether it starts a commit, instead of riding with the next */
  append(uid: string, entry: Entry, eager: boolean): void;
  /** Resolves when the record is durable. Rejects when it cannot be made so, and for a uid never appended. */
  recorded(uid: string): Promise<void>;
  /** As `recorded`, but where the disk refuses, the record is not given up: it is tried again, and this rejects. */
  written(uid: string): Promise<void>;
  /** How far the present stream is durable. */
  position(): DurablePosition;
  /** Whether the last commit went through. */
  healthy(): boolean;
  counts(): WriterCounts;
  /** A port that gets each durable position, for the delivery thread. */
  durablePort(): MessagePort;
  /** Commits what waits, seals the stream and ends the thread. Never rejects. */
  stop(deadlineMs: number): Promise<void>;
}

interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}

interface Pending {
  readonly uid: string;
  readonly entry: Entry;
  /** Who is told at once where it cannot be made durable: then it is given up. */
  waiter: Waiter | undefined;
  /** Who only wants to know. */
  watcher: Waiter | undefined;
}

/** Starts the thread. Rejects with `spool_unavailable` where the directory cannot be used. */
export async function startSpoolWriter(options: SpoolWriterOptions): Promise<SpoolWriter> {
  const startThread = options.startThread ?? startWorker;
  const writer = new ThreadedWriter(options, startThread);
  await writer.begin();
  return writer;
}

function startWorker(plan: WriterPlan): WriterThread {
  // The same file as TypeScript in the repository and as JavaScript in the package.
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  return new Worker(new URL(`./writer-thread${extension}`, import.meta.url), {
    workerData: plan,
    // Nothing in this thread outlives a commit; without a cap the room for that grows under load and is never given back.
    resourceLimits: { maxYoungGenerationSizeMb: 12 },
  });
}

class ThreadedWriter implements SpoolWriter {
  readonly #options: SpoolWriterOptions;
  readonly #startThread: (plan: WriterPlan) => WriterThread;
  #thread: WriterThread | undefined;
  #stream: StreamBegun | undefined;
  #position: DurablePosition | undefined;
  #queue: Pending[] = [];
  /** What the thread is committing now. */
  #out: { readonly batch: readonly Pending[]; readonly sinceMs: number } | undefined;
  /** By uid: what is queued or out, for `recorded`. */
  readonly #pending = new Map<string, Pending>();
  /** By uid: whether it is durable, for who asks late. */
  readonly #settled = createRecent<boolean>(SETTLED_MAX);
  readonly #ports = new Set<MessagePort>();
  #timer: NodeJS.Timeout | undefined;
  #soon = false;
  #healthy = true;
  #ending: { done(): void } | undefined;
  #counts = { committed: 0, refused: 0, lost: 0 };

  constructor(options: SpoolWriterOptions, startThread: (plan: WriterPlan) => WriterThread) {
    this.#options = options;
    this.#startThread = startThread;
  }

  get stream(): StreamBegun {
    if (this.#stream === undefined)
      throw new VerdictError('spool_unavailable', { detail: 'it has not begun' });
    return this.#stream;
  }

  /** Starts a thread and resolves when its stream has begun. */
  begin(): Promise<void> {
    const { directory, identity, durability, segmentBytes } = this.#options;
    const predecessor = this.#position === undefined ? this.#options.predecessor : citationOf(this.#position);
    const thread = this.#startThread({ directory, identity, durability, segmentBytes, predecessor });
    this.#thread = thread;
    let begun = false;
    return new Promise((resolve, reject) => {
      thread.on('message', (message) => {
        if (this.#thread !== thread) return;
        if (message.kind === 'ready') {
          begun = true;
          this.#begun(message.stream);
          resolve();
        } else if (message.kind === 'failed') {
          reject(new VerdictError('spool_unavailable', { detail: message.text }));
        } else this.#hear(message);
      });
      thread.on('error', (error) => this.#options.onTrouble(`the writer thread failed: ${String(error)}`));
      thread.on('exit', () => {
        reject(new VerdictError('spool_unavailable', { detail: 'the writer thread ended' }));
        // Of one that never began, whoever asked for it is told by the rejection.
        if (begun && this.#thread === thread && this.#ending === undefined) this.#died();
        this.#ending?.done();
      });
    });
  }

  #begun(stream: StreamBegun): void {
    const before = this.#position;
    this.#stream = stream;
    this.#position = stream.position;
    for (const port of this.#ports) this.#listen(port);
    if (before !== undefined) this.#options.onSucceeded(citationOf(before), stream);
    this.#flush();
  }

  append(uid: string, entry: Entry, eager: boolean): void {
    const pending: Pending = { uid, entry, waiter: undefined, watcher: undefined };
    if (this.#ending !== undefined || !isSpoolable(entry)) {
      // One record that no line can hold would have its whole batch refused.
      this.#settle(pending, false);
      return;
    }
    this.#queue.push(pending);
    this.#pending.set(uid, pending);
    this.#boundQueue();
    if (eager) this.#flushSoon();
    else this.#flushLater(LINGER_MS);
  }

  recorded(uid: string): Promise<void> {
    return this.#wait(uid, 'waiter');
  }

  written(uid: string): Promise<void> {
    return this.#wait(uid, 'watcher');
  }

  #wait(uid: string, as: 'waiter' | 'watcher'): Promise<void> {
    const pending = this.#pending.get(uid);
    if (pending === undefined) {
      const durable = this.#settled.get(uid) ?? false;
      return durable ? Promise.resolve() : Promise.reject(new VerdictError('audit_unavailable'));
    }
    const waiting = new Promise<void>((resolve, reject) => {
      const before = pending[as];
      pending[as] = {
        resolve: () => (before?.resolve(), resolve()),
        reject: (error) => (before?.reject(error), reject(error)),
      };
    });
    if (this.#thread !== undefined) this.#flushSoon();
    // A thread that died takes a second to come back, and a call must not hang on that.
    else this.#giveUp();
    return waiting;
  }

  position(): DurablePosition {
    return this.#position ?? this.stream.position;
  }

  healthy(): boolean {
    return this.#healthy && this.#thread !== undefined;
  }

  counts(): WriterCounts {
    return { ...this.#counts };
  }

  durablePort(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.#ports.add(port1);
    port1.unref();
    port1.on('close', () => this.#ports.delete(port1));
    // Whoever asks late must not wait for the next commit to learn of those before.
    this.#listen(port1);
    return port2;
  }

  async stop(deadlineMs: number): Promise<void> {
    if (this.#ending !== undefined) return;
    const thread = this.#thread;
    await new Promise<void>((done) => {
      const timer = setTimeout(done, deadlineMs);
      this.#ending = { done: () => (clearTimeout(timer), done()) };
      if (thread === undefined) this.#ending.done();
      else this.#flush();
    });
    clearTimeout(this.#timer);
    this.#thread = undefined;
    // Nobody will write these any more, and they must not go without a word.
    for (const pending of [...(this.#out?.batch ?? []), ...this.#queue.splice(0)])
      this.#settle(pending, false);
    this.#out = undefined;
    for (const port of this.#ports) port.close();
    await thread?.terminate();
  }

  /** In a microtask: whoever has just emitted asks `recorded` in the same turn, and others emit in it too. */
  #flushSoon(): void {
    if (this.#soon || this.#out !== undefined) return;
    this.#soon = true;
    queueMicrotask(() => {
      this.#soon = false;
      this.#flush();
    });
  }

  #flushLater(delayMs: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#flush();
    }, delayMs);
  }

  #flush(): void {
    const thread = this.#thread;
    if (this.#out !== undefined || thread === undefined || this.#stream === undefined) return;
    if (this.#queue.length === 0) {
      if (this.#ending !== undefined) thread.postMessage({ kind: 'stop' });
      return;
    }
    const batch = this.#queue.splice(0, COMMIT_RECORDS_MAX);
    this.#out = { batch, sinceMs: performance.now() };
    thread.postMessage({ kind: 'commit', entries: batch.map(({ entry }) => entry) });
  }

  #hear(message: Exclude<FromWriter, { kind: 'ready' | 'failed' }>): void {
    switch (message.kind) {
      case 'committed':
        this.#committed(message.position);
        break;
      case 'refused':
        this.#refused(message.text);
        break;
      case 'succeeded':
        this.#stream = message.next;
        this.#position = message.next.position;
        this.#options.onTrouble(`the spool goes on in a new stream: ${message.text}`);
        this.#options.onSucceeded(message.end, message.next);
        break;
      case 'stopped':
        this.#ending?.done();
        break;
    }
  }

  #committed(position: DurablePosition): void {
    const { batch, sinceMs } = this.#out ?? { batch: [], sinceMs: 0 };
    this.#out = undefined;
    this.#position = position;
    for (const port of this.#ports) port.postMessage(position);
    this.#counts.committed += batch.length;
    this.#options.onCommit?.((performance.now() - sinceMs) / 1000, batch.length);
    const recovered = !this.#healthy;
    this.#healthy = true;
    if (recovered) this.#options.onTrouble('the spool takes records again');
    for (const pending of batch) this.#settle(pending, true);
    this.#flush();
  }

  /** Who waits is told at once: a call must not hang on a full disk. What nobody waits for is tried again. */
  #refused(text: string): void {
    const batch = this.#out?.batch ?? [];
    this.#out = undefined;
    const failed = this.#healthy;
    this.#healthy = false;
    this.#queue.unshift(...batch);
    this.#giveUp();
    if (failed) this.#options.onTrouble(`the spool refuses records: ${text}`);
    if (this.#ending !== undefined) this.#ending.done();
    else if (this.#queue.length > 0) this.#flushLater(RETRY_MS);
  }

  /**
   * Also what stands behind the batch that was refused: what is kept may fill one commit after the other, and a call
   * behind it would never be tried.
   */
  #giveUp(): void {
    const kept: Pending[] = [];
    for (const pending of this.#queue) {
      if (pending.waiter !== undefined) this.#settle(pending, false);
      else kept.push(pending);
      pending.watcher?.reject(new VerdictError('audit_unavailable'));
      pending.watcher = undefined;
    }
    this.#queue = kept;
    this.#boundQueue();
  }

  #boundQueue(): void {
    const most = this.healthy() ? BURST_MAX : WAITING_MAX;
    while (this.#queue.length > most) {
      const oldest = this.#queue.findIndex(({ waiter }) => waiter === undefined);
      if (oldest === -1) return;
      const [given] = this.#queue.splice(oldest, 1);
      if (given !== undefined) this.#settle(given, false);
    }
  }

  #settle(pending: Pending, durable: boolean): void {
    const { uid, waiter, watcher } = pending;
    // Another record may have come with the same uid: what became of this one says nothing of that.
    if (this.#pending.get(uid) === pending) this.#pending.delete(uid);
    this.#settled.set(uid, durable && this.#settled.get(uid) !== false);
    if (durable) {
      waiter?.resolve();
      watcher?.resolve();
    } else {
      if (waiter === undefined) this.#counts.lost += 1;
      else this.#counts.refused += 1;
      waiter?.reject(new VerdictError('audit_unavailable'));
      watcher?.reject(new VerdictError('audit_unavailable'));
    }
  }

  /** What was handed over may or may not be on the disk; a new stream cites what was answered, and the rest is void. */
  #died(): void {
    this.#thread = undefined;
    this.#refused('the writer thread ended');
    setTimeout(() => {
      if (this.#ending !== undefined) return;
      this.begin().catch((error: unknown) => {
        this.#options.onTrouble(String(error));
        this.#died();
      });
    }, RESTART_MS).unref();
  }

  #listen(port: MessagePort): void {
    if (this.#position !== undefined) port.postMessage(this.#position);
  }
}

function citationOf({ stream, sequence, hash }: DurablePosition): Citation {
  return { stream, sequence, hash };
}
