/**
 * Python packages that judge what our formats write, each at a pinned version, in an environment of their own outside
 * the clone: a second clone, or a second run, finds it ready.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BuildError, cacheDirectory, isOnPath, reportToStderr, type Environment } from './cached-build.ts';

const PACKAGES = ['cefp==0.0.2', 'ocsf-json-schema==1.2.0'];
/** ocsf-json-schema asks for it. */
const PYTHON_MIN = '3.10';

const CHECK = `import sys, venv, ensurepip; sys.exit(sys.version_info < (${PYTHON_MIN.replace('.', ', ')}))`;
const NO_PYTHON = `there is no python3 on the PATH that is ${PYTHON_MIN} or newer and has venv.`;
const INSTALL_TIMEOUT_MS = 300_000;
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024;

/**
 * For the `skip` of a test that needs the judges: a reason where they cannot be had, else false. With CI=true nothing is
 * skipped: the test then fails with what is missing.
 */
export function skipWithoutPython(env: Environment = process.env): string | false {
  if (env['CI'] === 'true' || hasPython(env)) return false;
  return NO_PYTHON;
}

/** Runs a program with the packages. @returns its output; throws BuildError where there is none to be had */
export function runPython(script: URL, input: string): string {
  const python = findPython(process.env);
  const { status, stdout, stderr } = spawnSync(python, ['-I', '-X', 'utf8', script.pathname], {
    input,
    encoding: 'utf8',
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  if (status !== 0) throw new Error(`${script.pathname} failed: ${stderr}`);
  return stdout;
}

function findPython(env: Environment): string {
  const directory = cacheDirectory('python', [process.platform, process.arch, ...PACKAGES], env);
  const python = join(directory, 'bin', 'python');
  if (existsSync(python)) return python;
  if (!hasPython(env)) throw new BuildError(`The judges cannot be installed: ${NO_PYTHON}`);
  const work = `${directory}-work-${process.pid}`;
  try {
    mkdirSync(dirname(directory), { recursive: true });
    reportToStderr(`python: installing ${PACKAGES.join(', ')}`);
    run('python3', ['-m', 'venv', work]);
    run(join(work, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', '--no-deps', ...PACKAGES]);
    settle(work, directory);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return python;
}

/** Whole or not there; where another process was first, its is as good. */
function settle(work: string, directory: string): void {
  try {
    renameSync(work, directory);
  } catch (error) {
    if (!existsSync(join(directory, 'bin', 'python'))) throw error;
  }
}

function hasPython(env: Environment): boolean {
  return isOnPath('python3', env) && spawnSync('python3', ['-c', CHECK], { env }).status === 0;
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: INSTALL_TIMEOUT_MS,
  });
  if (status !== 0)
    throw new BuildError(`${[command, ...args].join(' ')} failed: ${error?.message ?? stderr}`);
}
