/**
 * Programs from Debian's archive that tests run without installing them: apt fetches and verifies the packages, and they
 * are unpacked outside the clone. They are of the version that the machine's own Debian has, not a pinned one.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BuildError, cacheDirectory, isOnPath, reportToStderr, type Environment } from './cached-build.ts';

const VERSION_FILE = '/etc/debian_version';
const TIMEOUT_MS = 300_000;

/** Where packages lie unpacked. */
export interface DebianPrograms {
  /** Under it `usr/bin/NAME`, `usr/sbin/NAME`. */
  readonly root: string;
  /** With the packages' own libraries in front. */
  readonly env: Environment;
}

/**
 * For the `skip` of a test that needs such programs: a reason where there is no Debian, else false. With CI=true nothing
 * is skipped: the test then fails with what is missing.
 */
export function skipWithoutDebian(env: Environment = process.env): string | false {
  if (env['CI'] === 'true') return false;
  const isThere = existsSync(VERSION_FILE) && isOnPath('apt-get', env) && isOnPath('dpkg-deb', env);
  return isThere ? false : NO_DEBIAN;
}

const NO_DEBIAN = 'this is no Debian with apt-get and dpkg-deb.';

/** @param packages what is to be unpacked, with the libraries that this machine lacks. Throws BuildError with what apt says */
export function findDebianPrograms(
  packages: readonly string[],
  env: Environment = process.env,
): DebianPrograms {
  if (!existsSync(VERSION_FILE)) throw new BuildError(`No package can be unpacked: ${NO_DEBIAN}`);
  const version = readFileSync(VERSION_FILE, 'utf8').trim();
  const root = cacheDirectory('debian', [version, process.arch, ...packages], env);
  if (!existsSync(root)) unpack(packages, root);
  const libraries = [join(root, 'usr', 'lib'), join(root, 'lib')].flatMap((directory) =>
    existsSync(directory)
      ? readdirSync(directory)
          .filter((name) => name.endsWith('-linux-gnu') || name === 'syslog-ng')
          .map((name) => join(directory, name))
      : [],
  );
  return { root, env: { ...env, LD_LIBRARY_PATH: libraries.join(':') } };
}

/** The directory gets its name as the last step: it is whole or not there. */
function unpack(packages: readonly string[], root: string): void {
  const work = `${root}-work-${process.pid}`;
  const archives = join(work, 'archives');
  const whole = join(work, 'root');
  try {
    for (const directory of [archives, whole]) mkdirSync(directory, { recursive: true });
    reportToStderr(`debian: fetching ${packages.join(', ')}`);
    fetchPackages(packages, archives);
    for (const name of readdirSync(archives)) run('dpkg-deb', ['-x', join(archives, name), whole], work);
    mkdirSync(dirname(root), { recursive: true });
    settle(whole, root);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Where another process was first, its is as good. */
function settle(whole: string, root: string): void {
  try {
    renameSync(whole, root);
  } catch (error) {
    if (!existsSync(root)) throw error;
  }
}

/** With the machine's lists of packages, or where they are missing or old with lists of our own. */
function fetchPackages(packages: readonly string[], directory: string): void {
  const download = ['download', ...packages, ...missingLibraries(packages, [])];
  if (spawnSync('apt-get', ['-qq', ...download], { cwd: directory, timeout: TIMEOUT_MS }).status === 0)
    return;
  const state = join(dirname(directory), 'apt');
  mkdirSync(join(state, 'lists', 'partial'), { recursive: true });
  const own = ['-qq', '-o', `Dir::State=${state}`, '-o', `Dir::Cache=${state}`];
  run('apt-get', [...own, 'update'], directory);
  run('apt-get', [...own, 'download', ...packages, ...missingLibraries(packages, own)], directory);
}

/** What installing the packages would install with them, as far as it is libraries. */
function missingLibraries(packages: readonly string[], options: readonly string[]): string[] {
  const install = ['--simulate', '--no-install-recommends', 'install', ...packages];
  const { stdout } = spawnSync('apt-get', [...options.filter((option) => option !== '-qq'), ...install], {
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
  });
  const names = stdout.matchAll(/^Inst (lib\S+) /gm);
  return [...names].map(([, name = '']) => name).filter((name) => !packages.includes(name));
}

function run(command: string, args: readonly string[], cwd: string): void {
  const { status, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: TIMEOUT_MS });
  if (status !== 0)
    throw new BuildError(`${[command, ...args].join(' ')} failed: ${error?.message ?? stderr}`);
}
