/** `serve` in front of one server, for the conformance suite. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CLI, plainEnvironment, startCli, type Running } from '../support/cli.ts';

const HEAD =
  'apiVersion: mcp-verdict/v1\nkind: Policy\nmetadata: {name: conformance, version: "1"}\nrules:\n';

const STDIO_POLICY = `${HEAD}  - {id: tools, effect: allow, tools: ["*/*"]}\n  - {id: methods, effect: allow, methods: ["*"]}\n`;

/** Policies under which a conforming server must stay one. */
export const POLICIES = {
  'allows everything':
    `${HEAD}  - {id: tools, effect: allow, identities: [anonymous], tools: ["*/*"]}\n` +
    '  - {id: methods, effect: allow, identities: [anonymous], methods: ["*"]}\n',
  'denies some other tool':
    `${HEAD}  - {id: tools, effect: allow, identities: [anonymous], tools: ["*/*"]}\n` +
    '  - {id: methods, effect: allow, identities: [anonymous], methods: ["*"]}\n' +
    '  - {id: other, effect: deny, identities: [anonymous], tools: ["*/some_other_tool"]}\n',
} as const;

export type PolicyName = keyof typeof POLICIES;

export interface ConformanceProxy {
  readonly url: string;
  stop(): Promise<void>;
}

/** Where the server behind the proxy is, or how it is started. */
export type ConformanceUpstream = string | { readonly command: readonly [string, ...string[]] };

export async function startProxy(
  upstream: ConformanceUpstream,
  policy: PolicyName,
): Promise<ConformanceProxy> {
  const { proxy, stop } = startServe({ up: serverOf(upstream) }, policy);
  const [, url = ''] = await proxy.waitFor(/serving up at (\S+)/);
  return { url, stop };
}

export interface GrowingProxy {
  /** Serves one more, under a name of its own: what the proxy learns of one stays with it. @returns its URL */
  add(upstream: string): Promise<string>;
  stop(): Promise<void>;
}

/** `serve` that takes in servers while it runs, for where one is known only when it is there. */
export async function startGrowingProxy(policy: PolicyName): Promise<GrowingProxy> {
  const servers: Record<string, object> = { up: { url: 'http://127.0.0.1:1/mcp' } };
  const { proxy, configure, stop } = startServe(servers, policy);
  const [, first = ''] = await proxy.waitFor(/serving up at (\S+)/);
  let reloads = 0;
  let last: Promise<unknown> = Promise.resolve();
  const add = async (upstream: string): Promise<string> => {
    reloads += 1;
    servers[`up-${reloads}`] = serverOf(upstream);
    configure(servers);
    const reloaded = proxy.waitFor(new RegExp(`(?:reloaded: servers[^]*){${reloads}}`));
    proxy.child.kill('SIGHUP');
    await reloaded;
    return first.replace('/up/', `/up-${reloads}/`);
  };
  return {
    add(upstream) {
      const added = last.then(() => add(upstream));
      last = added.catch(() => {});
      return added;
    },
    stop,
  };
}

interface Serve {
  readonly proxy: Running;
  /** Writes what it reads at the next SIGHUP. */
  readonly configure: (servers: Readonly<Record<string, object>>) => void;
  readonly stop: () => Promise<void>;
}

function startServe(servers: Readonly<Record<string, object>>, policy: PolicyName): Serve {
  const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-conformance-'));
  writeFileSync(join(directory, 'policy.yaml'), POLICIES[policy]);
  const configure: Serve['configure'] = (all) =>
    writeFileSync(
      join(directory, 'verdict.yaml'),
      'listen: 127.0.0.1:0\npolicy: [policy.yaml]\nidentity: {anonymous: allow}\nreload: {watch: off}\n' +
        `keys: {directory: keys}\nspool: {directory: spool}\nservers: ${JSON.stringify(all)}\n` +
        // Its scenarios each have a session of their own, and not all of them end it.
        'limits: {children_per_caller: 32}\n',
    );
  configure(servers);
  const proxy = startCli(['serve', '--config', join(directory, 'verdict.yaml')]);
  return {
    proxy,
    configure,
    async stop() {
      await proxy.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function serverOf(upstream: ConformanceUpstream): object {
  if (typeof upstream === 'string') return { url: upstream };
  const [command, ...args] = upstream.command;
  return { command, args };
}

/** `wrap` in front of that server, which whoever starts it speaks to over stdio. */
export function wrapCommand(upstream: string) {
  const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-conformance-'));
  const policy = join(directory, 'policy.yaml');
  writeFileSync(policy, STDIO_POLICY);
  const own = ['--keys-directory', join(directory, 'keys'), '--spool', join(directory, 'spool')];
  return {
    command: process.execPath,
    args: [CLI, 'wrap', '--policy', policy, ...own, upstream],
    env: plainEnvironment() as Record<string, string>,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
