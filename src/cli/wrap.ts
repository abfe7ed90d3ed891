/** `wrap`: a policy proxy between a client on stdin and stdout and one server. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { SHUTDOWN_TIMEOUT_MS } from '../config.ts';
import { defaultKeysDirectory, defaultKillSwitchFile } from '../config/places.ts';
import { LOCK_FILE, type PinsConfig } from '../config/pins.ts';
import { parseWatch, WATCH_WORDS } from '../config/reload.ts';
import { defaultSpool, type SpoolConfig } from '../config/spool.ts';
import { VerdictError } from '../errors.ts';
import { PIN_MODES } from '../proxy/pins/pins.ts';
import { childEnvironment } from '../proxy/stdio/child.ts';
import { runWrap } from '../service/wrap.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import { diagnosticsFor, stopSignal } from './process.ts';
import type { Io, Verb } from './verb.ts';
import { splitCommand, TARGET_OPTIONS, targetOf } from './wrap-target.ts';

const HELP = `Usage: mcp-verdict wrap --policy FILE [--server NAME] [--agent NAME] -- COMMAND [ARGS...]
       mcp-verdict wrap --policy FILE [--server NAME] [--agent NAME] [--header 'NAME: VALUE'] URL

Stands between an MCP client on stdin and stdout and one server: COMMAND, which it starts, or the one at URL, which
speaks Streamable HTTP. Every message is decided by the policy before it goes on.

  --policy FILE         a policy file; may be given several times
  --server NAME         what the policy calls this server: rules name tools as NAME/tool (default: local)
  --header 'NAME: VALUE'
                        sent to the URL with every request; may be given several times. \${env:NAME} stands for a
                        variable of the environment, so that no secret is in the list of processes
  --agent NAME          who the client is; recorded, and matched by {agent: NAME} in the policy
  --spool DIR           where records are kept until they are delivered
  --durability LEVEL    sync (default): a call goes on when its record is on the disk; os: when it is written;
                        none: best effort
  --pin MODE            what becomes of a tool that is not as it is pinned (see tools --help): strict, warn or off;
                        default: strict where there is a --lock, else off
  --lock FILE           where tools are pinned (default: tools.lock.json)
  --hide-denied         what policy denies is answered as if there were no such thing
  --keys-directory DIR  where the keys for argument digests and checkpoints are kept
  --kill-switch FILE    what kill stops (default: that of all proxies of this user)
  --watch TIME          how often the policy files are looked at for changes (default: 5s), or off
  --log-level LEVEL     none, error, warn (default), info or debug; on stderr (also OTEL_LOG_LEVEL)

The exit code is COMMAND's own, 143 where a signal ended it; with a URL 4 where the server never answered. It is 0
where mcp-verdict was told to stop.
Decisions go where OTEL_EXPORTER_OTLP_ENDPOINT says.

Examples:
  mcp-verdict wrap --policy policy.yaml --server files --agent claude-code -- \\
    npx -y @modelcontextprotocol/server-filesystem /srv
  claude mcp add files -- mcp-verdict wrap --policy /etc/mcp/policy.yaml --server files -- my-server
  mcp-verdict wrap --policy policy.yaml --server wiki --header 'authorization: Bearer \${env:WIKI_TOKEN}' \\
    https://wiki.example/mcp
`;

export const wrapVerb: Verb = { help: HELP, run };

/** What a shell reports for a process that a signal ended is 128 and the signal's number; this is SIGTERM's. */
const ENDED_BY_SIGNAL = 143;

async function run(args: readonly string[], io: Io): Promise<number> {
  const { own, command } = splitCommand(args);
  const { values, positionals } = parseArgs({
    args: [...own],
    allowPositionals: true,
    options: {
      policy: { type: 'string', multiple: true },
      server: { type: 'string', default: 'local' },
      agent: { type: 'string' },
      'keys-directory': { type: 'string' },
      spool: { type: 'string' },
      durability: { type: 'string', default: 'sync' },
      pin: { type: 'string' },
      lock: { type: 'string' },
      'hide-denied': { type: 'boolean', default: false },
      watch: { type: 'string', default: '5s' },
      'kill-switch': { type: 'string' },
      'log-level': { type: 'string' },
      ...TARGET_OPTIONS,
    },
  });
  const target = targetOf({ command, positionals, header: values.header }, io);
  if (target === undefined) {
    const detail = 'wrap needs a server: its URL, or its command after --';
    throw new VerdictError('usage', { detail });
  }
  if (values.policy === undefined) throw new VerdictError('usage', { detail: 'wrap needs --policy FILE' });
  const watchMs = parseWatch(values.watch);
  if (watchMs === undefined) throw new VerdictError('usage', { detail: `--watch ${WATCH_WORDS}` });
  const diagnostics = diagnosticsFor(io, values['log-level'], 'warn');
  if (target.kind === 'url') warnOfShown(target.shown, diagnostics);
  const hurry = new AbortController();
  const stop = stopSignal(undefined, hurry);
  const end = await runWrap({
    watchMs,
    killSwitchFile: killSwitchOfWrap(values, io),
    policyFiles: values.policy.map((file) => resolve(io.cwd, file)),
    keysDirectory: values['keys-directory'] ?? defaultKeysDirectory(io.env),
    spool: spoolOfWrap(values, io),
    pins: pinsOfWrap(values, io),
    exporters: undefined,
    denials: values['hide-denied'] ? 'hidden' : 'explained',
    onAuditFailure: 'deny',
    env: io.env,
    cwd: io.cwd,
    diagnostics,
    server: values.server,
    agent: values.agent,
    target,
    stdin: io.stdin,
    stdout: io.stdout,
    stderr: io.stderr,
    childEnv: childEnvironment(io.env),
    shutdownTimeoutMs: SHUTDOWN_TIMEOUT_MS,
    signal: stop,
    hurry: hurry.signal,
  });
  // Being told to stop is not a failure, whatever the child made of it.
  if (stop.aborted) return 0;
  return end.code ?? ENDED_BY_SIGNAL;
}

function warnOfShown(shown: readonly string[], diagnostics: Diagnostics): void {
  for (const name of shown) {
    const text = `--header ${name}: everybody on this machine can see its value; use \${env:NAME} in it`;
    diagnostics.warn(text);
  }
}

/** Where the kill switch is that the options of `wrap` name. */
export function killSwitchOfWrap(
  { 'kill-switch': file }: { readonly 'kill-switch'?: string | undefined },
  io: Io,
): string {
  return file === undefined ? defaultKillSwitchFile(io.env) : resolve(io.cwd, file);
}

/** The spool that the options of `wrap` name; throws usage. */
export function spoolOfWrap(
  values: { readonly spool?: string | undefined; readonly durability: string },
  io: Io,
): SpoolConfig {
  const { durability } = values;
  if (durability !== 'sync' && durability !== 'os' && durability !== 'none') {
    throw new VerdictError('usage', { detail: '--durability must be one of sync, os, none' });
  }
  const fallback = defaultSpool(io.env);
  const directory = values.spool === undefined ? fallback.directory : resolve(io.cwd, values.spool);
  return { ...fallback, durability, directory };
}

/** The pins that the options of `wrap` name; throws usage. */
export function pinsOfWrap(
  values: { readonly pin?: string | undefined; readonly lock?: string | undefined; readonly server: string },
  io: Io,
): PinsConfig {
  const given = values.pin ?? (values.lock === undefined ? 'off' : 'strict');
  const mode = PIN_MODES.find((one) => one === given);
  if (mode === undefined) {
    throw new VerdictError('usage', { detail: `--pin must be one of ${PIN_MODES.join(', ')}` });
  }
  return { file: resolve(io.cwd, values.lock ?? LOCK_FILE), modes: new Map([[values.server, mode]]) };
}
