/**
 * Python packages that tests need, each at a pinned version, in an environment of their own outside the clone: a second
 * clone, or a second run, finds it ready.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  BuildError,
  cacheDirectory,
  fillOnce,
  isOnPath,
  reportToStderr,
  runStep,
  type Environment,
} from './cached-build.ts';

/** Some of the packages ask for it. */
const PYTHON_MIN = '3.11';

const CHECK = `import sys, venv, ensurepip; sys.exit(sys.version_info < (${PYTHON_MIN.replace('.', ', ')}))`;
const NO_PYTHON = `there is no python3 on the PATH that is ${PYTHON_MIN} or newer and has venv.`;

/**
 * For the `skip` of a test that needs the packages: a reason where they cannot be had, else false. With CI=true nothing
 * is skipped: the test then fails with what is missing.
 */
export function skipWithoutPython(env: Environment = process.env): string | false {
  if (env['CI'] === 'true' || hasPython(env)) return false;
  return NO_PYTHON;
}

/**
 * @param requirements as pip reads them: all that is needed, since nothing is added; with hashes, which then count
 * @returns the path of a Python that has them; throws BuildError where there is none to be had
 */
export function findPython(name: string, requirements: string, env: Environment = process.env): string {
  const directory = cacheDirectory('python', [process.platform, process.arch, requirements], env);
  fillOnce(directory, (work) => {
    if (!hasPython(env)) throw new BuildError(`Packages for Python cannot be installed: ${NO_PYTHON}`);
    reportToStderr(`python: installing ${name}`);
    runStep('python3', ['-m', 'venv', work]);
    const file = join(work, 'requirements.txt');
    writeFileSync(file, requirements);
    runStep(join(work, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', '--no-deps', '-r', file]);
  });
  return join(directory, 'bin', 'python');
}

function hasPython(env: Environment): boolean {
  return isOnPath('python3', env) && spawnSync('python3', ['-c', CHECK], { env }).status === 0;
}
