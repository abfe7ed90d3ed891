/** `doctor`: examines a set-up before somebody relies on it, and says of each thing what was found and what to do. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { loadServeConfig } from '../config.ts';
import { defaultKeysDirectory, packageVersion } from '../config/places.ts';
import { VerdictError } from '../errors.ts';
import { childEnvironment } from '../proxy/stdio/child.ts';
import { examine } from '../service/doctor.ts';
import { doctorReport, exitOf, findingLine, summaryLine, type Finding } from '../service/doctor/finding.ts';
import { countText } from '../service/doctor/quantities.ts';
import { setupOfServe, type Setup, type Upstream } from '../service/doctor/setup.ts';
import { printable } from '../telemetry/diagnostics.ts';
import { stopSignal } from './process.ts';
import type { Io, Verb } from './verb.ts';
import { splitCommand, TARGET_OPTIONS, targetOf, type WrapTarget } from './wrap-target.ts';
import { killSwitchOfWrap, pinsOfWrap, spoolOfWrap } from './wrap.ts';

const HELP = `Usage: mcp-verdict doctor --config verdict.yaml [--json]
       mcp-verdict doctor --policy FILE [options of wrap] [--json] [URL | -- COMMAND [ARGS...]]

Examines a set-up, that of serve or that of wrap: config, policy and keys, the addresses, the spool and its disk, the
servers behind it, each OTLP endpoint, the clock, and what would be lost even when all of that is well. One line each:
ok, warn or fail, what was found, and what to do. It may run beside the process that serves.

It changes nothing. Servers are asked who they are and what tools they have, and a COMMAND is started and ended for
that. To each endpoint goes one record, verdict.lifecycle with the state doctor; it is in no stream of calls, and
records verify counts it apart.

  --config FILE            the configuration of serve
  --policy FILE            a policy file of wrap; may be given several times
  --server NAME            what the policy calls the server (default: local)
  --spool DIR, --durability LEVEL, --keys-directory DIR, --pin MODE, --lock FILE, --header 'NAME: VALUE',
  --kill-switch FILE
                           as for wrap
  --collector-metrics URL  the collector's own metrics; default: port 8888 (or COLLECTOR_METRICS_PORT) at the host of
                           an http:// endpoint
  --json                   print JSON

Exit codes: 0 nothing failed, 1 something is bad, 2 usage, 3 config, policy or keys are invalid, 4 something cannot be
reached now. Of several 3 goes before 1 before 4: a retry only mends the last.

Examples:
  mcp-verdict doctor --config verdict.yaml
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 mcp-verdict doctor --policy policy.yaml -- my-server
`;

export const doctorVerb: Verb = { help: HELP, run };

const OPTIONS = {
  config: { type: 'string' },
  policy: { type: 'string', multiple: true },
  server: { type: 'string', default: 'local' },
  spool: { type: 'string' },
  durability: { type: 'string', default: 'sync' },
  'keys-directory': { type: 'string' },
  'kill-switch': { type: 'string' },
  pin: { type: 'string' },
  lock: { type: 'string' },
  'collector-metrics': { type: 'string' },
  json: { type: 'boolean', default: false },
  ...TARGET_OPTIONS,
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'];

async function run(args: readonly string[], io: Io): Promise<number> {
  const { own, command } = splitCommand(args);
  const { values, positionals } = parseArgs({ args: [...own], allowPositionals: true, options: OPTIONS });
  const target = targetOf({ command, positionals, header: values.header }, io);
  if ((values.config === undefined) === (values.policy === undefined)) {
    throw new VerdictError('usage', { detail: 'doctor needs --config FILE, or --policy FILE for a wrap' });
  }
  if (values.config !== undefined && (command !== undefined || target !== undefined)) {
    const detail = 'a URL or a COMMAND goes with --policy: servers stand in the config';
    throw new VerdictError('usage', { detail });
  }
  const findings: Finding[] = [];
  const tell = (finding: Finding): void => {
    findings.push(finding);
    if (!values.json) io.stdout.write(`${printable(findingLine(finding))}\n`);
  };
  const stop = stopSignal();
  for await (const finding of findingsOf(values, target, { io, signal: stop })) tell(finding);
  if (stop.aborted) {
    io.stderr.write('mcp-verdict doctor was interrupted\n');
    return 1;
  }
  if (values.json) io.stdout.write(`${JSON.stringify(doctorReport(findings), undefined, 2)}\n`);
  else io.stdout.write(`${summaryLine(findings)}\n`);
  return exitOf(findings);
}

interface Surroundings {
  readonly io: Io;
  readonly signal: AbortSignal;
}

async function* findingsOf(
  values: Values,
  target: WrapTarget | undefined,
  { io, signal }: Surroundings,
): AsyncGenerator<Finding> {
  const collectorMetrics = metricsOf(values);
  const options = { env: io.env, cwd: io.cwd, version: packageVersion(), collectorMetrics, signal };
  if (values.config === undefined) {
    yield* examine({ ...options, setup: setupOfWrap(values, target, io) });
    return;
  }
  let setup: Setup;
  try {
    setup = setupOfServe(loadServeConfig(resolve(io.cwd, values.config), io.env));
  } catch (error) {
    if (!(error instanceof VerdictError)) throw error;
    // Without it there is nothing to examine.
    for (const found of error.message.split('\n')) yield { check: 'config', level: 'fail', found, exit: 3 };
    return;
  }
  yield {
    check: 'config',
    subject: values.config,
    level: 'ok',
    found: `good, ${countText(setup.upstreams.length, 'server')}`,
  };
  yield* examine({ ...options, setup });
}

function metricsOf({ 'collector-metrics': text }: Values): URL | undefined {
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new VerdictError('usage', {
    detail: '--collector-metrics must be an http or https URL, such as http://localhost:8888/metrics',
  });
}

function setupOfWrap(values: Values, target: WrapTarget | undefined, io: Io): Setup {
  return {
    config: undefined,
    policyFiles: (values.policy ?? []).map((file) => resolve(io.cwd, file)),
    pins: pinsOfWrap(values, io),
    keysDirectory: values['keys-directory'] ?? defaultKeysDirectory(io.env),
    killSwitchFile: killSwitchOfWrap(values, io),
    spool: spoolOfWrap(values, io),
    exporters: undefined,
    onAuditFailure: 'deny',
    upstreams: target === undefined ? [] : [upstreamOf(target, values.server, io)],
    listeners: [],
  };
}

function upstreamOf(target: WrapTarget, name: string, { env }: Io): Upstream {
  if (target.kind === 'command') return { ...target, kind: 'stdio', name, env: childEnvironment(env) };
  return { ...target, kind: 'http', name };
}
