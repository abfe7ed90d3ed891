/**
 * The rig: a real collector with our own configuration, on free loopback ports, and what it wrote. Everything that it
 * keeps lies in one directory, so that a killed one can be started again where it left off.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { findCollector } from './build-collector.ts';
import {
  followRequests,
  readLogs,
  readMetrics,
  readSpans,
  type ReceivedLog,
  type ReceivedMetric,
  type ReceivedSpan,
} from './otlp-files.ts';

export const COLLECTOR_CONFIG_DIRECTORY = fileURLToPath(new URL('../../collector-config', import.meta.url));

/** Enough to receive all three signals and to read them back. */
export const FILE_CONFIGS = ['base.yaml', 'destinations/file.yaml'] as const;

export interface CollectorPorts {
  readonly http: number;
  readonly grpc: number;
  readonly health: number;
  readonly metrics: number;
}

export interface CollectorOptions {
  /** A directory of the test's own, for queues and records. */
  readonly dir: string;
  /** In the order of `--config`; relative to collector-config/. Default: FILE_CONFIGS. */
  readonly configs?: readonly string[];
  /** Added to the variables that the rig sets. Nothing else of this process's environment is passed on. */
  readonly env?: Readonly<Record<string, string>>;
  /** Those of a collector that has ended, to take its place. Default: free ones. */
  readonly ports?: CollectorPorts;
}

/** All that has arrived since the start of the rig, in the order of arrival. */
export interface Received {
  readonly logs: readonly ReceivedLog[];
  readonly spans: readonly ReceivedSpan[];
  readonly metrics: readonly ReceivedMetric[];
}

export interface Collector {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT; https where tls.yaml is among the configs. */
  readonly httpEndpoint: string;
  readonly grpcEndpoint: string;
  /** Answers GET with 200 while the collector is up. */
  readonly healthEndpoint: string;
  /** The collector's own metrics, in Prometheus text. */
  readonly metricsEndpoint: string;
  readonly ports: CollectorPorts;
  readonly logs: () => readonly ReceivedLog[];
  readonly spans: () => readonly ReceivedSpan[];
  readonly metrics: () => readonly ReceivedMetric[];
  /** Resolves when `predicate` holds of what has arrived; throws at the deadline, with how much has. */
  readonly waitFor: (predicate: (received: Received) => boolean, deadline?: Deadline) => Promise<Received>;
  /** What the collector said on stderr. */
  readonly output: () => string;
  /** SIGTERM; resolves when it has ended. Throws where it had to be killed or failed. May be called twice. */
  readonly stop: () => Promise<void>;
  /** SIGKILL; resolves when it has ended. */
  readonly kill: () => Promise<void>;
}

export interface Deadline {
  /** What is waited for, for the error. */
  readonly what?: string;
  /** Default WAIT_TIMEOUT_MS. */
  readonly timeoutMs?: number;
}

export const WAIT_TIMEOUT_MS = 30_000;
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 20_000;
/** A port that was free a moment ago may be taken by the time it is listened on. */
const START_ATTEMPTS_MAX = 5;
const POLL_INTERVAL_MS = 20;

/** Starts a collector and resolves when it receives. Throws with its own words where it does not start. */
export async function startCollector(options: CollectorOptions): Promise<Collector> {
  const binary = await findCollector();
  for (let attempt = 1; ; attempt += 1) {
    const ports = options.ports ?? (await freePorts());
    const run = launch(binary, { ...options, ports });
    try {
      await run.ready;
      return rig(run, { ...options, ports });
    } catch (error) {
      const isTaken = /address already in use/.test(run.output());
      if (!isTaken || options.ports !== undefined || attempt === START_ATTEMPTS_MAX) throw error;
    }
  }
}

/** `--config` and its value, for each file: what a user types, with absolute paths. */
export function configArguments(configs: readonly string[]): string[] {
  return configs.flatMap((config) => ['--config', resolve(COLLECTOR_CONFIG_DIRECTORY, config)]);
}

interface Run {
  readonly child: ChildProcess;
  readonly ready: Promise<void>;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly output: () => string;
}

/** A test that dies leaves no collector behind. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

function launch(binary: string, options: CollectorOptions & { readonly ports: CollectorPorts }): Run {
  mkdirSync(options.dir, { recursive: true });
  const child = spawn(binary, configArguments(options.configs ?? FILE_CONFIGS), {
    cwd: options.dir,
    env: environment(options),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  running.add(child);
  let output = '';
  const { promise: ready, resolve: isReady, reject } = Promise.withResolvers<void>();
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
    if (output.includes('Everything is ready')) isReady();
  });
  const overdue = setTimeout(() => {
    child.kill('SIGKILL');
    reject(new Error(`The collector was not ready after ${START_TIMEOUT_MS} ms:\n${output}`));
  }, START_TIMEOUT_MS);
  const settle = (): void => clearTimeout(overdue);
  ready.then(settle, settle);
  const { promise: ended, resolve: hasEnded } = Promise.withResolvers<Awaited<Run['ended']>>();
  child.once('error', reject);
  child.once('close', (code, signal) => {
    running.delete(child);
    reject(new Error(`The collector ended (${code ?? signal}) before it was ready:\n${output}`));
    hasEnded({ code, signal });
  });
  return { child, ready, ended, output: () => output };
}

function environment({
  dir,
  ports,
  env,
}: CollectorOptions & { readonly ports: CollectorPorts }): NodeJS.ProcessEnv {
  return {
    COLLECTOR_HTTP_ENDPOINT: `127.0.0.1:${ports.http}`,
    COLLECTOR_GRPC_ENDPOINT: `127.0.0.1:${ports.grpc}`,
    COLLECTOR_HEALTH_ENDPOINT: `127.0.0.1:${ports.health}`,
    COLLECTOR_METRICS_PORT: String(ports.metrics),
    COLLECTOR_QUEUE_DIRECTORY: join(dir, 'queue'),
    COLLECTOR_FILE_DIRECTORY: recordsDirectory(dir),
    ...env,
  };
}

function recordsDirectory(dir: string): string {
  return join(dir, 'records');
}

function rig(run: Run, options: CollectorOptions & { readonly ports: CollectorPorts }): Collector {
  const { ports, configs = FILE_CONFIGS } = options;
  const scheme = configs.some((config) => basename(config) === 'tls.yaml') ? 'https' : 'http';
  const received = follow(recordsDirectory(options.dir));
  const end = async (signal: NodeJS.Signals): Promise<Awaited<Run['ended']>> => {
    run.child.kill(signal);
    const overdue = setTimeout(() => run.child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    return run.ended.finally(() => clearTimeout(overdue));
  };
  let isKilled = false;
  return {
    httpEndpoint: `${scheme}://127.0.0.1:${ports.http}`,
    grpcEndpoint: `${scheme}://127.0.0.1:${ports.grpc}`,
    healthEndpoint: `http://127.0.0.1:${ports.health}/`,
    metricsEndpoint: `http://127.0.0.1:${ports.metrics}/metrics`,
    ports,
    logs: () => received().logs,
    spans: () => received().spans,
    metrics: () => received().metrics,
    waitFor: (predicate, deadline) =>
      eventually(() => (predicate(received()) ? received() : undefined), {
        ...deadline,
        state: () => summary(received(), run.output()),
      }),
    output: run.output,
    stop: async () => {
      const { code, signal } = await end('SIGTERM');
      // It says that it is ready a moment before it listens to signals. A Go program dies of one only while it does
      // not: this one has not come to its main loop yet, where an end in good order begins.
      if (signal === 'SIGTERM') return;
      if (code !== 0 && !isKilled)
        throw new Error(`The collector ended with ${code ?? signal}:\n${run.output()}`);
    },
    kill: async () => {
      isKilled = true;
      await end('SIGKILL');
    },
  };
}

/** Reads what has been added since the last call, and gives all there is. */
function follow(directory: string): () => Received {
  const next = {
    logs: followRequests(directory, 'logs'),
    spans: followRequests(directory, 'traces'),
    metrics: followRequests(directory, 'metrics'),
  };
  const all = { logs: [] as ReceivedLog[], spans: [] as ReceivedSpan[], metrics: [] as ReceivedMetric[] };
  return () => {
    all.logs = all.logs.concat(next.logs().flatMap(readLogs));
    all.spans = all.spans.concat(next.spans().flatMap(readSpans));
    all.metrics = all.metrics.concat(next.metrics().flatMap(readMetrics));
    return { ...all };
  };
}

function summary({ logs, spans, metrics }: Received, output: string): string {
  const last = output.trimEnd().split('\n').slice(-5).join('\n');
  return `${logs.length} logs, ${spans.length} spans, ${metrics.length} metrics have arrived. The collector's last words:\n${last}`;
}

/**
 * Asks `look` again until it gives something, and throws at the deadline. For what another process does, where there is
 * no event to wait for.
 */
export async function eventually<Found>(
  look: () => Found | undefined | Promise<Found | undefined>,
  {
    what = 'the condition',
    timeoutMs = WAIT_TIMEOUT_MS,
    state,
  }: Deadline & { readonly state?: () => string } = {},
): Promise<Found> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > end)
      throw new Error(`Waited ${timeoutMs} ms in vain for ${what}. ${state?.() ?? ''}`);
    await wait(POLL_INTERVAL_MS);
  }
}

async function freePorts(): Promise<CollectorPorts> {
  // All four are held at once, so that they differ.
  const servers = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const [http = 0, grpc = 0, health = 0, metrics = 0] = servers.map(({ port }) => port);
  await Promise.all(servers.map(({ close }) => close()));
  return { http, grpc, health, metrics };
}

async function freePort(): Promise<{ port: number; close: () => Promise<void> }> {
  const server = createServer();
  await new Promise<void>((listening, reject) =>
    server.once('error', reject).listen(0, '127.0.0.1', listening),
  );
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  return { port: address.port, close: () => new Promise((closed) => server.close(() => closed())) };
}
