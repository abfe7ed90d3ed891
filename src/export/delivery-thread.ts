/** The shell of the delivery thread: ports and the disk. What it does is in delivery-worker.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { openCursor } from '../spool/cursor.ts';
import { nodeFiles } from '../spool/node-files.ts';
import { openStreamReader } from '../spool/reader.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import { routeSdkDiagnostics } from '../telemetry/sdk-diagnostics.ts';
import type { DeliveryPlan, FromThread, ToThread } from './delivery-message.ts';
import { createDeliveryWorker } from './delivery-worker.ts';
import { makeExporter } from './make-exporter.ts';
import { systemTimers } from './timers.ts';

// delivery.ts is the only one that starts this thread, and gives it just that.
const plan = workerData as DeliveryPlan;
const { directory, version } = plan;

const post = (message: FromThread): void => parentPort?.postMessage(message);
const say =
  (level: keyof Diagnostics) =>
  (text: string): void =>
    post({ kind: 'line', level, text });
const diagnostics = { error: say('error'), warn: say('warn'), info: say('info'), debug: say('debug') };
const sdk = routeSdkDiagnostics(diagnostics);

const worker = createDeliveryWorker({
  plan,
  files: nodeFiles,
  open: {
    reader: (options) =>
      openStreamReader({ files: nodeFiles, directory: `${directory}/${options.stream}`, ...options }),
    cursor: (stream, exporter) => openCursor(nodeFiles, `${directory}/${stream}`, exporter),
  },
  makeExporter: (exporter) => makeExporter(exporter, { env: process.env, diagnostics, version }),
  post,
  diagnostics,
  timers: systemTimers,
  random: Math.random,
  silence: (error) => sdk.silence(error),
});

parentPort?.on('message', (message: ToThread) => worker.handle(message));
