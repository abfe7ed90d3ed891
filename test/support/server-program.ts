/** A server that stands behind the collector in tests, as a program of its own on a free loopback port. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { freePort } from './free-port.ts';

export interface ServerOptions {
  readonly binary: string;
  readonly args: (port: number) => readonly string[];
  /** All that it sees of this process's environment, besides PATH. */
  readonly env?: Readonly<Record<string, string>>;
  /** Answers GET with 200 when it serves. */
  readonly healthPath: string;
}

export interface ServerProgram {
  readonly port: number;
  /** `http://127.0.0.1:PORT`, over all restarts. */
  readonly url: string;
  /** What it has said, on stdout and stderr. */
  readonly output: () => string;
  /** SIGTERM; resolves when it has ended. May be called twice. */
  readonly stop: () => Promise<void>;
  /** SIGKILL; resolves when it has ended. */
  readonly kill: () => Promise<void>;
  /** Starts it on its port and with its files, after `stop` or `kill`; resolves when it serves. */
  readonly start: () => Promise<void>;
}

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;
const POLL_INTERVAL_MS = 20;

/** Resolves when it serves; throws with its own words where it does not. */
export async function startServer(options: ServerOptions): Promise<ServerProgram> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let output = '';
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const started = spawn(options.binary, options.args(port), {
      env: { PATH: process.env['PATH'] ?? '', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = started;
    const killAtExit = (): void => void started.kill('SIGKILL');
    process.once('exit', killAtExit);
    started.once('exit', () => process.off('exit', killAtExit));
    for (const stream of [started.stdout, started.stderr])
      stream.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
    await untilServing(started, `${url}${options.healthPath}`, () => output);
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child === undefined || hasEnded(child)) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    const overdue = setTimeout(() => child?.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(overdue);
  };
  try {
    await start();
  } catch (error) {
    await end('SIGKILL');
    throw error;
  }
  return { port, url, output: () => output, start, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function untilServing(child: ChildProcess, url: string, output: () => string): Promise<void> {
  const end = performance.now() + START_TIMEOUT_MS;
  while (!(await answers(url))) {
    if (hasEnded(child)) throw new Error(`The server ended before it served:\n${output()}`);
    if (performance.now() > end)
      throw new Error(`The server did not serve after ${START_TIMEOUT_MS} ms:\n${output()}`);
    await wait(POLL_INTERVAL_MS);
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url);
    await response.text();
    return response.ok;
  } catch {
    return false;
  }
}
