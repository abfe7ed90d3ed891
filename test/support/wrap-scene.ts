/** `wrap` as a client starts it, in front of a server that policy calls `up`; its records go to a receiver. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CLI, plainEnvironment, ROOT } from './cli.ts';
import { startOtlpReceiver } from './otlp-receiver.ts';

export const EVERYTHING = join(ROOT, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js');
/** Speaks both eras. */
export const FIXTURE = join(ROOT, 'test/conformance/fixture-server.ts');
export const SELF = { name: 'e2e', version: '1.0.0' };

const POLICY = `apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: wrap-http, version: "1"}
rules:
  - {id: tools, effect: allow, tools: ["up/*"]}
  - {id: no-environment, effect: deny, tools: ["up/get-env"]}
  - {id: others, effect: allow, methods: ["sampling/*", "elicitation/*", "roots/*", "subscriptions/*", "resources/*"]}
`;

export interface Recorded {
  readonly decision: Record<string, unknown>;
  readonly outcome: Record<string, unknown> | undefined;
}

export async function startWrapScene() {
  const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-wrap-'));
  writeFileSync(join(directory, 'policy.yaml'), POLICY);
  const receiver = await startOtlpReceiver();
  const own = ['policy', 'keys-directory', 'spool'].flatMap((name) => [
    `--${name}`,
    join(directory, name === 'policy' ? 'policy.yaml' : name),
  ]);
  /** Of the command line. @param more options */
  const args = (url: string, ...more: readonly string[]): string[] => [
    'wrap',
    ...own,
    '--server',
    'up',
    ...more,
    url,
  ];
  /** A SDK client passes on what it is given and nothing else. */
  const env = (): Record<string, string> => ({
    ...(plainEnvironment() as Record<string, string>),
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_BLRP_SCHEDULE_DELAY: '50',
  });
  return {
    receiver,
    args,
    env,
    /** For the stdio transports of the SDKs. */
    command: (url: string, ...more: readonly string[]) => ({
      command: process.execPath,
      args: [CLI, ...args(url, ...more)],
      env: env(),
      stderr: 'pipe' as const,
    }),
    /** What was recorded of the calls of a tool, each with its outcome. */
    recordsOf(tool: string): Recorded[] {
      const logs = receiver.logs().map(({ eventName, attributes }) => ({ eventName, attributes }));
      return logs
        .filter(
          ({ eventName, attributes }) =>
            eventName === 'verdict.decision' && attributes['gen_ai.tool.name'] === tool,
        )
        .map(({ attributes: decision }) => ({
          decision,
          outcome: logs.find(
            ({ attributes }) => attributes['verdict.decision.uid'] === decision['log.record.uid'],
          )?.attributes,
        }));
    },
    async close(): Promise<void> {
      await receiver.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export type WrapScene = Awaited<ReturnType<typeof startWrapScene>>;
