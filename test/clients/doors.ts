/** The real servers, directly and behind every door of the built command line, for as long as a test file runs. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newApiKey } from '../../src/identity/api-keys.ts';
import { CLI, ROOT, plainEnvironment, startCli, startCommand, type Running } from '../support/cli.ts';
import { freePort } from '../support/free-port.ts';
import { POLICY } from './policy.ts';
import type { Endpoint } from './script.ts';

const PACKAGES = join(ROOT, 'node_modules/@modelcontextprotocol');
const FIXTURE = fileURLToPath(new URL('../conformance/fixture-server.ts', import.meta.url));

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
  stdio: [{ client: 'stdio', door: 'wrap' }],
};

const SERVERS: Readonly<Record<ServerName, readonly Kind[]>> = {
  everything: ['http', 'stdio'],
  fixture: ['http'],
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
  /** What has been recorded, once all is stopped. */
  records(): Promise<Body[]>;
  /** Proves the records. @returns what `records verify` says, and its exit code */
  verify(): Promise<{ readonly code: number | null; readonly stdout: string }>;
  /** Ends the proxy in good order. */
  stop(): Promise<void>;
  /** Ends and removes all. */
  close(): Promise<void>;
}

/** @param agents who will come; over HTTP each has a key of its own */
export async function startDoors(agents: readonly string[]): Promise<Doors> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'mcp-verdict-clients-')));
  const files = join(directory, 'files');
  mkdirSync(files);
  writeFileSync(join(files, 'note.txt'), 'A note.\n');
  writeFileSync(join(directory, 'policy.yaml'), POLICY);
  const keys = new Map(
    agents.map((agent) => [agent, newApiKey({ user: 'ada', agent: { id: agent, name: agent } })] as const),
  );
  const entries = [...keys.values()].map(({ entry }) => entry);
  writeFileSync(
    join(directory, 'keys.yaml'),
    JSON.stringify({ apiVersion: 'mcp-verdict/v1', kind: 'ApiKeys', keys: entries }),
  );
  const [everything, fixture] = await Promise.all([startEverything(), startFixture()]);
  const urls: Partial<Record<ServerName, string>> = { everything: everything.url, fixture: fixture.url };
  const proxy = await startServe(directory, urls);
  const commandOf = (server: ServerName): readonly string[] => {
    if (server === 'everything') return [join(PACKAGES, 'server-everything/dist/index.js'), 'stdio'];
    if (server === 'files') return [join(PACKAGES, 'server-filesystem/dist/index.js'), files];
    return [join(PACKAGES, 'server-memory/dist/index.js')];
  };
  return {
    files,
    endpoint(route, agent) {
      const { server, client, door } = route;
      if (client === 'http') {
        const direct = urls[server] ?? '';
        const { origin } = new URL(proxy.url);
        const key = keys.get(agent)?.key ?? '';
        return door === 'direct'
          ? { kind: 'http', url: direct, headers: {} }
          : {
              kind: 'http',
              url: `${origin}/${serverKey(route)}/mcp`,
              headers: { authorization: `Bearer ${key}` },
            };
      }
      const memory = join(directory, `${agent.replace(/\W+/g, '-')}.jsonl`);
      const env = { ...(plainEnvironment() as Record<string, string>), MEMORY_FILE_PATH: memory };
      const command = [process.execPath, ...commandOf(server)];
      const wrapped = door === 'direct' ? command : wrap(directory, serverKey(route), agent, command);
      const [program = '', ...args] = wrapped;
      return { kind: 'stdio', command: program, args, env };
    },
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
      await Promise.all([proxy, everything, fixture].map(({ running }) => running.stop('SIGKILL')));
      rmSync(directory, { recursive: true, force: true });
    },
  };
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
  const running = startCommand(process.execPath, [FIXTURE]);
  const [, url = ''] = await running.waitFor(/fixture at (\S+)/);
  return { running, url };
}

async function startServe(directory: string, urls: Partial<Record<ServerName, string>>): Promise<Serving> {
  const servers = Object.entries(urls).map(
    ([name, url]) => `  ${name}-http: {url: ${JSON.stringify(url)}}\n`,
  );
  writeFileSync(
    join(directory, 'verdict.yaml'),
    'listen: 127.0.0.1:0\npolicy: [policy.yaml]\nidentity: {api_keys: keys.yaml}\nkeys: {directory: keys}\n' +
      `spool: {directory: spool}\nservers:\n${servers.join('')}`,
  );
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
