/** The built `serve` in front of servers over stdio, in a directory of its own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, startCli, type Running } from './cli.ts';

export interface StdioServer {
  readonly command: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly share?: 'caller' | 'all';
}

export interface StdioServeOptions {
  readonly servers: Readonly<Record<string, StdioServer>>;
  /** Rules of the policy, in YAML; default: anybody may do anything. */
  readonly rules?: string;
  /** `limits` of the configuration. */
  readonly limits?: Readonly<Record<string, number | string>>;
  readonly env?: Readonly<Record<string, string>>;
}

export interface StdioServeScene {
  readonly proxy: Running;
  readonly directory: string;
  /** Where a server is. */
  url(server: string): URL;
  /** Ends whatever still runs. */
  close(): Promise<void>;
}

const OPEN =
  '  - {id: tools, effect: allow, identities: [anonymous], tools: ["*/*"]}\n' +
  '  - {id: methods, effect: allow, identities: [anonymous], methods: ["*"]}\n';

/** A server from one of the packages that we test with. */
export function packaged(name: 'everything' | 'filesystem', ...args: readonly string[]): StdioServer {
  const program = join(ROOT, `node_modules/@modelcontextprotocol/server-${name}/dist/index.js`);
  return { command: process.execPath, args: [program, ...args] };
}

export async function startStdioServe(options: StdioServeOptions): Promise<StdioServeScene> {
  const { servers, rules = OPEN, limits = {}, env = {} } = options;
  const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-stdio-serve-'));
  writeFileSync(
    join(directory, 'policy.yaml'),
    `apiVersion: mcp-verdict/v1\nkind: Policy\nmetadata: {name: open, version: "1"}\nrules:\n${rules}`,
  );
  writeFileSync(
    join(directory, 'verdict.yaml'),
    'listen: 127.0.0.1:0\npolicy: [policy.yaml]\nidentity: {anonymous: allow}\nkeys: {directory: keys}\n' +
      'kill_switch: kill.json\n' +
      `spool: {directory: spool}\nservers: ${JSON.stringify(servers)}\nlimits: ${JSON.stringify(limits)}\n`,
  );
  const proxy = startCli(['serve', '--config', 'verdict.yaml'], { env, cwd: directory });
  const names = Object.keys(servers);
  const [, first = ''] = await proxy.waitFor(new RegExp(`serving ${names.at(-1)} at (\\S+)`));
  return {
    proxy,
    directory,
    url: (server) => new URL(`/${server}/mcp`, first),
    async close() {
      await proxy.stop('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
