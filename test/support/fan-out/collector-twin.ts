/** A second collector in the place of a destination: it takes the destination's protocol and writes OTLP JSON lines. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startCollector } from '../collector.ts';
import type { ReceivedLog, Value } from '../otlp-files.ts';
import type { Destination, Returned } from './destination.ts';
import { startFaultFront } from './fault-front.ts';

export interface CollectorTwin {
  readonly dir: string;
  /** Receivers and extensions, by name; the receiver listens on COLLECTOR_HTTP_ENDPOINT. */
  readonly receivers: Readonly<Record<string, unknown>>;
  readonly extensions: Readonly<Record<string, unknown>>;
  /** The collector under test, on the way to the front. */
  readonly env: (port: number) => Readonly<Record<string, string>>;
  readonly returned: (log: ReceivedLog) => Returned;
  /** Default: the files that the twin wrote. */
  readonly exported?: (logs: readonly ReceivedLog[]) => string;
}

export async function startCollectorTwin(twin: CollectorTwin): Promise<Destination> {
  const config = join(twin.dir, 'twin.yaml');
  mkdirSync(twin.dir, { recursive: true });
  // The YAML of JSON is JSON.
  writeFileSync(config, JSON.stringify(configOf(twin)));
  let collector = await startCollector({ dir: twin.dir, configs: [config] });
  const { ports } = collector;
  const front = await startFaultFront(ports.http);
  const logs = (): readonly ReceivedLog[] => collector.logs();
  return {
    env: twin.env(front.port),
    front,
    read: async () => logs().map(twin.returned),
    exportTo: async (dir) => {
      if (twin.exported === undefined) {
        const records = join(twin.dir, 'records');
        return readdirSync(records).map((name) => join(records, name));
      }
      const file = join(dir, 'exported.txt');
      writeFileSync(file, twin.exported(logs()));
      return [file];
    },
    async restart() {
      await collector.stop();
      // The new one reads the files from their beginning.
      collector = await startCollector({ dir: twin.dir, configs: [config], ports });
    },
    async close() {
      await Promise.all([front.close(), collector.kill()]);
    },
  };
}

/** A body that is text; throws for any other, which no record of ours has. */
export function textOf(body: Value): string {
  if (typeof body !== 'string') throw new Error(`a body that is no text: ${JSON.stringify(body)}`);
  return body;
}

function configOf({ receivers, extensions }: CollectorTwin): unknown {
  return {
    extensions: { health_check: { endpoint: '${env:COLLECTOR_HEALTH_ENDPOINT}' }, ...extensions },
    receivers,
    exporters: {
      file: {
        path: '${env:COLLECTOR_FILE_DIRECTORY}/logs.jsonl',
        create_directory: true,
        // With rotation it appends, and writes before it answers.
        rotation: { max_megabytes: 100, max_backups: 0 },
      },
    },
    service: {
      extensions: ['health_check', ...Object.keys(extensions)],
      telemetry: { metrics: { level: 'none' } },
      pipelines: { logs: { receivers: Object.keys(receivers), exporters: ['file'] } },
    },
  };
}
