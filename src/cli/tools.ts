/** `tools`: pins the tools of servers, and tells what has changed since. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { loadServeConfig } from '../config.ts';
import { packageVersion } from '../config/places.ts';
import { LOCK_FILE } from '../config/pins.ts';
import { VerdictError } from '../errors.ts';
import { childEnvironment } from '../proxy/stdio/child.ts';
import { loadLock, lockText, NO_LOCK, type ToolLock } from '../proxy/pins/lock.ts';
import { lockChanges, type LockChange } from '../proxy/pins/lock-change.ts';
import { findingLine } from '../service/doctor/finding.ts';
import { countText } from '../service/doctor/quantities.ts';
import { setupOfServe, type Upstream } from '../service/doctor/setup.ts';
import { listFaults, shownPath } from '../service/files.ts';
import { readLock } from '../service/pins.ts';
import { listTools, type ServerTools } from '../service/tools.ts';
import { printable } from '../telemetry/diagnostics.ts';
import { stopSignal } from './process.ts';
import { updateFile, type NamedFile } from './update-file.ts';
import type { Io, Verb } from './verb.ts';

const HELP = `Usage: mcp-verdict tools lock  --config verdict.yaml [--server NAME]... [--lock FILE] [--json]
       mcp-verdict tools check --config verdict.yaml [--server NAME]... [--lock FILE] [--json]
       mcp-verdict tools lock|check [--lock FILE] [--server NAME] [--json] -- COMMAND [ARGS...]

What a server says of its tools, models read and believe, and a server can say something else tomorrow. So tools are
pinned: lock asks each server for its tools and writes their definitions to a file, which belongs under version
control beside the policy; check says how what servers list differs from it. Both tell each tool that was added,
removed or changed, and where. With the file in force (pins in verdict.yaml, --pin for wrap)

  strict   a tool that is not as it is pinned is taken out of lists, and its calls are denied
  warn     it is recorded and goes on
  off      calls are recorded with the digest of their tool all the same

Servers are asked in both protocols where they speak both, and as by a client of every capability.

  --config FILE   the configuration of serve; its servers that are pinned are asked, or all where none is
  --server NAME   only this one; with a COMMAND, what the policy calls it (default: local)
  --lock FILE     default: pins.file of the config, else ${LOCK_FILE}
  --json          print JSON

Exit codes: 0 good, 1 something differs (check) or cannot be pinned, 2 usage, 3 config or file are invalid, 4 a server
cannot be asked. Where one server fails, nothing is written.

Examples:
  mcp-verdict tools lock --config verdict.yaml
  mcp-verdict tools check --config verdict.yaml --server stripe
  mcp-verdict tools lock --server files -- npx -y @modelcontextprotocol/server-filesystem /srv
`;

export const toolsVerb: Verb = { help: HELP, run };

const OPTIONS = {
  config: { type: 'string' },
  server: { type: 'string', multiple: true },
  lock: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'];

async function run(args: readonly string[], io: Io): Promise<number> {
  const split = args.indexOf('--');
  const { values, positionals } = parseArgs({
    args: args.slice(0, split === -1 ? args.length : split),
    allowPositionals: true,
    options: OPTIONS,
  });
  const [verb] = positionals;
  if ((verb !== 'lock' && verb !== 'check') || positionals.length > 1) {
    throw new VerdictError('usage', { detail: 'tools has two sub-verbs: lock and check' });
  }
  const subject = subjectOf(values, split === -1 ? undefined : args.slice(split + 1), io);
  const { file } = subject;
  const before = verb === 'lock' && !existsSync(file.path) ? NO_LOCK : readLock(file.path, io.cwd);
  const signal = stopSignal();
  const { servers, failures } = await listTools({
    upstreams: subject.asked,
    version: packageVersion(),
    signal,
  });
  for (const failure of failures) io.stderr.write(`${printable(findingLine(failure))}\n`);
  if (failures.length > 0 || signal.aborted) return Math.max(1, ...failures.map(({ exit = 4 }) => exit));
  const seen: Seen = {
    ...subject,
    servers,
    changes: lockChanges(before, mergedWith(before, subject, servers)),
  };
  if (verb === 'lock') {
    await updateFile(file, { mode: LOCK_MODE }, (text) => lockedText(seen, text));
  }
  io.stdout.write(values.json ? jsonOf(seen) : printable(linesOf(seen, verb).join('\n')) + '\n');
  return verb === 'check' && seen.changes.length > 0 ? 1 : 0;
}

/** It holds nothing that is not shown to every client. */
const LOCK_MODE = 0o666;

interface Subject {
  readonly file: NamedFile;
  readonly asked: readonly Upstream[];
  /** Servers whose entries stay although they are not asked; undefined: all. */
  readonly configured: ReadonlySet<string> | undefined;
}

interface Seen extends Subject {
  readonly servers: readonly ServerTools[];
  readonly changes: readonly LockChange[];
}

function subjectOf(values: Values, command: readonly string[] | undefined, io: Io): Subject {
  const named = values.server ?? [];
  const fileOf = (shown: string): NamedFile => ({ path: resolve(io.cwd, shown), shown });
  if ((values.config === undefined) === (command === undefined)) {
    throw new VerdictError('usage', {
      detail: 'tools needs --config FILE, or the command of a server after --',
    });
  }
  if (values.config === undefined) {
    const [program, ...args] = command ?? [];
    if (program === undefined || named.length > 1) {
      throw new VerdictError('usage', {
        detail: 'tools needs one command after --, and one --server for it',
      });
    }
    const [name = 'local'] = named;
    const asked: Upstream = { kind: 'stdio', name, command: program, args, env: childEnvironment(io.env) };
    return { file: fileOf(values.lock ?? LOCK_FILE), asked: [asked], configured: undefined };
  }
  const config = loadServeConfig(resolve(io.cwd, values.config), io.env);
  const { upstreams } = setupOfServe(config);
  const unknown = named.find((name) => !config.servers.has(name));
  if (unknown !== undefined) {
    throw new VerdictError('usage', { detail: `${values.config} has no server ${unknown}` });
  }
  const pinned = upstreams.filter(({ name }) => config.pins.modes.get(name) !== 'off');
  const wanted = pinned.length > 0 ? pinned : upstreams;
  return {
    file:
      values.lock === undefined
        ? { path: config.pins.file, shown: shownPath(config.pins.file, io.cwd) }
        : fileOf(values.lock),
    asked: named.length > 0 ? upstreams.filter(({ name }) => named.includes(name)) : wanted,
    configured: named.length > 0 ? undefined : new Set(config.servers.keys()),
  };
}

/** The lock with what servers list now; what was not asked stays, unless there is no such server any more. */
function mergedWith(before: ToolLock, { configured }: Subject, servers: readonly ServerTools[]): ToolLock {
  const kept = [...before].filter(([server]) => configured?.has(server) ?? true);
  return new Map([...kept, ...servers.map(({ server, tools }) => [server, tools] as const)]);
}

/** @param text as it is now: another process may have written it meanwhile */
function lockedText(seen: Seen, text: string | undefined): string {
  const { file, servers } = seen;
  const now = text === undefined ? { ok: true as const, lock: NO_LOCK } : loadLock(file.shown, text);
  if (!now.ok) throw new VerdictError('config_invalid', { detail: listFaults(now.faults) });
  const locked = lockText(mergedWith(now.lock, seen, servers));
  // Before it is written: a file that is too large, say, would pin nothing.
  const again = loadLock(file.shown, locked);
  if (!again.ok) throw new VerdictError('config_invalid', { detail: listFaults(again.faults) });
  return locked;
}

const MARKS = { added: '+', removed: '-', changed: '~' } as const;

function linesOf({ file, servers, changes }: Seen, verb: 'lock' | 'check'): string[] {
  const asked = servers.flatMap(({ server, tools, protocols, leftOut }) => [
    `${server}: ${countText(tools.size, 'tool')}, asked in MCP ${protocols.join(' and ')}`,
    ...leftOut.map(
      (name) => `${server}: a tool is left out, since nobody can call it: ${JSON.stringify(name)}`,
    ),
  ]);
  const told = changes.flatMap(({ server, tool, kind, difference, unseen }) => [
    `${MARKS[kind]} ${server}/${tool}`,
    ...difference.map((line) => `    ${line}`),
    ...unseen.map((line) => `    ! ${unseenText(line, file)}`),
  ]);
  return [...asked, ...told, summaryOf(file, changes, verb)];
}

/** @param line a pointer, or the number of further ones */
function unseenText(line: string, { shown }: NamedFile): string {
  if (!line.startsWith('/')) return line;
  return `${line} holds characters that are not seen; ${shown} shows them as escapes`;
}

function summaryOf({ shown }: NamedFile, changes: readonly LockChange[], verb: 'lock' | 'check'): string {
  if (changes.length === 0) return `${shown}: nothing has changed`;
  const counts = (['added', 'changed', 'removed'] as const)
    .map((kind) => [changes.filter((change) => change.kind === kind).length, kind] as const)
    .filter(([count]) => count > 0)
    .map(([count, kind]) => `${count} ${kind}`);
  if (verb === 'lock') return `${shown}: written, ${counts.join(', ')}`;
  return `${shown}: ${counts.join(', ')}; once somebody has looked at it: mcp-verdict tools lock`;
}

function jsonOf({ file, servers, changes }: Seen): string {
  const asked = servers.map(({ server, tools, protocols, leftOut }) => ({
    server,
    protocols,
    tools: Object.fromEntries(
      [...tools].map(([name, variants]) => [name, variants.map(({ digest }) => digest)]),
    ),
    left_out: leftOut,
  }));
  return `${JSON.stringify({ file: file.shown, servers: asked, changes }, undefined, 2)}\n`;
}
