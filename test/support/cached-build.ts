/**
 * Programs that tests run and Go builds. A binary is kept outside the clone, under a hash of all that goes into it, so
 * that a second clone, or a second run, finds it ready.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as wait } from 'node:timers/promises';

/** A cold build takes minutes; whoever waits for another one's is told so this often. */
const PROGRESS_INTERVAL_MS = 10_000;
const LOCK_INTERVAL_MS = 250;
const STEP_TIMEOUT_MS = 300_000;
/** Lines of a failed command's output that are shown. */
const OUTPUT_LINES_MAX = 30;

export type Environment = Readonly<Record<string, string | undefined>>;

/** Why there is no program, in words for whoever ran the command. */
export class BuildError extends Error {}

/** Runs one go command; `step` is what it does, for progress and errors. Throws BuildError with its output. */
export type Go = (step: string, args: readonly string[], options?: GoOptions) => Promise<void>;

export interface GoOptions {
  /** Default: the build's own directory. */
  readonly cwd?: string;
  readonly env?: Environment;
}

export interface Build {
  /** In progress lines: `NAME: compiling (0:05)`. */
  readonly name: string;
  /** What the binary is called in `directory`. */
  readonly binary: string;
  /** One for each different build: see `cacheDirectory`. */
  readonly directory: string;
  /** What to do where there is no go, as the end of a sentence after a colon. */
  readonly noGo: string;
  /** Asked with `--version`, or what else it takes; exit code 0 says that the binary runs here. */
  readonly trial: readonly string[];
  readonly env: Environment;
  /** One line of progress, without its end. */
  readonly report: (line: string) => void;
  /** Builds in `work`, an empty directory. @returns the path of the binary in it */
  readonly make: (work: string, go: Go) => Promise<string>;
}

/** The path of the binary, built where need be; throws BuildError with what is missing and what to do. */
export async function buildOnce(build: Build): Promise<string> {
  const path = join(build.directory, build.binary);
  if (existsSync(path)) return path;
  if (!isOnPath('go', build.env)) throw new BuildError(`The ${build.name} cannot be built: ${build.noGo}`);
  mkdirSync(build.directory, { recursive: true });
  const unlock = await lock(join(build.directory, 'lock.sqlite'), build);
  try {
    if (!existsSync(path)) await buildInto(path, build);
  } finally {
    unlock();
  }
  return path;
}

/** Where a build is kept; `ingredients` are all that makes its binary another one. */
export function cacheDirectory(kind: string, ingredients: readonly string[], env: Environment): string {
  const xdg = env['XDG_CACHE_HOME'];
  const root = xdg !== undefined && xdg !== '' ? xdg : join(env['HOME'] ?? homedir(), '.cache');
  const hash = createHash('sha256').update(ingredients.join('\n')).digest('hex');
  return join(root, 'mcp-verdict', kind, hash.slice(0, 16));
}

/**
 * Fills a directory that is whole or not there: `fill` works in another one, which gets its name as the last step.
 * Where another process was first, its is as good.
 */
export function fillOnce(directory: string, fill: (work: string) => void): void {
  if (existsSync(directory)) return;
  const work = `${directory}-work-${process.pid}`;
  try {
    mkdirSync(dirname(directory), { recursive: true });
    fill(work);
    renameSync(work, directory);
  } catch (error) {
    if (!existsSync(directory)) throw error;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Runs one command of an installation; throws BuildError with what it has said. */
export function runStep(command: string, args: readonly string[], env: Environment = process.env): void {
  const { status, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: STEP_TIMEOUT_MS,
    env,
  });
  if (status !== 0)
    throw new BuildError(`${[command, ...args].join(' ')} failed: ${error?.message ?? stderr}`);
}

/** Whether a command of that name is in one of the directories of PATH. */
export function isOnPath(command: string, env: Environment): boolean {
  const directories = (env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '');
  return directories.some((directory) => {
    try {
      accessSync(join(directory, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export function reportToStderr(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Builds in a directory of its own and renames the binary into place as the last step: it is whole or not there. */
async function buildInto(path: string, build: Build): Promise<void> {
  const started = performance.now();
  removeLeftovers(build.directory);
  const work = join(build.directory, `work-${process.pid}`);
  mkdirSync(work, { recursive: true });
  const go: Go = (step, args, { cwd = work, env = build.env } = {}) =>
    run({ build, step, args, cwd, env: goEnvironment(env), started });
  try {
    const made = await build.make(work, go);
    requireRunning(made, build);
    renameSync(made, path);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  build.report(`${build.name}: built in ${elapsed(started)}: ${path}`);
}

/** What killed builds left; nobody else builds while the lock is held. */
function removeLeftovers(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (name.startsWith('work-')) rmSync(join(directory, name), { recursive: true, force: true });
  }
}

/** The user's Go settings, less those that would change what is built. */
function goEnvironment(env: Environment): Environment {
  return { ...env, CGO_ENABLED: '0', GOWORK: 'off' };
}

interface Step {
  readonly build: Build;
  readonly step: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Environment;
  readonly started: number;
}

/** Runs one go command, and says every few seconds that it still runs. */
async function run({ build, step, args, cwd, env, started }: Step): Promise<void> {
  const say = (): void => build.report(`${build.name}: ${step} (${elapsed(started)})`);
  say();
  const child = spawn('go', args, { cwd, env, stdio: ['ignore', 'ignore', 'pipe'] });
  const output: string[] = [];
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => output.push(chunk));
  const ticker = setInterval(say, PROGRESS_INTERVAL_MS);
  try {
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    child.once('error', reject).once('close', resolve);
    const code = await promise;
    if (code !== 0)
      throw new BuildError(`The ${build.name} could not be built: ${step} failed.\n${tail(output)}`);
  } finally {
    clearInterval(ticker);
  }
}

function tail(output: readonly string[]): string {
  const lines = output.join('').trimEnd().split('\n');
  return lines
    .filter((line) => !line.startsWith('go: downloading'))
    .slice(-OUTPUT_LINES_MAX)
    .join('\n');
}

/** `1:05`: minutes and seconds since `started`. */
function elapsed(started: number): string {
  const seconds = Math.round((performance.now() - started) / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/**
 * One build at a time. The lock is an open transaction of SQLite's, which the system frees when its holder dies, so
 * that a killed build is in nobody's way.
 * @returns a function that frees it
 */
async function lock(file: string, { name, report }: Build): Promise<() => void> {
  const database = new DatabaseSync(file);
  const started = performance.now();
  let told = Number.NEGATIVE_INFINITY;
  while (!tryExclusive(database)) {
    if (performance.now() - told >= PROGRESS_INTERVAL_MS) {
      told = performance.now();
      report(`${name}: waiting for another process that is building it (${elapsed(started)})`);
    }
    await wait(LOCK_INTERVAL_MS);
  }
  return () => database.close();
}

function tryExclusive(database: DatabaseSync): boolean {
  try {
    database.exec('BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if (error instanceof Error && /locked|busy/.test(error.message)) return false;
    throw error;
  }
}

function requireRunning(binary: string, { name, trial }: Build): void {
  const { status, stderr } = spawnSync(binary, trial, { encoding: 'utf8' });
  if (status !== 0) throw new BuildError(`The ${name} was built but does not run: ${stderr}`);
}
