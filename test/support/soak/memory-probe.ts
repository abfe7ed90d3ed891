/**
 * The memory of a running Node process, main thread and workers, seen from outside: what is left on the heaps after a
 * garbage collection at the moment of asking. That says in a minute what resident memory says in an hour, because what
 * happens to lie around uncollected is no part of it. The process must run with `--inspect=127.0.0.1:0`.
 */
import { once } from 'node:events';
import { memoryOf } from '../../bench/memory.ts';

export interface MemoryReading {
  readonly atMs: number;
  /** Of all heaps, after a collection. */
  readonly heapBytes: number;
  /** Of buffers outside of the heaps. */
  readonly bufferBytes: number;
  readonly residentBytes: number;
  /** Heaps that were looked into: the main thread's and one for each worker. */
  readonly heaps: number;
}

export interface MemoryProbe {
  read(): Promise<MemoryReading>;
  close(): void;
}

/** What `--inspect` makes a process say on stderr. */
export const INSPECTOR_URL = /Debugger listening on (ws:\S+)/;

interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly sessionId: string; readonly message?: string };
  readonly result?: HeapUsage;
  readonly error?: { readonly message: string };
}

/** Result of Runtime.getHeapUsage (Chrome DevTools Protocol). */
interface HeapUsage {
  readonly usedSize: number;
  readonly backingStorageSize: number;
}

export async function openMemoryProbe(pid: number, url: string): Promise<MemoryProbe> {
  const socket = new WebSocket(url);
  await once(socket, 'open');
  const waiting = new Map<number, PromiseWithResolvers<HeapUsage | undefined>>();
  const workers = new Set<string>();
  let last = 0;
  const take = ({ id, method, params, result, error }: Reply): void => {
    if (method === 'NodeWorker.attachedToWorker' && params !== undefined) workers.add(params.sessionId);
    if (method === 'NodeWorker.detachedFromWorker' && params !== undefined) workers.delete(params.sessionId);
    // What a worker answers comes wrapped, with an id of the same count.
    if (params?.message !== undefined) take(JSON.parse(params.message) as Reply);
    if (id === undefined) return;
    if (error === undefined) waiting.get(id)?.resolve(result);
    else waiting.get(id)?.reject(new Error(error.message));
    waiting.delete(id);
  };
  socket.addEventListener('message', ({ data }) => take(JSON.parse(String(data)) as Reply));
  socket.addEventListener('close', () => {
    for (const { reject } of waiting.values()) reject(new Error('the process has closed its inspector'));
  });
  const ask = (method: string, params: object, worker?: string): Promise<HeapUsage | undefined> => {
    last += 1;
    const answer = Promise.withResolvers<HeapUsage | undefined>();
    waiting.set(last, answer);
    const message = JSON.stringify({ id: last, method, params });
    if (worker === undefined) socket.send(message);
    else {
      // The wrapper has an answer of its own, under an id that nobody waits for.
      const wrapped = { id: -last, method: 'NodeWorker.sendMessageToWorker' };
      socket.send(JSON.stringify({ ...wrapped, params: { sessionId: worker, message } }));
    }
    return answer.promise;
  };
  const usageOf = async (worker?: string): Promise<HeapUsage> => {
    await ask('HeapProfiler.collectGarbage', {}, worker);
    const usage = await ask('Runtime.getHeapUsage', {}, worker);
    if (usage === undefined) throw new Error('the inspector tells no heap usage');
    return usage;
  };
  await ask('NodeWorker.enable', { waitForDebuggerOnStart: false });
  return {
    async read() {
      const usages = await Promise.all([undefined, ...workers].map(usageOf));
      const sum = (of: (usage: HeapUsage) => number): number =>
        usages.reduce((total, usage) => total + of(usage), 0);
      return {
        atMs: performance.now(),
        heapBytes: sum((usage) => usage.usedSize),
        bufferBytes: sum((usage) => usage.backingStorageSize),
        residentBytes: memoryOf(pid).nowBytes,
        heaps: usages.length,
      };
    },
    close: () => socket.close(),
  };
}
