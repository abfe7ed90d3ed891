/** Runs the bare loop in a thread, as the spool's writer runs in one; commit.ts starts it. */
import { parentPort } from 'node:worker_threads';
import { bareLoop } from './disk.ts';
import type { BareOptions } from './disk.ts';

// commit.ts posts nothing else.
// oxlint-disable-next-line unicorn/require-post-message-target-origin
parentPort?.on('message', (options: BareOptions) => parentPort?.postMessage(bareLoop(options)));
