/** From a command line to the verb that runs it, and from an error to its exit code. */
import { ERRORS, VerdictError } from '../errors.ts';
import { printable } from '../telemetry/diagnostics.ts';
import type { Io, Verb } from './verb.ts';

interface Entry {
  readonly name: string;
  /** One line for the list of verbs. */
  readonly summary: string;
  /** Loads the one that is asked for: what all of them need takes longer to load than most take to run. */
  readonly load: () => Promise<Verb>;
}

const VERBS: readonly Entry[] = [
  {
    name: 'wrap',
    summary: 'stand between a stdio client and a server',
    load: async () => (await import('./wrap.ts')).wrapVerb,
  },
  {
    name: 'serve',
    summary: 'stand in front of HTTP servers',
    load: async () => (await import('./serve.ts')).serveVerb,
  },
  {
    name: 'policy',
    summary: 'check policy files, explain what they decide',
    load: async () => (await import('./policy.ts')).policyVerb,
  },
  {
    name: 'tools',
    summary: 'pin the tools of servers, and tell what has changed since',
    load: async () => (await import('./tools.ts')).toolsVerb,
  },
  {
    name: 'records',
    summary: 'read, prove, export and send again what was recorded',
    load: async () => (await import('./records.ts')).recordsVerb,
  },
  {
    name: 'keys',
    summary: 'make API keys for the callers of serve',
    load: async () => (await import('./keys.ts')).keysVerb,
  },
  {
    name: 'kill',
    summary: 'stop callers, servers or everything at once',
    load: async () => (await import('./kill.ts')).killVerb,
  },
  {
    name: 'doctor',
    summary: 'examine a set-up, and say what is wrong and what would be lost',
    load: async () => (await import('./doctor.ts')).doctorVerb,
  },
  {
    name: 'demo',
    summary: 'see it work, with nothing to set up',
    load: async () => (await import('./demo.ts')).demoVerb,
  },
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
    const { packageVersion } = await import('../config/places.ts');
    io.stdout.write(`${packageVersion()}\n`);
    return 0;
  }
  const entry = VERBS.find((candidate) => candidate.name === name);
  if (entry === undefined) {
    io.stderr.write(`mcp-verdict: there is no verb ${printable(name)}. Try: mcp-verdict --help\n`);
    return 2;
  }
  const verb = await entry.load();
  if (asksForHelp(rest)) {
    io.stdout.write(verb.help);
    return 0;
  }
  try {
    return await verb.run(rest, io);
  } catch (error) {
    return report(error, name, io);
  }
}

/** `--help` before `--`: what stands after it belongs to the command that is wrapped. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return args.slice(0, end === -1 ? args.length : end).some((arg) => arg === '--help' || arg === '-h');
}

function report(error: unknown, verb: string, io: Io): number {
  if (error instanceof VerdictError) {
    io.stderr.write(`${printable(error.message)}\n`);
    const row = ERRORS[error.code];
    const exit = 'exit' in row ? row.exit : 1;
    if (exit === 2) io.stderr.write(`Try: mcp-verdict ${verb} --help\n`);
    return exit;
  }
  // parseArgs throws plain errors for options that it does not know.
  if (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')) {
    io.stderr.write(`${printable(error.message)}\nTry: mcp-verdict ${verb} --help\n`);
    return 2;
  }
  io.stderr.write(
    `mcp-verdict ${verb} failed: ${printable(error instanceof Error ? (error.stack ?? error.message) : String(error))}\n`,
  );
  return 1;
}
