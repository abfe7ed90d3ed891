/** `serve` in front of one server, for the conformance suite. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CLI, plainEnvironment, startCli } from '../support/cli.ts';

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
  const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-conformance-'));
  writeFileSync(join(directory, 'policy.yaml'), POLICIES[policy]);
  writeFileSync(
    join(directory, 'verdict.yaml'),
    'listen: 127.0.0.1:0\npolicy: [policy.yaml]\nidentity: {anonymous: allow}\n' +
      `keys: {directory: keys}\nspool: {directory: spool}\nservers: {up: ${JSON.stringify(serverOf(upstream))}}\n` +
      // Its scenarios each have a session of their own, and not all of them end it.
      'limits: {children_per_caller: 32}\n',
  );
  const proxy = startCli(['serve', '--config', join(directory, 'verdict.yaml')]);
  const [, url = ''] = await proxy.waitFor(/serving up at (\S+)/);
  return {
    url,
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
