/** From a command line to the verb that runs it, and from an error to its exit code. */
import { ERRORS, VerdictError } from '../errors.ts';
import { packageVersion } from '../config.ts';
import { printable } from '../telemetry/diagnostics.ts';
import { demoVerb } from './demo.ts';
import { doctorVerb } from './doctor.ts';
import { keysVerb } from './keys.ts';
import { killVerb } from './kill.ts';
import { policyVerb } from './policy.ts';
import { recordsVerb } from './records.ts';
import { serveVerb } from './serve.ts';
import { toolsVerb } from './tools.ts';
import type { Io, Verb } from './verb.ts';
import { wrapVerb } from './wrap.ts';

const VERBS: readonly Verb[] = [
  wrapVerb,
  serveVerb,
  policyVerb,
  toolsVerb,
  recordsVerb,
  keysVerb,
  killVerb,
  doctorVerb,
  demoVerb,
];

const HELP = `mcp-verdict: a policy proxy for MCP whose decisions are OpenTelemetry LogRecords

Usage: mcp-verdict VERB [options]

${VERBS.map((verb) => `  ${verb.name.padEnd(8)} ${verb.summary}`).join('\n')}

Examples:
  mcp-verdict demo
  mcp-verdict wrap --policy policy.yaml --server files --agent claude-code -- \\
    npx -y @modelcontextprotocol/server-filesystem /srv
  mcp-verdict serve --config verdict.yaml
  mcp-verdict policy check policy.yaml

Each verb has its own --help. Exit codes: 0 good, 1 the thing checked is bad, 2 usage, 3 config or policy
invalid, 4 cannot reach what it needs. Decisions go where OTEL_EXPORTER_OTLP_ENDPOINT says.
`;

/** Runs one command line and returns its exit code. */
export async function runCommand(argv: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    io.stdout.write(HELP);
    return name === undefined ? 2 : 0;
  }
  if (name === '--version' || name === '-V') {
    io.stdout.write(`${packageVersion()}\n`);
    return 0;
  }
  const verb = VERBS.find((candidate) => candidate.name === name);
  if (verb === undefined) {
    io.stderr.write(`mcp-verdict: there is no verb ${printable(name)}. Try: mcp-verdict --help\n`);
    return 2;
  }
  if (asksForHelp(rest)) {
    io.stdout.write(verb.help);
    return 0;
  }
  try {
    return await verb.run(rest, io);
  } catch (error) {
    return report(error, verb, io);
  }
}

/** `--help` before `--`: what stands after it belongs to the command that is wrapped. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return args.slice(0, end === -1 ? args.length : end).some((arg) => arg === '--help' || arg === '-h');
}

function report(error: unknown, verb: Verb, io: Io): number {
  if (error instanceof VerdictError) {
    io.stderr.write(`${printable(error.message)}\n`);
    const row = ERRORS[error.code];
    const exit = 'exit' in row ? row.exit : 1;
    if (exit === 2) io.stderr.write(`Try: mcp-verdict ${verb.name} --help\n`);
    return exit;
  }
  // parseArgs throws plain errors for options that it does not know.
  if (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')) {
    io.stderr.write(`${printable(error.message)}\nTry: mcp-verdict ${verb.name} --help\n`);
    return 2;
  }
  io.stderr.write(
    `mcp-verdict ${verb.name} failed: ${printable(error instanceof Error ? (error.stack ?? error.message) : String(error))}\n`,
  );
  return 1;
}
