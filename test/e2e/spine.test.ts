/**
 * The spine: the built command line in front of real MCP servers, real clients of both SDK generations, and an OTLP
 * receiver. 200 mixed calls; each must be there exactly once, with everything it should say.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernHttp,
} from '@modelcontextprotocol/client';
import { StdioClientTransport as ModernStdio } from '@modelcontextprotocol/client/stdio';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { newApiKey } from '../../src/identity/api-keys.ts';
import { CLI, ROOT, plainEnvironment, startCli, startCommand, type Running } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { startOtlpReceiver, type LogItem, type OtlpReceiver } from '../support/otlp-receiver.ts';

const EVERYTHING = join(ROOT, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js');
const FILESYSTEM = join(ROOT, 'node_modules/@modelcontextprotocol/server-filesystem/dist/index.js');
const CALLS_PER_PATH = 50;

interface Expected {
  readonly traceId: string;
  readonly server: string;
  readonly tool: string;
  readonly effect: string;
  readonly rule: string | undefined;
  readonly reason: string;
  readonly agent: string;
  readonly outcome: string | undefined;
}

type Planned = Omit<Expected, 'traceId' | 'agent' | 'server'> & { readonly args: Record<string, unknown> };

const allowed = (tool: string, rule: string, args: object, outcome = 'ok'): Planned => ({
  tool,
  rule,
  outcome,
  effect: 'allow',
  reason: 'rule',
  args: { ...args },
});
const denied = (tool: string, rule: string | undefined, args: object, reason = 'rule'): Planned => ({
  tool,
  rule,
  reason,
  outcome: undefined,
  effect: 'deny',
  args: { ...args },
});

/** What is asked of server-everything, in turn. */
const EVERYTHING_CALLS: readonly Planned[] = [
  allowed('echo', 'harmless', { message: 'hello' }),
  allowed('get-sum', 'small-sums', { a: 4, b: 3 }),
  denied('get-sum', undefined, { a: 400, b: 3 }, 'default'),
  denied('get-sum', 'small-sums', { a: '4', b: 3 }, 'policy_error'),
  denied('get-env', 'no-environment', {}),
  denied('no-such-tool', undefined, {}, 'default'),
  {
    ...denied('gzip-file-as-resource', 'ask-first', { name: 'x' }, 'approval_required'),
    effect: 'require_approval',
  },
  allowed('echo', 'harmless', { wrong: 'argument' }, 'tool_error'),
];

interface Caller {
  callTool(call: {
    name: string;
    arguments: Record<string, unknown>;
    _meta: { traceparent: string };
  }): Promise<unknown>;
  close(): Promise<void>;
}

describe('the spine', () => {
  let directory: string;
  let receiver: OtlpReceiver;
  let upstream: Running;
  let proxy: Running;
  let url: URL;
  let key: string;
  const expected: Expected[] = [];

  const policyFile = (): string => join(directory, 'policy.yaml');
  const env = (): Record<string, string> =>
    // A SDK client passes on what it is given and nothing else.
    ({
      ...(plainEnvironment() as Record<string, string>),
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_BLRP_SCHEDULE_DELAY: '50',
    });
  const wrap = (
    server: string,
    agent: string,
    command: readonly string[],
  ): { command: string; args: string[] } => ({
    command: process.execPath,
    args: [
      CLI,
      'wrap',
      '--policy',
      policyFile(),
      '--server',
      server,
      '--agent',
      agent,
      '--keys-directory',
      join(directory, 'keys'),
      '--',
      process.execPath,
      ...command,
    ],
  });

  before(async () => {
    directory = realpathSync(mkdtempSync(join(tmpdir(), 'mcp-verdict-spine-')));
    mkdirSync(join(directory, 'public'));
    writeFileSync(join(directory, 'public/readme.txt'), 'public text');
    writeFileSync(join(directory, 'secret.txt'), 'secret text');
    writeFileSync(policyFile(), policy(directory));
    receiver = await startOtlpReceiver();
    const port = await freePort();
    upstream = startCommand(process.execPath, [EVERYTHING, 'streamableHttp'], {
      env: { PORT: String(port) },
    });
    await upstream.waitFor(/listening on port/i);
    const made = newApiKey({ user: 'alice', agent: { id: 'http-agent', name: 'http-agent' } });
    key = made.key;
    writeFileSync(
      join(directory, 'keys.yaml'),
      JSON.stringify({ apiVersion: 'mcp-verdict/v1', kind: 'ApiKeys', keys: [made.entry] }),
    );
    writeFileSync(
      join(directory, 'verdict.yaml'),
      `listen: 127.0.0.1:0\npolicy: [./policy.yaml]\nservers: {everything: {url: "http://127.0.0.1:${port}/mcp"}}\n` +
        'identity: {api_keys: ./keys.yaml}\nkeys: {directory: ./keys}\n',
    );
    proxy = startCli(['serve', '--config', join(directory, 'verdict.yaml')], { env: env(), cwd: directory });
    const match = await proxy.waitFor(/serving everything at (\S+)/);
    url = new URL(match[1]!);
  });

  after(async () => {
    await proxy?.stop('SIGKILL');
    await upstream?.stop('SIGKILL');
    await receiver?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const drive = async (
    client: Caller,
    at: { server: string; agent: string },
    plan: readonly Planned[],
  ): Promise<void> => {
    for (let index = 0; index < CALLS_PER_PATH; index += 1) {
      const { args, ...call } = plan[index % plan.length]!;
      const traceId = randomBytes(16).toString('hex');
      const traceparent = `00-${traceId}-${randomBytes(8).toString('hex')}-0${index % 2}`;
      const result = await client.callTool({ name: call.tool, arguments: args, _meta: { traceparent } });
      assert.equal(
        Boolean((result as { isError?: boolean }).isError),
        call.outcome !== 'ok',
        JSON.stringify(result),
      );
      expected.push({ ...call, ...at, traceId });
    }
    await client.close();
  };

  test('50 calls over HTTP by a client of SDK 1.32', async () => {
    const client = new Client({ name: 'one', version: '1.32' });
    const transport = new StreamableHTTPClientTransport(url, {
      requestInit: { headers: { authorization: `Bearer ${key}` } },
    });
    await client.connect(transport);
    await drive(client, { server: 'everything', agent: 'http-agent' }, EVERYTHING_CALLS);
  });

  test('50 calls over HTTP by a client of SDK 2.4', async () => {
    const client = new ModernClient({ name: 'two', version: '2.4' });
    await client.connect(
      new ModernHttp(url, { requestInit: { headers: { authorization: `Bearer ${key}` } } }),
    );
    await drive(client, { server: 'everything', agent: 'http-agent' }, EVERYTHING_CALLS);
  });

  test('50 calls over stdio by a client of SDK 2.4', async () => {
    const client = new ModernClient({ name: 'two', version: '2.4' });
    await client.connect(
      new ModernStdio({
        ...wrap('everything', 'stdio-agent', [EVERYTHING, 'stdio']),
        env: env(),
        stderr: 'ignore',
      }),
    );
    await drive(client, { server: 'everything', agent: 'stdio-agent' }, EVERYTHING_CALLS);
  });

  test('50 calls over stdio to the filesystem server by a client of SDK 1.32', async () => {
    const client = new Client({ name: 'one', version: '1.32' });
    await client.connect(
      new StdioClientTransport({
        ...wrap('files', 'stdio-agent', [FILESYSTEM, directory]),
        env: env(),
        stderr: 'ignore',
      }),
    );
    await drive(client, { server: 'files', agent: 'stdio-agent' }, [
      allowed('read_text_file', 'public-files', { path: join(directory, 'public/readme.txt') }),
      allowed(
        'read_text_file',
        'public-files',
        { path: join(directory, 'public/missing.txt') },
        'tool_error',
      ),
      denied('read_text_file', undefined, { path: join(directory, 'public/../secret.txt') }, 'default'),
      denied('write_file', 'no-writes', { path: join(directory, 'public/new.txt'), content: 'x' }),
      denied('move_file', undefined, { source: 'a', destination: 'b' }, 'default'),
    ]);
    assert.ok(!existsSync(join(directory, 'public/new.txt')), 'a denied write has been made');
  });

  test('each call has exactly one decision that says what it must, and each allowed one its outcome', async () => {
    assert.deepEqual(await proxy.stop(), { code: 0, signal: null }, proxy.stderr());
    await eventually('three processes recorded their stop', () => lifecycle(receiver.logs(), 'stop') === 3);
    const logs = receiver.logs();
    assert.equal(expected.length, 4 * CALLS_PER_PATH);
    const calls = logs.filter((log) => log.attributes['gen_ai.tool.name'] !== undefined);
    assert.equal(calls.length, expected.length, 'decisions on tool calls');
    for (const call of expected) {
      const decisions = calls.filter((log) => log.traceId === call.traceId);
      assert.equal(decisions.length, 1, `decisions with trace ${call.traceId}`);
      checkDecision(decisions[0]!, call, logs);
    }
  });

  test('every chain is whole: sequence without holes, each record citing the one before', async () => {
    const { checkChains } = await import('../support/chain.ts');
    assert.equal(checkChains(receiver.logs()), 3, 'one chain for each process');
  });
});

function lifecycle(logs: readonly LogItem[], state: string): number {
  return logs.filter((log) => log.attributes['verdict.lifecycle.state'] === state).length;
}

function checkDecision(log: LogItem, call: Expected, logs: readonly LogItem[]): void {
  const { attributes } = log;
  const told = {
    effect: attributes['verdict.decision.effect'],
    rule: attributes['verdict.rule.id'],
    reason: attributes['verdict.decision.reason'],
    server: attributes['verdict.server.name'],
    tool: attributes['gen_ai.tool.name'],
    agent: attributes['gen_ai.agent.id'],
    file: attributes['verdict.policy.file'],
    eventName: log.eventName,
  };
  const file = call.rule === undefined ? undefined : String(told.file);
  assert.deepEqual(told, {
    effect: call.effect,
    rule: call.rule,
    reason: call.reason,
    server: call.server,
    tool: call.tool,
    agent: call.agent,
    file,
    eventName: 'verdict.decision',
  });
  assert.ok(file === undefined || file.endsWith('policy.yaml'));
  const outcomes = logs.filter(
    (other) => other.attributes['verdict.decision.uid'] === attributes['log.record.uid'],
  );
  assert.deepEqual(
    outcomes.map((outcome) => [
      outcome.eventName,
      outcome.attributes['verdict.outcome.status'],
      outcome.traceId,
    ]),
    call.outcome === undefined ? [] : [['verdict.outcome', call.outcome, call.traceId]],
  );
}

function policy(directory: string): string {
  return `
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: spine, version: "7"}
rules:
  - {id: harmless, effect: allow, tools: ["everything/echo"]}
  - {id: small-sums, effect: allow, tools: ["everything/get-sum"], when: args.a <= 100}
  - {id: no-environment, effect: deny, tools: ["*/get-env"]}
  - {id: ask-first, effect: require_approval, tools: ["everything/gzip-*"]}
  - {id: public-files, effect: allow, tools: ["files/read_*"], when: "pathUnder(args.path, '${directory}/public')"}
  - {id: no-writes, effect: deny, tools: ["files/write_*"]}
`;
}
