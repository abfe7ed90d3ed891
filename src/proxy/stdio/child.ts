/**
 * The wrapped server as a process tree of our own making: started without a shell, in a process group of its own,
 * and ended as a whole. Servers left behind are what users of stdio proxies report most (reference: MCP, 3.6).
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { VerdictError } from '../../errors.ts';
import { type Limit, limitOf } from '../limit.ts';

/** From the end of its stdin until the child is sent SIGTERM. */
export const CHILD_EXIT_GRACE_MS: Limit = { default: 5000, maximum: 600_000 };

/**
 * From SIGTERM to SIGKILL. The clients of the official SDKs kill us 2 s after they have sent us SIGTERM: by then the
 * child must be gone, or nobody is left to end it.
 */
export const CHILD_TERM_GRACE_MS: Limit = { default: 1500, maximum: 60_000 };

/** How often we look whether the rest of the group has gone; there is no event for it. */
const GROUP_POLL_MS = 20;

/** Runs something later. @returns a function that calls it off */
export type Schedule = (delayMs: number, run: () => void) => () => void;

export const schedule: Schedule = (delayMs, run) => {
  const timer = setTimeout(run, delayMs);
  return () => clearTimeout(timer);
};

export interface ChildCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the child; see childEnvironment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string | undefined;
}

export interface ChildTimes {
  readonly exitGraceMs?: number | undefined;
  readonly termGraceMs?: number | undefined;
  readonly schedule: Schedule;
}

/** How a process ended; `code` is null where a signal ended it. */
export interface ChildEnd {
  readonly code: number | null;
  readonly signal?: string;
}

export interface Child {
  readonly pid: number;
  readonly stdin: NodeJS.WritableStream;
  readonly stdout: NodeJS.ReadableStream;
  readonly stderr: NodeJS.ReadableStream;
  /** Resolves when the process has ended and what was left of its group has been ended too. */
  readonly ended: Promise<ChildEnd>;
  /** Starts the way out: grace, SIGTERM, grace, SIGKILL, each to the whole group. The caller ends `stdin`. */
  stop(): void;
  /** The same from SIGTERM on, at once. @param graceMs until SIGKILL; default: as ChildTimes say */
  terminate(graceMs?: number): void;
}

/**
 * Starts the command.
 * @throws VerdictError command_failed
 */
export async function startChild(command: ChildCommand, times: ChildTimes): Promise<Child> {
  const exitGraceMs = limitOf('exitGraceMs', CHILD_EXIT_GRACE_MS, times.exitGraceMs);
  const termGraceMs = limitOf('termGraceMs', CHILD_TERM_GRACE_MS, times.termGraceMs);
  const started = await spawned(command);
  const { process: child, pid } = started;
  remember(pid);
  let callOff: (() => void) | undefined;
  let exited = false;

  const ended = started.exit.then(async (end) => {
    exited = true;
    callOff?.();
    await endGroup(pid, termGraceMs, times.schedule);
    forget(pid);
    return end;
  });
  const terminate = (graceMs = termGraceMs): void => {
    if (exited) return;
    callOff?.();
    signalGroup(pid, 'SIGTERM');
    callOff = times.schedule(graceMs, () => void signalGroup(pid, 'SIGKILL'));
  };
  return {
    pid,
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    ended,
    stop() {
      if (exited || callOff !== undefined) return;
      callOff = times.schedule(exitGraceMs, () => terminate());
    },
    terminate,
  };
}

/** Groups that have not ended. */
const living = new Set<number>();

function remember(pid: number): void {
  if (living.size === 0) process.on('exit', killLiving);
  living.add(pid);
}

function forget(pid: number): void {
  living.delete(pid);
  if (living.size === 0) process.off('exit', killLiving);
}

/** Where this process ends at once, by a failure or for somebody's impatience, it leaves none of them behind. */
function killLiving(): void {
  for (const pid of living) signalGroup(pid, 'SIGKILL');
}

interface Started {
  readonly process: ChildProcessWithoutNullStreams;
  readonly pid: number;
  readonly exit: Promise<ChildEnd>;
}

function spawned({ command, args, env, cwd }: ChildCommand): Promise<Started> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      const detail = error instanceof Error ? error.message : String(error);
      reject(new VerdictError('command_failed', { command, detail }, { cause: error }));
    };
    try {
      const child = spawn(command, [...args], {
        env: { ...env },
        // `detached` makes it the leader of a new process group, whose id is its pid.
        detached: true,
        shell: false,
        stdio: ['pipe', 'pipe', 'pipe'],
        ...(cwd === undefined ? {} : { cwd }),
      });
      const exit = new Promise<ChildEnd>((done) => {
        child.once('exit', (code, signal) => done(signal === null ? { code } : { code, signal }));
      });
      child.once('error', fail);
      child.once('spawn', () => {
        child.off('error', fail);
        // What can fail from here on are signals to a process that has gone.
        child.on('error', () => undefined);
        if (child.pid !== undefined) resolve({ process: child, pid: child.pid, exit });
      });
    } catch (error) {
      fail(error);
    }
  });
}

/** Ends what the process left behind in its group, gently first. */
async function endGroup(pid: number, termGraceMs: number, schedule: Schedule): Promise<void> {
  if (!signalGroup(pid, 'SIGTERM')) return;
  for (let waitedMs = 0; waitedMs < termGraceMs; waitedMs += GROUP_POLL_MS) {
    await new Promise<void>((resolve) => {
      schedule(GROUP_POLL_MS, resolve);
    });
    if (!signalGroup(pid, 0)) return;
  }
  signalGroup(pid, 'SIGKILL');
}

/** @returns whether the group still has a member */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
}

/**
 * What a wrapped server gets of our environment: all of it, but not what is for our eyes only: our own settings
 * and keys, and the credentials for the collector, which may stand in the URL of an endpoint too.
 */
export function childEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || WITHHELD.test(name)) continue;
    const shown = ENDPOINT.test(name) ? withoutCredentials(value) : value;
    if (shown !== undefined) passed[name] = shown;
  }
  return passed;
}

const ENDPOINT = /^OTEL_.*_ENDPOINT$/i;

/** A URL without the parts that can hold a credential; undefined where it cannot be read. */
function withoutCredentials(text: string): string | undefined {
  if (!/[@?#]/.test(text)) return text;
  try {
    const url = new URL(text.trim());
    // `user:secret@host` is a URL too, of the scheme `user`.
    if (!/^https?:$/.test(url.protocol)) return undefined;
    url.username = '';
    url.password = '';
    url.search = '';
    url.hash = '';
    return url.href;
  } catch {
    return undefined;
  }
}

const WITHHELD = /^(?:MCP_VERDICT_.*|OTEL_.*_HEADERS|OTEL_.*_CLIENT_KEY)$/i;
