/**
 * The whole way: agents, the built proxy, a real collector with the files of collector-config/, and one or several
 * destinations, each behind a front that can be told to fail. What is proven is read from what the destinations return.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { bodiesOf } from '../../src/cli/records-batch.ts';
import { listSpool } from '../../src/cli/records-spool.ts';
import { newApiKey } from '../../src/identity/api-keys.ts';
import { runCli, startCli, type Running } from './cli.ts';
import { eventually, startCollector, type Collector } from './collector.ts';
import {
  makeCalls,
  makeHostileCalls,
  makeSayingCall,
  startUpstream,
  type Upstream,
} from './fan-out/calls.ts';
import {
  strictVariable,
  type Body,
  type Destination,
  type DestinationKind,
  type Topology,
} from './fan-out/destination.ts';
import {
  checkCalls,
  compare,
  replayCommands,
  verifyExport,
  type Comparison,
  type Recorded,
  type Verification,
} from './fan-out/proof.ts';
import { freePort } from './free-port.ts';
import { MIXED_POLICY, type MadeCall } from './mixed-calls.ts';

export interface FanOutOptions {
  /** A directory of the test's own. */
  readonly dir: string;
  readonly topology: Topology;
  readonly kinds: readonly DestinationKind[];
  /** Configuration over that of collector-config/, as a value that is written as YAML: shorter waits, smaller queues. */
  readonly overlay?: Readonly<Record<string, unknown>>;
}

export interface FanOut {
  readonly collector: () => Collector;
  /** Throws for one that is not in this scene. */
  readonly destination: (name: string) => Destination;
  /** Makes so many mixed calls; resolves when all are answered. */
  readonly calls: (count: number) => Promise<void>;
  /** Makes one call that is allowed and whose arguments hold this text. */
  readonly say: (text: string) => Promise<void>;
  /** Sends what a hostile agent sends. */
  readonly hostile: () => Promise<void>;
  /** SIGKILL, and a start in its place with its queue. */
  readonly killCollector: () => Promise<void>;
  /** As an operator ends it: resolves when the proxy has delivered everything to its first hop. */
  readonly stopProxy: () => Promise<string>;
  readonly proxy: () => Running;
  /** What the proxy has recorded, from its spool; throws where that is not what was called. */
  readonly recorded: () => Promise<readonly Recorded[]>;
  /** Resolves when each of these destinations holds every record of the spool (default: all); throws at the deadline. */
  readonly arrived: (options?: {
    readonly names?: readonly string[];
    readonly timeoutMs?: number;
  }) => Promise<void>;
  /** How what a destination returns differs from what was recorded; throws for what can never be right. */
  readonly compare: (name: string) => Promise<Comparison>;
  /** `records verify --key` over what a user gets from the destination. */
  readonly verify: (name: string) => Promise<Verification>;
  /** Runs the commands that `records verify` names for what is missing there. @returns how many there were */
  readonly heal: (name: string) => Promise<number>;
  readonly spool: string;
  readonly close: () => Promise<void>;
}

const ARRIVAL_TIMEOUT_MS = 60_000;
const SHUTDOWN_TIMEOUT_S = 240;
/** An outcome is recorded after its call was answered, and nobody waits for that. */
const OUTCOMES_TIMEOUT_MS = 10_000;
const POLL_INTERVAL_MS = 100;
/** Between two looks it rests for so many times as long as the last one took. */
const REST_SHARE = 4;

export async function startFanOut(options: FanOutOptions): Promise<FanOut> {
  const { dir, kinds, topology } = options;
  mkdirSync(dir, { recursive: true });
  const closing: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    const failures: unknown[] = [];
    // One that cannot be ended keeps none of the others alive.
    for (const end of closing.splice(0).toReversed()) await end().catch((error) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  };
  try {
    const upstream = await startUpstream();
    closing.push(upstream.close);
    const destinations = new Map<string, Destination>();
    for (const kind of kinds) {
      const destination = await kind.start(join(dir, kind.name));
      closing.push(destination.close);
      destinations.set(kind.name, destination);
    }
    const ports = new Map<string, number>();
    for (const { name } of topology === 'B' ? kinds : []) ports.set(name, await freePort());
    const plan = collectorPlan(options, destinations, ports);
    const running = { collector: await startCollector(plan) };
    closing.push(() => running.collector.kill());
    const key = writeProxyFiles(dir, upstream, ports);
    const env = {
      ...(topology === 'A' && { OTEL_EXPORTER_OTLP_ENDPOINT: running.collector.httpEndpoint }),
      OTEL_TRACES_EXPORTER: 'none',
      OTEL_METRICS_EXPORTER: 'none',
    };
    const proxy = startCli(['serve', '--config', 'verdict.yaml'], { env, cwd: dir });
    closing.push(() => proxy.stop('SIGKILL'));
    const [, url = ''] = await proxy.waitFor(/serving up at (\S+)/);
    const door = { url, key };
    const scene: Scene = { ...options, destinations, door, spool: join(dir, 'spool'), made: [], env };
    return {
      ...traffic(scene),
      ...evidence(scene),
      collector: () => running.collector,
      proxy: () => proxy,
      async killCollector() {
        const { ports: taken } = running.collector;
        await running.collector.kill();
        running.collector = await startCollector({ ...plan, ports: taken });
      },
      async stopProxy() {
        const { code } = await proxy.stop();
        if (code !== 0) throw new Error(`the proxy ended with ${code}:\n${proxy.stderr()}`);
        scene.final = true;
        return proxy.stderr();
      },
      spool: scene.spool,
      close,
    };
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
}

interface Scene extends FanOutOptions {
  readonly destinations: ReadonlyMap<string, Destination>;
  readonly door: { readonly url: string; readonly key: string };
  readonly spool: string;
  /** All calls so far that were answered. */
  readonly made: MadeCall[];
  readonly env: Readonly<Record<string, string>>;
  /** Set when the proxy has ended: the spool stays as it is. */
  final?: boolean;
}

function traffic({ door, made }: Scene): Pick<FanOut, 'calls' | 'say' | 'hostile'> {
  return {
    calls: async (count) => void made.push(...(await makeCalls(door, count))),
    say: async (text) => void made.push(await makeSayingCall(door, text)),
    hostile: async () => void (await makeHostileCalls(door)),
  };
}

function evidence(
  scene: Scene,
): Pick<FanOut, 'destination' | 'recorded' | 'arrived' | 'compare' | 'verify' | 'heal'> {
  const readRecorded = async (): Promise<readonly Recorded[]> => {
    for (const endMs = Date.now() + OUTCOMES_TIMEOUT_MS; ;) {
      const bodies = readSpool(scene.spool);
      try {
        checkCalls(scene.made, bodies);
        return bodies;
      } catch (error) {
        if (Date.now() > endMs) throw error;
        await wait(POLL_INTERVAL_MS);
      }
    }
  };
  let last: Promise<readonly Recorded[]> | undefined;
  /** What can change no more is read and checked once. */
  const recorded = (): Promise<readonly Recorded[]> =>
    scene.final === true ? (last ??= readRecorded()) : readRecorded();
  const destination = (name: string): Destination => {
    const found = scene.destinations.get(name);
    if (found === undefined) throw new Error(`there is no ${name} in this scene`);
    return found;
  };
  const kindOf = (name: string): DestinationKind => scene.kinds.find((kind) => kind.name === name)!;
  const verify = async (name: string): Promise<Verification> => {
    const out = join(scene.dir, `exported-${name}`);
    mkdirSync(out, { recursive: true });
    return await verifyExport(await destination(name).exportTo(out), await recorded());
  };
  return {
    destination,
    recorded,
    async arrived({ names = [...scene.destinations.keys()], timeoutMs = ARRIVAL_TIMEOUT_MS } = {}) {
      const expected = (await recorded()).length;
      for (const name of names) {
        let held = 0;
        await eventually(
          async () => {
            const startMs = performance.now();
            const returned = await destination(name).read();
            held = new Set(returned.map(({ body }) => body)).size;
            if (held >= expected) return true;
            // To ask for everything is no small thing, and takes from those who deliver it.
            await wait(Math.max(POLL_INTERVAL_MS, REST_SHARE * (performance.now() - startMs)));
            return undefined;
          },
          { what: `all records in ${name}`, timeoutMs, state: () => `${held} of ${expected} are there.` },
        );
      }
    },
    compare: async (name) =>
      compare({ kind: kindOf(name), returned: await destination(name).read(), recorded: await recorded() }),
    verify,
    async heal(name) {
      const commands = replayCommands((await verify(name)).said);
      // In B a destination has an endpoint of its own.
      const through = scene.topology === 'A' ? ['otlp'] : [name, '--config', 'verdict.yaml'];
      for (const command of commands) {
        const args = [...command, '--exporter', ...through, '--spool', scene.spool];
        const { code, stderr } = await runCli(args, { env: scene.env, cwd: scene.dir });
        if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`);
      }
      return commands.length;
    },
  };
}

function readSpool(spool: string): Recorded[] {
  const onDamage = (text: string): never => {
    throw new Error(`the spool is damaged: ${text}`);
  };
  const everything = { from: undefined, to: undefined };
  return listSpool(spool)
    .flatMap((stream) => [...bodiesOf(stream, everything, onDamage)])
    .map(({ body: text }) => ({ text, body: JSON.parse(text) as Body }));
}

function collectorPlan(
  { dir, kinds, topology, overlay }: FanOutOptions,
  destinations: ReadonlyMap<string, Destination>,
  ports: ReadonlyMap<string, number>,
): {
  readonly dir: string;
  readonly configs: readonly string[];
  readonly env: Readonly<Record<string, string>>;
} {
  const configs = ['base.yaml', ...kinds.map(({ config }) => config)];
  if (topology === 'B') configs.push(...kinds.map(({ strictConfig }) => strictConfig));
  if (overlay !== undefined) {
    const file = join(dir, 'overlay.yaml');
    writeFileSync(file, JSON.stringify(overlay));
    configs.push(file);
  }
  const env: Record<string, string> = {};
  for (const kind of kinds) {
    Object.assign(env, destinations.get(kind.name)?.env);
    const port = ports.get(kind.name);
    if (port !== undefined) env[strictVariable(kind)] = `127.0.0.1:${port}`;
  }
  return { dir: join(dir, 'collector'), configs, env };
}

/** @returns the API key of the agents */
function writeProxyFiles(dir: string, upstream: Upstream, ports: ReadonlyMap<string, number>): string {
  const { key, entry } = newApiKey({
    user: 'alice',
    agent: { id: 'agent-7', name: 'Seven' },
    roles: ['ops'],
  });
  const endpoints = Object.fromEntries(
    [...ports].map(([name, port]) => [name, { url: `http://127.0.0.1:${port}/v1/logs` }]),
  );
  const verdict = {
    listen: '127.0.0.1:0',
    policy: ['policy.yaml'],
    servers: { up: { url: `http://127.0.0.1:${upstream.port}/mcp` } },
    identity: { api_keys: 'keys.yaml' },
    keys: { directory: 'keys' },
    spool: { directory: 'spool' },
    exporters: { otlp: ports.size === 0 ? { required: true } : { endpoints } },
    shutdown_timeout: `${SHUTDOWN_TIMEOUT_S}s`,
  };
  const keys = { apiVersion: 'mcp-verdict/v1', kind: 'ApiKeys', keys: [entry] };
  writeFileSync(join(dir, 'policy.yaml'), MIXED_POLICY);
  writeFileSync(join(dir, 'keys.yaml'), JSON.stringify(keys));
  writeFileSync(join(dir, 'verdict.yaml'), JSON.stringify(verdict));
  return key;
}
