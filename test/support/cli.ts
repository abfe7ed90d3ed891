/** Runs the built command line, as a user would have it. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../../src/cli/commands.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const CLI = join(ROOT, 'dist/cli/main.js');

export interface Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves with the first match in stdout or stderr; rejects when the process ends before. */
  waitFor(pattern: RegExp): Promise<RegExpExecArray>;
  /** Resolves when the process has ended. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  stop(
    signal?: NodeJS.Signals,
  ): Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

/** State of what these tests start: keys and spools of a user of their own. */
const STATE = mkdtempSync(join(tmpdir(), 'mcp-verdict-state-'));
process.on('exit', () => rmSync(STATE, { recursive: true, force: true }));

/** The environment of a user who has set nothing of ours. */
export function plainEnvironment(): Record<string, string | undefined> {
  const foreign = Object.entries(process.env).filter(([name]) => !/^(OTEL_|MCP_VERDICT_)/.test(name));
  return { ...Object.fromEntries(foreign), XDG_STATE_HOME: STATE };
}

export function startCli(args: readonly string[], options: CommandOptions = {}): Running {
  assert.ok(existsSync(CLI), 'dist is missing: npm run build');
  return startCommand(process.execPath, [CLI, ...args], options);
}

export function startCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Running {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...plainEnvironment(), ...options.env },
    stdio: 'pipe',
  });
  const texts = { stdout: '', stderr: '' };
  const checks = new Set<() => void>();
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text;
      for (const check of checks) check();
    });
  }
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal }));
  return {
    child,
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    ended,
    waitFor: (pattern) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          const match = pattern.exec(texts.stdout) ?? pattern.exec(texts.stderr);
          if (match === null) return;
          checks.delete(check);
          resolve(match);
        };
        checks.add(check);
        check();
        void ended.then(({ code }) =>
          reject(new Error(`ended with ${code} before ${pattern}:\n${texts.stderr}`)),
        );
      }),
    async stop(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      return await ended;
    },
  };
}

/** Runs to the end and returns what came out. */
export async function runCli(
  args: readonly string[],
  options: CommandOptions & { readonly input?: string } = {},
) {
  const running = startCli(args, options);
  running.child.stdin.end(options.input ?? '');
  const { code } = await running.ended;
  return { code, stdout: running.stdout(), stderr: running.stderr() };
}

/** The same in this process and of the source: where the question is what a verb says, and not that it starts. */
export async function runHere(args: readonly string[], cwd: string, env: CommandOptions['env'] = {}) {
  const texts = { stdout: '', stderr: '' };
  const sink = (name: keyof typeof texts): Writable =>
    new Writable({
      write(chunk: Buffer, _, written) {
        texts[name] += chunk.toString();
        written();
      },
    });
  const before = SIGNALS.map((signal) => new Set(process.listeners(signal)));
  const code = await runCommand(args, {
    stdin: process.stdin,
    stdout: sink('stdout'),
    stderr: sink('stderr'),
    env: { ...plainEnvironment(), ...env },
    cwd,
  });
  // A verb listens for them until its process ends, which here goes on.
  for (const [index, signal] of SIGNALS.entries())
    for (const listener of process.listeners(signal))
      if (before[index]?.has(listener) !== true) process.off(signal, listener);
  return { code, ...texts };
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
