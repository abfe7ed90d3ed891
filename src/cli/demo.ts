/** `demo`: the whole of mcp-verdict on one machine with nothing installed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { JsonLogsSerializer } from '@opentelemetry/otlp-transformer';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { loadServeConfig } from '../config.ts';
import { toAttributes } from '../event/fields.ts';
import { newApiKey } from '../identity/api-keys.ts';
import { startServe, type Serving } from '../service.ts';
import type { Farewell } from '../service/records.ts';
import type { AgentTarget } from './demo-agent.ts';
import { DEMO_POLICY, demoConfig, demoKeys } from './demo-files.ts';
import type { DemoServer } from './demo-server.ts';
import { painter, renderRecord, type Paint } from './demo-view.ts';
import { diagnosticsFor, stopSignal } from './process.ts';
import { batchesOf } from './records-batch.ts';
import { listSpool } from './records-spool.ts';
import type { Io, Verb } from './verb.ts';

const HELP = `Usage: mcp-verdict demo [--keep]

Starts a sample MCP server, the proxy with a policy in front of it, and an agent that makes good, bad and hostile
calls; shows each decision as it falls, then one record as it goes to a collector. Needs nothing but this package.

  --keep             leave server and proxy running for a client of your own, until Ctrl-C
  --log-level LEVEL  none, error (default), warn, info or debug; on stderr

With OTEL_EXPORTER_OTLP_ENDPOINT set, the same records go there.

Example:
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 mcp-verdict demo
`;

export const demoVerb: Verb = { help: HELP, run };

/** What the parts of the demo share. */
interface Stage {
  readonly io: Io;
  readonly paint: Paint;
  readonly directory: string;
  readonly server: DemoServer;
  readonly serving: Serving;
  readonly target: AgentTarget;
  /** Decisions so far. */
  readonly decisions: () => number;
}

async function run(args: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { keep: { type: 'boolean' }, 'log-level': { type: 'string' } },
  });
  const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-demo-'));
  const stop = stopSignal();
  // What only the demo needs is loaded with it: an MCP server and client are 10 MB in every other verb.
  const { startDemoServer } = await import('./demo-server.ts');
  const server = await startDemoServer();
  try {
    const stage = await setStage(io, { directory, server, logLevel: values['log-level'] });
    await act(stage);
    if (values.keep === true) await keep(stage, stop);
    const farewell = await stage.serving.stop();
    showEnd(stage, farewell);
    return 0;
  } finally {
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Setting {
  readonly directory: string;
  readonly server: DemoServer;
  readonly logLevel: string | undefined;
}

async function setStage(io: Io, { directory, server, logLevel }: Setting): Promise<Stage> {
  const { key, entry } = newApiKey({ user: 'demo', agent: { id: 'support-bot', name: 'support-bot' } });
  writeFileSync(join(directory, 'policy.yaml'), DEMO_POLICY);
  writeFileSync(join(directory, 'keys.yaml'), demoKeys(entry), { mode: 0o600 });
  writeFileSync(join(directory, 'verdict.yaml'), demoConfig(server.url));
  const paint = painter(io.stdout.isTTY === true && io.env['NO_COLOR'] === undefined);
  let decisions = 0;
  const serving = await startServe({
    config: loadServeConfig(join(directory, 'verdict.yaml'), io.env),
    env: io.env,
    cwd: directory,
    diagnostics: diagnosticsFor(io, logLevel, 'error'),
    watch: {
      emitted({ name, fields, trace }) {
        if (name === 'verdict.decision') decisions += 1;
        io.stdout.write(renderRecord(toAttributes(fields), trace?.traceId, paint));
      },
    },
  });
  const url = new URL(`http://${serving.host}:${serving.port}/shop/mcp`);
  return { io, paint, directory, server, serving, target: { url, key }, decisions: () => decisions };
}

async function act({ io, paint, serving, target }: Stage): Promise<void> {
  const heading = (text: string): void => void io.stdout.write(`\n${paint('bold', text)}\n\n`);
  io.stdout.write(
    `A sample MCP server named shop, and mcp-verdict in front of it at ${target.url.href}\n` +
      `with ${serving.policy().rules.length} rules: deny beats approval beats allow, and what no rule allows is denied.\n`,
  );
  heading('An agent with a key, over the MCP SDK');
  const { runAgent, runHostileAgent } = await import('./demo-agent.ts');
  await runAgent(target);
  heading('A hostile agent, which writes its own bytes');
  await runHostileAgent(target);
}

async function keep({ io, directory, target }: Stage, stop: AbortSignal): Promise<void> {
  io.stdout.write(`
Running until Ctrl-C. Policy, config and keys are in ${directory}
  claude mcp add --transport http shop ${target.url.href} --header "Authorization: Bearer ${target.key}"
`);
  await new Promise((resolve) => {
    if (stop.aborted) resolve(undefined);
    else stop.addEventListener('abort', resolve, { once: true });
  });
}

function showEnd(stage: Stage, farewell: Farewell): void {
  const { io, paint, server, directory } = stage;
  const calls = server.received();
  io.stdout.write(`
${stage.decisions()} decisions. The sample server saw ${calls.length} tool calls: ${calls.join(', ')}.
What was denied never reached it, and each call that did was on the disk as a record before.
`);
  const shown = findRecord(join(directory, 'spool'), 'never-delete');
  if (shown !== undefined) {
    io.stdout.write(
      `\n${paint('bold', 'One record, as a collector receives it (OTLP/JSON)')}\n\n${asOtlpJson(shown)}\n`,
    );
  }
  const { recorded, delivered } = farewell;
  const endpoint = io.env['OTEL_EXPORTER_OTLP_LOGS_ENDPOINT'] ?? io.env['OTEL_EXPORTER_OTLP_ENDPOINT'];
  const where =
    endpoint === undefined
      ? 'Nothing was sent: set OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318 and these records go to your collector.'
      : `${delivered} of ${recorded} records were delivered to ${endpoint}.`;
  io.stdout.write(`
${paint('bold', 'Next')}

${where}
In front of your own server:  mcp-verdict wrap --policy policy.yaml --agent NAME -- COMMAND
                              mcp-verdict serve --config verdict.yaml
Write a policy:               mcp-verdict policy --help
Read and prove the records:   mcp-verdict records --help
`);
}

/** The first record in a spool that a rule decided. */
function findRecord(spool: string, rule: string): ReadableLogRecord | undefined {
  for (const stream of listSpool(spool)) {
    for (const { records } of batchesOf(stream, { from: undefined, to: undefined }, () => {})) {
      const found = records.find((record) => record.attributes['verdict.rule.id'] === rule);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

/** The record as OTLP/JSON, indented, but each attribute on a line of its own. */
function asOtlpJson(record: ReadableLogRecord): string {
  const bytes = JsonLogsSerializer.serializeRequest([record]);
  const onOneLine = (key: string, value: unknown): unknown =>
    key === 'attributes' && Array.isArray(value) ? value.map((item) => `\0${JSON.stringify(item)}`) : value;
  const indented = JSON.stringify(JSON.parse(Buffer.from(bytes ?? []).toString('utf8')), onOneLine, 2);
  return indented.replace(/"\\u0000((?:[^"\\]|\\.)*)"/g, (_, json: string) =>
    String(JSON.parse(`"${json}"`)),
  );
}
