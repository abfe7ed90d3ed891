/**
 * Python packages that judge what our formats write, each at a pinned version, in an environment of their own outside
 * the clone: a second clone, or a second run, finds it ready.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { BuildError, cacheDirectory, isOnPath, reportToStderr, type Environment } from './cached-build.ts';
import { installOnce, runInstaller } from './cached-install.ts';

const PACKAGES = ['cefp==0.0.2', 'ocsf-json-schema==1.2.0'];
/** ocsf-json-schema asks for it. */
const PYTHON_MIN = '3.10';

const CHECK = `import sys, venv, ensurepip; sys.exit(sys.version_info < (${PYTHON_MIN.replace('.', ', ')}))`;
const NO_PYTHON = `there is no python3 on the PATH that is ${PYTHON_MIN} or newer and has venv.`;
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
  return installOnce({
    directory: cacheDirectory('python', [process.platform, process.arch, ...PACKAGES], env),
    result: 'bin/python',
    fill(work) {
      if (!hasPython(env)) throw new BuildError(`The judges cannot be installed: ${NO_PYTHON}`);
      reportToStderr(`python: installing ${PACKAGES.join(', ')}`);
      runInstaller('python3', ['-m', 'venv', work]);
      const packages = ['-m', 'pip', 'install', '--quiet', '--no-deps', ...PACKAGES];
      runInstaller(join(work, 'bin', 'python'), packages);
    },
  });
}

function hasPython(env: Environment): boolean {
  return isOnPath('python3', env) && spawnSync('python3', ['-c', CHECK], { env }).status === 0;
}
