/** The real servers, directly and behind every door of the built command line, for as long as a test file runs. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newApiKey } from '../../src/identity/api-keys.ts';
import { CLI, ROOT, plainEnvironment, startCli, startCommand, type Running } from '../support/cli.ts';
import { freePort } from '../support/free-port.ts';
import { policyFor } from './policy.ts';
import type { Endpoint } from './script.ts';

const PACKAGES = join(ROOT, 'node_modules/@modelcontextprotocol');
const fixture = (name: string): string =>
  fileURLToPath(new URL(`../conformance/${name}.ts`, import.meta.url));

export type ServerName = 'everything' | 'fixture' | 'files' | 'memory';
type Kind = 'http' | 'stdio';

/** A way from a client to a server. */
export interface Route {
  readonly server: ServerName;
  /** What the server speaks. */
  readonly upstream: Kind;
  /** What the client speaks. */
  readonly client: Kind;
  readonly door: 'serve' | 'wrap' | 'direct';
}

/** Which doors there are before a server that speaks this. */
const DOORS: Readonly<Record<Kind, readonly Pick<Route, 'client' | 'door'>[]>> = {
  http: [{ client: 'http', door: 'serve' }],
  stdio: [
    { client: 'stdio', door: 'wrap' },
    { client: 'http', door: 'serve' },
  ],
};

const SERVERS: Readonly<Record<ServerName, readonly Kind[]>> = {
  everything: ['http', 'stdio'],
  fixture: ['http', 'stdio'],
  files: ['stdio'],
  memory: ['stdio'],
};

export const ROUTES: readonly Route[] = (Object.keys(SERVERS) as ServerName[]).flatMap((server) =>
  SERVERS[server].flatMap((upstream) => DOORS[upstream].map((door) => ({ server, upstream, ...door }))),
);

/** The same way without a proxy. */
export const directly = ({ server, upstream }: Route): Route => ({
  server,
  upstream,
  client: upstream,
  door: 'direct',
});

export const nameOf = ({ server, upstream, door }: Route): string =>
  door === 'direct' ? `${server} (${upstream})` : `${door} in front of ${server} (${upstream})`;

/** Name of a server in the policy and in records. */
export const serverKey = ({ server, upstream }: Pick<Route, 'server' | 'upstream'>): string =>
  `${server}-${upstream}`;

/** A body in a spool. */
export type Body = Readonly<Record<string, unknown>>;

export interface Doors {
  /** A directory with note.txt, which the files server serves. */
  readonly files: string;
  /** @param agent one of those that the doors were started for */
  endpoint(route: Route, agent: string): Endpoint;
  /** Whether the fixture has said something, where it speaks HTTP. */
  fixtureHas(words: string): boolean;
  /** What the proxy and the servers have said of themselves, for whoever asks what went wrong. */
  said(): string;
  /** What has been recorded, once all is stopped. */
  records(): Promise<Body[]>;
  /** Proves the records. @returns what `records verify` says, and its exit code */
  verify(): Promise<{ readonly code: number | null; readonly stdout: string }>;
  /** Ends the proxy in good order. */
  stop(): Promise<void>;
  /** Ends and removes all. */
  close(): Promise<void>;
}

/**
 * @param agents who will come; over HTTP each has a key of its own
 * @param guarded those of them that are refused something, see policy.ts
 */
export async function startDoors(agents: readonly string[], guarded: readonly string[] = []): Promise<Doors> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'mcp-verdict-clients-')));
  const files = join(directory, 'files');
  mkdirSync(files);
  writeFileSync(join(files, 'note.txt'), 'A note.\n');
  writeFileSync(join(directory, 'policy.yaml'), policyFor(guarded));
  const keys = new Map(
    agents.map((agent) => [agent, newApiKey({ user: 'ada', agent: { id: agent, name: agent } })] as const),
  );
  const entries = [...keys.values()].map(({ entry }) => entry);
  writeFileSync(
    join(directory, 'keys.yaml'),
    JSON.stringify({ apiVersion: 'mcp-verdict/v1', kind: 'ApiKeys', keys: entries }),
  );
  const running = await Promise.all([startEverything(), startFixture()]);
  const urls: Readonly<Record<string, string>> = { everything: running[0].url, fixture: running[1].url };
  const stdio = commandsFor(files);
  const memory = (name: string) => ({ MEMORY_FILE_PATH: join(directory, `${name}.jsonl`) });
  const proxy = await startServe(directory, {
    ...mapped(urls, 'http', (url) => ({ url })),
    ...mapped(stdio, 'stdio', (args) => ({ command: process.execPath, args, env: memory('serve') })),
  }).catch(async (error: unknown) => {
    // Else they would keep the test from ending.
    await Promise.all(running.map((each) => each.running.stop('SIGKILL')));
    throw error;
  });
  return {
    files,
    endpoint(route, agent) {
      const { server, client, door } = route;
      if (client === 'http' && door === 'direct')
        return { kind: 'http', url: urls[server] ?? '', headers: {} };
      if (client === 'http') {
        const url = new URL(`/${serverKey(route)}/mcp`, proxy.url).href;
        const key = keys.get(agent)?.key ?? '';
        return { kind: 'http', url, headers: { authorization: `Bearer ${key}` } };
      }
      const command = [process.execPath, ...stdio[server]];
      const wrapped = door === 'direct' ? command : wrap(directory, serverKey(route), agent, command);
      const [program = '', ...args] = wrapped;
      const own = memory(agent.replace(/\W+/g, '-') + door);
      return {
        kind: 'stdio',
        command: program,
        args,
        env: { ...(plainEnvironment() as Record<string, string>), ...own },
      };
    },
    fixtureHas: (words) => running[1].running.stdout().includes(words),
    said: () => [proxy, ...running].map((each) => each.running.stderr() + each.running.stdout()).join('\n'),
    async records() {
      const read = startCli(['records', 'tail', '--spool', join(directory, 'spool'), '--format', 'json']);
      const { code } = await read.ended;
      if (code !== 0) throw new Error(read.stderr());
      return read
        .stdout()
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Body);
    },
    async verify() {
      const verify = startCli(['records', 'verify', join(directory, 'spool')]);
      const { code } = await verify.ended;
      return { code, stdout: verify.stdout() };
    },
    stop: async () => void (await proxy.running.stop()),
    async close() {
      await Promise.all([proxy, ...running].map((each) => each.running.stop('SIGKILL')));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Arguments of Node for each server that speaks stdio. */
function commandsFor(directory: string): Readonly<Record<ServerName, readonly string[]>> {
  const packaged = (name: string): string => join(PACKAGES, `server-${name}/dist/index.js`);
  return {
    everything: [packaged('everything'), 'stdio'],
    fixture: [fixture('fixture-stdio')],
    files: [packaged('filesystem'), directory],
    memory: [packaged('memory')],
  };
}

/** The same servers under the names that they have in the policy and in records. */
function mapped<Value>(
  servers: Readonly<Record<string, Value>>,
  upstream: Kind,
  configure: (value: Value) => object,
): Record<string, object> {
  return Object.fromEntries(
    Object.entries(servers).map(([name, value]) => [`${name}-${upstream}`, configure(value)]),
  );
}

interface Serving {
  readonly running: Running;
  readonly url: string;
}

async function startEverything(): Promise<Serving> {
  const port = await freePort();
  const running = startCommand(
    process.execPath,
    [join(PACKAGES, 'server-everything/dist/index.js'), 'streamableHttp'],
    { env: { PORT: String(port) } },
  );
  await running.waitFor(/listening on port/i);
  return { running, url: `http://127.0.0.1:${port}/mcp` };
}

async function startFixture(): Promise<Serving> {
  const running = startCommand(process.execPath, [fixture('fixture-server')]);
  const [, url = ''] = await running.waitFor(/fixture at (\S+)/);
  return { running, url };
}

async function startServe(directory: string, servers: Readonly<Record<string, object>>): Promise<Serving> {
  const config = {
    listen: '127.0.0.1:0',
    policy: ['policy.yaml'],
    identity: { api_keys: 'keys.yaml' },
    keys: { directory: 'keys' },
    spool: { directory: 'spool' },
    servers,
  };
  writeFileSync(join(directory, 'verdict.yaml'), JSON.stringify(config));
  const running = startCli(['serve', '--config', join(directory, 'verdict.yaml')]);
  const [, url = ''] = await running.waitFor(/serving \S+ at (\S+)/);
  return { running, url };
}

function wrap(
  directory: string,
  server: string,
  agent: string,
  command: readonly string[],
): readonly string[] {
  const at = (name: string): string => join(directory, name);
  const options = {
    policy: at('policy.yaml'),
    server,
    agent,
    spool: at('spool'),
    'keys-directory': at('keys'),
  };
  const given = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  return [process.execPath, CLI, 'wrap', ...given, '--', ...command];
}
