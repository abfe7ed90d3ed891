/**
 * What a collector's own metrics tell of how it answers. Its answer tells nothing: with a queue in memory, a queue on
 * disk or none it is the same HTTP 200. The metrics tell whether there is a queue between the answer and the
 * destination; whether that queue is on a disk, and synced, they do not tell (measured with collector 0.158).
 */
import type { Finding } from './finding.ts';
import { countText } from './quantities.ts';

/** One exporter of the collector that takes logs. */
export interface CollectorExporter {
  readonly name: string;
  /** undefined: there is no queue, and the sender waits for the destination. */
  readonly queue: { readonly size: number; readonly capacity: number } | undefined;
  /** Records given up since the collector started. */
  readonly failed: number;
}

export interface CollectorReading {
  readonly exporters: readonly CollectorExporter[];
  /** A `batch` processor among the log pipelines: it answers before anybody has the records. */
  readonly batches: boolean;
}

interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

/** undefined where the text is not the metrics of a collector. */
export function readCollectorMetrics(text: string): CollectorReading | undefined {
  const samples = text.split('\n').flatMap((line) => parseSample(line) ?? []);
  if (!samples.some(({ name }) => name.startsWith('otelcol_'))) return undefined;
  const exporters = new Map<string, { size?: number; capacity?: number; failed: number }>();
  for (const { name, labels, value } of samples) {
    const exporter = labels.get('exporter');
    if (exporter === undefined || !isOfLogs(name, labels)) continue;
    const known = exporters.get(exporter) ?? { failed: 0 };
    if (name === 'otelcol_exporter_queue_size') known.size = value;
    if (name === 'otelcol_exporter_queue_capacity') known.capacity = value;
    if (name === 'otelcol_exporter_send_failed_log_records') known.failed += value;
    exporters.set(exporter, known);
  }
  return {
    exporters: [...exporters].map(([name, { size = 0, capacity, failed }]) => ({
      name,
      queue: capacity === undefined ? undefined : { size, capacity },
      failed,
    })),
    batches: samples.some(
      ({ labels }) =>
        labels.get('otel_signal') === 'logs' && /^batch(\/|$)/.test(labels.get('processor') ?? ''),
    ),
  };
}

function isOfLogs(name: string, labels: ReadonlyMap<string, string>): boolean {
  return name.endsWith('_log_records') || labels.get('data_type') === 'logs';
}

/** A line of the Prometheus text format; a `_total` that a collector may add is left out. */
function parseSample(line: string): Sample | undefined {
  const [, name, inner = '', value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line) ?? [];
  if (name === undefined) return undefined;
  const labels = new Map<string, string>();
  for (const [, key = '', label = ''] of inner.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels.set(key, label);
  return { name: name.replace(/_total$/, ''), labels, value: Number(value) };
}

/** From here on a queue is worth a look: when it is full, the collector refuses everything. */
const QUEUE_SHARE_MAX = 0.5;

/** @param subject where the metrics were read */
export function findCollector({ exporters, batches }: CollectorReading, subject: string): Finding[] {
  const findings: Finding[] = exporters.map(({ name, queue, failed }) => {
    if (queue === undefined) {
      const found = `${name} has no queue: an acknowledgement means that its destination has answered`;
      return { check: 'collector', subject, level: 'ok', found };
    }
    const { size, capacity } = queue;
    const facts = { exporter: name, queue_size: size, queue_capacity: capacity, failed };
    const base = { check: 'collector', subject, level: 'warn', facts } as const;
    if (failed > 0) {
      const found = `${name} has given up ${countText(failed, 'record')} since it started, after it had acknowledged them`;
      const advice = 'Find them with records verify over its destination, and heal with records replay';
      return { ...base, found, advice };
    }
    if (size / capacity >= QUEUE_SHARE_MAX) {
      const found = `${name}: its queue is filled to ${size} of ${capacity}, so its destination is too slow or refuses`;
      return { ...base, found, advice: 'Look at the collector’s own log' };
    }
    const found = `${name} acknowledges when its queue has the records. Whether that queue is in memory, where a crash loses it, or on a synced disk cannot be told from outside`;
    const advice =
      'Look in its configuration for sending_queue.storage and, at that file_storage, fsync: true';
    return { ...base, found, advice };
  });
  if (batches) {
    findings.push({
      check: 'collector',
      subject,
      level: 'warn',
      found: 'a batch processor acknowledges logs that are in its memory and nowhere else',
      advice: 'Take it out of the logs pipelines: sending_queue.batch does the same behind the queue',
    });
  }
  return findings;
}

export const UNTOLD: Finding = {
  check: 'collector',
  level: 'warn',
  found:
    'whether it acknowledges from memory cannot be told: its answer looks the same, and no metrics of its own were found',
  advice:
    'Give --collector-metrics URL, or look in its configuration: no batch processor, and for each exporter sending_queue.storage with fsync: true, or no sending_queue',
};

const METRICS_TIMEOUT_MS = 2000;
const METRICS_PORT_DEFAULT = '8888';

/**
 * Where a collector has its metrics, unless told otherwise: beside the endpoint, where that is no service of somebody
 * else's on the internet.
 */
export function metricsUrl(
  endpoint: string,
  env: Readonly<Record<string, string | undefined>>,
): URL | undefined {
  const { protocol, hostname } = new URL(endpoint);
  if (protocol !== 'http:') return undefined;
  return new URL(`http://${hostname}:${env['COLLECTOR_METRICS_PORT'] ?? METRICS_PORT_DEFAULT}/metrics`);
}

/** @returns undefined where nothing answers as a collector does */
export async function fetchCollector(url: URL): Promise<CollectorReading | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(METRICS_TIMEOUT_MS), redirect: 'error' });
    return response.ok ? readCollectorMetrics(await response.text()) : undefined;
  } catch {
    return undefined;
  }
}
