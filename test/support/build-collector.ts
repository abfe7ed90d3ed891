/**
 * Our collector, built from collector-config/builder.yaml: `npm run collector:build`, and `findCollector()` for tests.
 *
 * The binary is kept outside the clone, under a hash of all that goes into it, so that a second clone, or a second
 * run, finds it ready. `OTELCOL=/path/to/otelcol` names a ready one instead.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Changes whenever `build` makes another binary from the same manifest. */
const RECIPE = 'otelcol/1 CGO_ENABLED=0 -trimpath -ldflags=-s -w';

const MANIFEST = fileURLToPath(new URL('../../collector-config/builder.yaml', import.meta.url));

/** A cold build takes minutes; whoever waits for another one's is told so this often. */
const PROGRESS_INTERVAL_MS = 10_000;
const LOCK_INTERVAL_MS = 250;
/** Lines of a failed command's output that are shown. */
const OUTPUT_LINES_MAX = 30;

type Environment = Readonly<Record<string, string | undefined>>;

/** What `findCollector` may touch; tests pass their own. */
export interface BuildOptions {
  readonly env?: Environment;
  readonly manifest?: string;
  /** One line of progress, without its end. */
  readonly report?: (line: string) => void;
}

/** Why there is no collector, in words for whoever ran the command. */
export class CollectorError extends Error {}

/**
 * The path of a collector with the components of builder.yaml, built where need be.
 * Throws CollectorError with what is missing and what to do.
 */
export async function findCollector(options: BuildOptions = {}): Promise<string> {
  const { env = process.env, manifest = MANIFEST, report = reportToStderr } = options;
  const named = env['OTELCOL'];
  if (named !== undefined && named !== '') return requireExecutable(named);
  const directory = cacheDirectory(readFileSync(manifest, 'utf8'), env);
  const binary = join(directory, 'otelcol');
  if (existsSync(binary)) return binary;
  if (!isOnPath('go', env)) throw new CollectorError(`The collector cannot be built: ${NO_GO}`);
  mkdirSync(directory, { recursive: true });
  const unlock = await lock(join(directory, 'lock.sqlite'), report);
  try {
    if (!existsSync(binary))
      await build({ manifest: readFileSync(manifest, 'utf8'), directory, env, report });
  } finally {
    unlock();
  }
  return binary;
}

const NO_GO =
  'there is no go on the PATH. Install Go 1.25 or newer, or set OTELCOL to the path of a ready otelcol-contrib.';

/**
 * For the `skip` of a test that needs the collector: a reason where none can be had, else false. With CI=true nothing
 * is skipped: the test then fails with what is missing.
 */
export function skipWithoutCollector(env: Environment = process.env): string | false {
  if (env['CI'] === 'true' || (env['OTELCOL'] ?? '') !== '' || isOnPath('go', env)) return false;
  return existsSync(join(cacheDirectory(readFileSync(MANIFEST, 'utf8'), env), 'otelcol')) ? false : NO_GO;
}

/** The version of the collector, which is also that of its official images. */
export function manifestVersion(manifest: string): string {
  const version = /^ {2}version: (\d+\.\d+\.\d+)$/m.exec(manifest)?.[1];
  if (version === undefined) throw new CollectorError('builder.yaml names no dist.version.');
  return version;
}

/** `NAME VERSION` of every module in the manifest. */
export function manifestModules(manifest: string): string[] {
  return [...manifest.matchAll(/^ +- gomod: (\S+ v\S+)$/gm)].map((match) => match[1] ?? '');
}

/** Where the binary of this manifest is kept: one directory for each different build. */
export function cacheDirectory(manifest: string, env: Environment): string {
  const xdg = env['XDG_CACHE_HOME'];
  const root = xdg !== undefined && xdg !== '' ? xdg : join(env['HOME'] ?? homedir(), '.cache');
  const hash = createHash('sha256')
    .update([RECIPE, process.platform, process.arch, manifestVersion(manifest), manifest].join('\n'))
    .digest('hex');
  return join(root, 'mcp-verdict', 'collector', hash.slice(0, 16));
}

interface Build {
  readonly manifest: string;
  readonly directory: string;
  readonly env: Environment;
  readonly report: (line: string) => void;
}

/** Builds in a directory of its own and renames the binary into place as the last step: it is whole or not there. */
async function build({ manifest, directory, env, report }: Build): Promise<void> {
  const started = performance.now();
  removeLeftovers(directory);
  const work = join(directory, `work-${process.pid}`);
  const source = join(work, 'source');
  mkdirSync(work, { recursive: true });
  const go = (step: string, args: readonly string[], cwd: string): Promise<void> =>
    run({ step, args, cwd, started, env: goEnvironment(env), report });
  try {
    const version = manifestVersion(manifest);
    writeFileSync(join(work, 'builder.yaml'), manifest);
    const builder = `go.opentelemetry.io/collector/cmd/builder@v${version}`;
    const flags = ['--config', 'builder.yaml', '--skip-compilation', '--skip-get-modules'];
    await go(`generating the source of collector ${version}`, ['run', builder, ...flags], work);
    writeFileSync(join(source, 'go.mod'), goMod(manifest));
    await go('fetching and verifying modules', ['list', '-mod=mod', '-deps', '.'], source);
    const output = join(work, 'otelcol');
    await go('compiling', ['build', '-mod=mod', '-trimpath', '-ldflags=-s -w', '-o', output, '.'], source);
    requireRunning(output);
    renameSync(output, join(directory, 'otelcol'));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  report(`collector: built in ${elapsed(started)}: ${join(directory, 'otelcol')}`);
}

/** What killed builds left; nobody else builds while the lock is held. */
function removeLeftovers(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (name.startsWith('work-')) rmSync(join(directory, name), { recursive: true, force: true });
  }
}

/**
 * The builder's own go.mod is completed by `go mod tidy`, which also fetches what the tests of every dependency need.
 * This one names what the manifest names; `-mod=mod` adds only what is compiled.
 */
function goMod(manifest: string): string {
  const requirements = [
    ...manifestModules(manifest),
    `go.opentelemetry.io/collector/otelcol v${manifestVersion(manifest)}`,
  ];
  return ['module mcp-verdict.invalid/otelcol', 'go 1.25.0', 'require (', ...requirements, ')', ''].join(
    '\n',
  );
}

/** The user's Go settings, less those that would change what is built. */
function goEnvironment(env: Environment): Environment {
  return { ...env, CGO_ENABLED: '0', GOWORK: 'off' };
}

interface Step {
  readonly step: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly started: number;
  readonly env: Environment;
  readonly report: (line: string) => void;
}

/** Runs one go command, and says every few seconds that it still runs. */
async function run({ step, args, cwd, started, env, report }: Step): Promise<void> {
  const say = (): void => report(`collector: ${step} (${elapsed(started)})`);
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
      throw new CollectorError(`The collector could not be built: ${step} failed.\n${tail(output)}`);
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
async function lock(file: string, report: (line: string) => void): Promise<() => void> {
  const database = new DatabaseSync(file);
  const started = performance.now();
  let told = Number.NEGATIVE_INFINITY;
  while (!tryExclusive(database)) {
    if (performance.now() - told >= PROGRESS_INTERVAL_MS) {
      told = performance.now();
      report(`collector: waiting for another process that is building it (${elapsed(started)})`);
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

function requireExecutable(path: string): string {
  try {
    accessSync(path, constants.X_OK);
  } catch (error) {
    throw new CollectorError(`OTELCOL names ${path}, which cannot be executed.`, { cause: error });
  }
  return path;
}

function requireRunning(binary: string): void {
  const { status, stderr } = spawnSync(binary, ['--version'], { encoding: 'utf8' });
  if (status !== 0) throw new CollectorError(`The collector was built but does not run: ${stderr}`);
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

function reportToStderr(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** The command: prints the path of the binary on stdout. Exit 4: what it needs is not there (as in src/errors.ts). */
async function main(): Promise<void> {
  try {
    process.stdout.write(`${await findCollector()}\n`);
  } catch (error) {
    if (!(error instanceof CollectorError)) throw error;
    reportToStderr(error.message);
    process.exitCode = 4;
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await main();
