/**
 * The soak: the built `serve` in front of a server, and clients that come and go, behave and misbehave. Everything that
 * is sent is in the ledger; everything that is started is marked, so that it can be found again.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newApiKey } from '../../../src/identity/api-keys.ts';
import { CLI, startCommand, type Running } from '../cli.ts';
import { seededRandom } from '../simulated-inode.ts';
import { createLedger } from './ledger.ts';
import { INSPECTOR_URL, openMemoryProbe, type MemoryProbe } from './memory-probe.ts';
import type { WrapPlace } from './pipe-acts.ts';
import type { Wire } from './wire.ts';

const POLICY = `
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: soak, version: "1"}
rules:
  - {id: tools, effect: allow, tools: ["*/echo", "*/slow", "*/flood", "*/ask", "*/die"]}
  - {id: questions, effect: allow, methods: ["elicitation/create"]}
  - {id: never, effect: deny, tools: ["*/delete_all"]}
`;

/** Short, so that the end of processes that nobody uses is a part of the soak. */
const CHILD_IDLE = '5s';

export interface SoakScene {
  readonly wire: Wire;
  /** The same before a stdio server. */
  readonly pipe: Wire;
  readonly wrap: WrapPlace;
  readonly proxy: Running;
  readonly pid: number;
  /** Processes that live as long as the scene. */
  readonly lasting: readonly number[];
  readonly memory: MemoryProbe;
  readonly spool: string;
  /** What the file exporter writes: a body a line. */
  readonly delivered: string;
  /** A line for each tool call that has reached a server: its trace. */
  readonly seen: string;
  /** Stands in the environment of all that was started here, and of what that has started. */
  readonly mark: string;
  stop(): Promise<{ readonly code: number | null; readonly stderr: string }>;
  /** Ends whatever still runs. */
  close(): Promise<void>;
}

export async function startSoak(directory: string, seed: number): Promise<SoakScene> {
  const mark = `MCP_SOAK_MARK=${randomUUID()}`;
  const [name = '', value = ''] = mark.split('=');
  const env = { [name]: value };
  const seen = join(directory, 'seen.log');
  writeFileSync(seen, '');
  const upstream = startCommand(process.execPath, [pathOf('upstream-server.ts'), seen], { env });
  const [, port = ''] = await upstream.waitFor(/listening (\d+)/);
  const command = [process.execPath, pathOf('stdio-server.ts'), seen];
  const keys = writeConfiguration(directory, {
    up: { url: `http://127.0.0.1:${port}/mcp` },
    pipe: { command: command[0], args: command.slice(1), env },
  });
  const args = ['--inspect=127.0.0.1:0', CLI, 'serve', '--config', 'verdict.yaml'];
  const proxy = startCommand(process.execPath, args, { cwd: directory, env });
  // Else it would keep the test from ending.
  proxy.waitFor(/serving/).catch(() => upstream.stop('SIGKILL'));
  const [, url = ''] = await proxy.waitFor(/serving up at (\S+)/);
  const [, pipeUrl = ''] = await proxy.waitFor(/serving pipe at (\S+)/);
  const [, inspector = ''] = await proxy.waitFor(INSPECTOR_URL);
  const pid = proxy.child.pid ?? 0;
  const memory = await openMemoryProbe(pid, inspector);
  const wire: Wire = { ledger: createLedger(), random: seededRandom(seed), url: new URL(url), keys };
  return {
    wire,
    pipe: { ...wire, url: new URL(pipeUrl) },
    wrap: { directory, env, command },
    proxy,
    pid,
    lasting: [upstream.child.pid ?? 0, pid],
    memory,
    spool: join(directory, 'spool'),
    delivered: join(directory, 'decisions.jsonl'),
    seen,
    mark,
    async stop() {
      // A process that is to end waits for whoever looks into it.
      memory.close();
      const { code } = await proxy.stop();
      return { code, stderr: proxy.stderr() };
    },
    async close() {
      memory.close();
      await proxy.stop('SIGKILL');
      await upstream.stop('SIGKILL');
    },
  };
}

function pathOf(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

function writeConfiguration(directory: string, servers: object): Wire['keys'] {
  const all = newApiKey({ user: 'alice', agent: { id: 'all', name: 'all' } });
  const few = newApiKey({ user: 'bob', agent: { id: 'few', name: 'few' }, grants: ['*/echo'] });
  const keys = [all.entry, few.entry];
  mkdirSync(join(directory, 'keys'), { mode: 0o700 });
  writeFileSync(join(directory, 'policy.yaml'), POLICY);
  writeFileSync(
    join(directory, 'keys.yaml'),
    JSON.stringify({ apiVersion: 'mcp-verdict/v1', kind: 'ApiKeys', keys }),
  );
  writeFileSync(
    join(directory, 'verdict.yaml'),
    'listen: 127.0.0.1:0\npolicy: [policy.yaml]\nidentity: {api_keys: keys.yaml}\nkeys: {directory: keys}\n' +
      'spool: {directory: spool}\nexporters: {file: {path: decisions.jsonl, format: json}}\n' +
      `limits: {child_idle: ${CHILD_IDLE}}\nservers: ${JSON.stringify(servers)}\n`,
  );
  return { all: all.key, few: few.key };
}
