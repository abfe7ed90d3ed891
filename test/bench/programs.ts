/** Starts the programs of the bench, each a process of its own, and the built proxy in front of them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startCli, startCommand } from '../support/cli.ts';
import type { CommandOptions, Running } from '../support/cli.ts';

/** Whatever goes wrong here, no program outlives the bench. */
const children = new Set<Running['child']>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

export type Program = Running & { readonly port: number };

/** A server of MCP over HTTP that has been started, at its endpoint. */
export type Started = Running & { readonly url: string };

export type ProgramOptions = Pick<CommandOptions, 'env'>;

/** @param args of `node` */
export function startNode(args: readonly string[], options: ProgramOptions = {}): Running {
  const running = startCommand(process.execPath, args, options);
  children.add(running.child);
  return running;
}

/** @param name of a file beside this one, without `.ts` */
export function startScript(name: string, ...args: readonly string[]): Running {
  return startNode([pathOf(name), ...args]);
}

/** As `startScript`, for one that says `listening PORT`. */
export async function startProgram(name: string, ...args: readonly string[]): Promise<Program> {
  const running = startScript(name, ...args);
  const [, port] = await running.waitFor(/listening (\d+)/);
  return { ...running, port: Number(port) };
}

export function pathOf(name: string): string {
  return fileURLToPath(new URL(`${name}.ts`, import.meta.url));
}

export const POLICY = `apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: orders, version: "7"}
rules:
  - id: read-orders
    effect: allow
    identities: [anonymous]
    tools: ["shop/read_*"]
    when: has(args.order) && args.order.startsWith("A-")
  - id: no-refunds
    effect: deny
    identities: [anonymous]
    tools: ["shop/refund_*"]
`;

export interface ProxyOptions {
  /** Configuration, keys and spool are made in it. */
  readonly directory: string;
  readonly durability: 'sync' | 'none';
  /** Of MCP over HTTP, or the command and arguments of a stdio server. */
  readonly upstream: number | readonly [command: string, ...args: string[]];
  /** Where records are delivered to; undefined: nowhere. */
  readonly otlpPort?: number | undefined;
}

/** The built `serve`. */
export async function startProxy(options: ProxyOptions): Promise<Program & { readonly url: string }> {
  const { directory, durability, upstream, otlpPort } = options;
  const server =
    typeof upstream === 'number'
      ? { url: `http://127.0.0.1:${upstream}/mcp` }
      : { command: upstream[0], args: upstream.slice(1) };
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'policy.yaml'), POLICY);
  writeFileSync(
    join(directory, 'verdict.yaml'),
    'listen: 127.0.0.1:0\npolicy: [policy.yaml]\nidentity: {anonymous: allow}\nkeys: {directory: keys}\n' +
      `spool: {directory: spool, durability: ${durability}}\n` +
      `servers: {shop: ${JSON.stringify(server)}}\n`,
  );
  const env =
    otlpPort === undefined
      ? {}
      : { OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `http://127.0.0.1:${otlpPort}/v1/logs` };
  const running = startCli(['serve', '--config', 'verdict.yaml'], { cwd: directory, env });
  children.add(running.child);
  const [, url = ''] = await running.waitFor(/serving shop at (\S+)/);
  return { ...running, url, port: Number(new URL(url).port) };
}

/** Ends them all, politely. */
export async function stopAll(running: readonly Running[]): Promise<void> {
  await Promise.all(running.map((one) => one.stop()));
}
