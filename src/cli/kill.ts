/** `kill`: stops callers, servers or everything in seconds, whatever policy says, and lifts that again. */
import { mkdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { defaultKillSwitchFile } from '../config/places.ts';
import { parseDurationMs } from '../config/quantity.ts';
import { readTextFile } from '../config/text-file.ts';
import { VerdictError } from '../errors.ts';
import {
  isOver,
  KILL_REASON_CHARS_MAX,
  isSameTarget,
  killsText,
  KILLS_MAX,
  loadKills,
  targetText,
  type Kill,
} from '../policy/kills.ts';
import { listFaults } from '../service/files.ts';
import { KILL_LOOK_MS } from '../service/kill-switch.ts';
import { printable } from '../telemetry/diagnostics.ts';
import { updateFile, type NamedFile } from './update-file.ts';
import type { Io, Verb } from './verb.ts';

const HELP = `Usage: mcp-verdict kill TARGET... [--reason TEXT] [--for TIME] [--file FILE] [--json]
       mcp-verdict kill list [--file FILE] [--json]
       mcp-verdict kill lift TARGET... [--file FILE] [--json]

Stops what it names, in every serve and every wrap of this user, within ${(2 * KILL_LOOK_MS) / 1000} seconds and without a restart: each of its
messages is refused before policy is asked, and recorded as such; its calls in flight and its streams end, and the
processes that serve has started of a server named here. lift undoes it. Only what is verified is matched, never what
a client says of itself.

  --all           everything
  --server NAME   a server, as verdict.yaml (or wrap --server) names it
  --user ID       a user, as user.id in the records; with --issuer ISSUER, only where that one vouches for it
  --agent NAME    an agent, by its verified id or name, also where it has passed a task on
  --key ID        an API key, by its id: k_...
  --reason TEXT   recorded, and told to agents
  --for TIME      ends by itself, for example 30m; by the clock of each proxy
  --file FILE     the kill switch (default: that of all proxies of this user; see kill_switch in verdict.yaml)
  --json          print JSON

Each of the targets may be given several times. A FILE that cannot be read stops everything. lift --all lifts what
--all has stopped, and nothing else.

Examples:
  mcp-verdict kill --server stripe --reason "card numbers in results" --for 1h
  mcp-verdict kill --agent claude-code --user alice
  mcp-verdict kill list
  mcp-verdict kill lift --server stripe
`;

export const killVerb: Verb = { help: HELP, run };

const OPTIONS = {
  all: { type: 'boolean', default: false },
  server: { type: 'string', multiple: true },
  user: { type: 'string', multiple: true },
  issuer: { type: 'string' },
  agent: { type: 'string', multiple: true },
  key: { type: 'string', multiple: true },
  reason: { type: 'string' },
  for: { type: 'string' },
  file: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'];

/** Of --for. */
export const KILL_FOR_MS_MAX = 400 * 86_400_000;

/** Of what it stops, only its owner need know. */
const FILE_MODE = 0o600;

async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
  const [action = 'throw', ...rest] = positionals;
  if (rest.length > 0 || !isAction(action)) {
    throw usage(`kill has the sub-verbs list and lift, and none is called ${[action, ...rest].join(' ')}`);
  }
  const file: NamedFile = {
    path: values.file === undefined ? defaultKillSwitchFile(io.env) : resolve(io.cwd, values.file),
    shown: values.file ?? defaultKillSwitchFile(io.env),
  };
  if (action === 'list') return list(file, values, io);
  const targets = targetsOf(values);
  if (targets.length === 0) throw usage(`kill needs one of --all, --server, --user, --agent, --key`);
  const { kills, lines } =
    action === 'lift' ? await lift(file, targets) : await thrown(file, targets, values);
  if (values.json) io.stdout.write(report(file, kills));
  else io.stdout.write([...lines, ...standing(file, kills)].map((line) => `${printable(line)}\n`).join(''));
  return 0;
}

function isAction(action: string): action is 'throw' | 'list' | 'lift' {
  return action === 'throw' || action === 'list' || action === 'lift';
}

function usage(detail: string): VerdictError {
  return new VerdictError('usage', { detail });
}

function targetsOf({ all, server = [], user = [], issuer, agent = [], key = [] }: Values): Kill[] {
  if (issuer !== undefined && user.length === 0) throw usage('--issuer goes with --user');
  // A whole key has no place on a command line, and none in a file.
  if (key.some((id) => !/^k_[A-Za-z0-9]{4,32}$/.test(id)))
    throw usage('--key must be the id of a key: k_ and 4 to 32 letters and digits');
  return [
    ...(all ? [{ scope: 'all' } as const] : []),
    ...server.map((id) => ({ scope: 'server', id }) as const),
    ...user.map((id) => ({ scope: 'user', id, issuer }) as const),
    ...agent.map((id) => ({ scope: 'agent', id }) as const),
    ...key.map((id) => ({ scope: 'api_key', id }) as const),
  ];
}

interface Done {
  /** What is stopped now. */
  readonly kills: readonly Kill[];
  readonly lines: readonly string[];
}

async function thrown(file: NamedFile, targets: readonly Kill[], values: Values): Promise<Done> {
  const nowMs = Date.now();
  const until = untilOf(values.for, nowMs);
  const facts = { reason: values.reason, since: new Date(nowMs).toISOString(), until, by: userName() };
  const added = targets.map((target): Kill => ({ ...target, ...facts }));
  // Else the fault would be told of a file that nobody has written by hand.
  if (!loadKills(file.shown, killsText(added)).ok) {
    throw usage(
      `names and --reason must each stand on one line, and the reason in ${KILL_REASON_CHARS_MAX} characters`,
    );
  }
  mkdirSync(dirname(file.path), { recursive: true, mode: 0o700 });
  const kills = await change(file, (before) => [
    ...before.filter((kill) => !added.some((other) => isSameTarget(kill, other))),
    ...added,
  ]);
  const end = until === undefined ? 'until it is lifted' : `until ${until}`;
  return { kills, lines: added.map((kill) => `Stopped ${targetText(kill)} ${end}.`) };
}

async function lift(file: NamedFile, targets: readonly Kill[]): Promise<Done> {
  const lines: string[] = [];
  const kills = await change(file, (before) => {
    for (const target of targets) {
      const found = before.some((kill) => isSameTarget(kill, target));
      lines.push(found ? `Lifted ${targetText(target)}.` : `${targetText(target)} was not stopped.`);
    }
    return before.filter((kill) => !targets.some((target) => isSameTarget(kill, target)));
  });
  return { kills, lines };
}

/** @param make is given what is stopped now, without what is over */
async function change(
  file: NamedFile,
  make: (before: readonly Kill[]) => readonly Kill[],
): Promise<readonly Kill[]> {
  let after: readonly Kill[] = [];
  await updateFile(file, { mode: FILE_MODE }, (text) => {
    after = make(text === undefined ? [] : current(file, text));
    if (after.length > KILLS_MAX)
      throw new VerdictError('config_invalid', {
        detail: `${file.shown} would hold more than ${KILLS_MAX} entries`,
      });
    const next = killsText(after);
    // What proxies could not read would stop everything.
    current(file, next);
    return next;
  });
  return after;
}

function current({ shown }: NamedFile, text: string): readonly Kill[] {
  const loaded = loadKills(shown, text);
  if (loaded.ok) return loaded.kills.filter((kill) => !isOver(kill, Date.now()));
  const detail = `${listFaults(loaded.faults)}\nUntil it is mended or removed, proxies refuse everything`;
  throw new VerdictError('config_invalid', { detail });
}

function list(file: NamedFile, { json }: Values, io: Io): number {
  let kills: readonly Kill[] = [];
  try {
    kills = current(file, readTextFile(file.path));
  } catch (error) {
    if (!(error instanceof VerdictError) || error.details['detail'] !== 'there is no such file') throw error;
  }
  io.stdout.write(
    json
      ? report(file, kills)
      : standing(file, kills)
          .map((line) => `${printable(line)}\n`)
          .join(''),
  );
  return 0;
}

function standing({ shown }: NamedFile, kills: readonly Kill[]): string[] {
  if (kills.length === 0) return [`Nothing is stopped (${shown}).`];
  const line = (kill: Kill): string => {
    const { reason, since, until, by } = kill;
    const facts = [
      ...(reason === undefined ? [] : [reason]),
      ...(since === undefined ? [] : [`since ${since}`]),
      ...(until === undefined ? [] : [`until ${until}`]),
      ...(by === undefined ? [] : [`by ${by}`]),
    ];
    return `  ${targetText(kill)}${facts.length === 0 ? '' : `: ${facts.join(', ')}`}`;
  };
  return [`Stopped now (${shown}):`, ...kills.map(line)];
}

function report({ path }: NamedFile, kills: readonly Kill[]): string {
  return `${JSON.stringify({ file: path, kills }, undefined, 2)}\n`;
}

function untilOf(text: string | undefined, nowMs: number): string | undefined {
  if (text === undefined) return undefined;
  const ms = parseDurationMs(text);
  if (ms === undefined || ms <= 0 || ms > KILL_FOR_MS_MAX)
    throw usage('--for must be a time up to 400d, for example 1h');
  return new Date(nowMs + ms).toISOString();
}

function userName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    // A container may run with a uid that has no passwd entry.
    return undefined;
  }
}
