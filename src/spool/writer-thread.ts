/**
 * The writer thread's shell: messages in, messages out. It has a thread of its own because a synchronous write and
 * sync there costs the callers nothing, while node's asynchronous ones wait behind whatever else fills libuv's pool.
 */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { newUid } from '../event/uid.ts';
import type { SpoolFiles } from './files.ts';
import { nodeFiles } from './node-files.ts';
import { createWriterCore, type WriterCore } from './writer-core.ts';
import type { FromWriter, ToWriter, WriterPlan } from './writer-message.ts';

/** Everything but the syncs: `durability: os` promises no more than the system's cache. */
function withoutSync(files: SpoolFiles): SpoolFiles {
  return {
    ...files,
    open: (path, how) => ({ ...files.open(path, how), sync: () => {} }),
    syncDirectory: () => {},
  };
}

function run(port: MessagePort, plan: WriterPlan): void {
  const post = (message: FromWriter): void => port.postMessage(message);
  let core: WriterCore;
  try {
    core = createWriterCore({
      ...plan,
      files: plan.durability === 'sync' ? nodeFiles : withoutSync(nodeFiles),
      newStreamId: () => newUid(Date.now()),
      nowMs: Date.now,
      post,
    });
  } catch (error) {
    post({ kind: 'failed', text: error instanceof Error ? error.message : String(error) });
    return;
  }
  const position = core.position();
  if (position !== undefined) post({ kind: 'ready', stream: { identity: plan.identity, position } });

  let filling = false;
  const fill = (): void => {
    // One slice a turn, so that a commit never waits for more than one.
    filling = core.idle();
    if (filling) setImmediate(fill);
  };
  port.on('message', (message: ToWriter) => {
    switch (message.kind) {
      case 'commit':
        core.commit(message.entries);
        if (!filling) setImmediate(fill);
        break;
      case 'stop':
        core.stop();
        port.close();
        break;
    }
  });
}

if (parentPort !== null) run(parentPort, workerData);
