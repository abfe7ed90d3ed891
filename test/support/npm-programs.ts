/**
 * Programs from npm that are too large to be development dependencies of ours: installed outside the clone, as a lock
 * file says, and without their install scripts. A second clone, or a second run, finds them ready.
 */
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  cacheDirectory,
  fillOnce,
  isOnPath,
  reportToStderr,
  runStep,
  type Environment,
} from './cached-build.ts';

/** As skipWithoutPython, for npm. */
export function skipWithoutNpm(env: Environment = process.env): string | false {
  return env['CI'] === 'true' || isOnPath('npm', env) ? false : 'there is no npm on the PATH.';
}

/** @param folder with package.json and package-lock.json. @returns its node_modules; throws BuildError with npm's words */
export function findNpmPrograms(folder: string, env: Environment = process.env): string {
  const files = ['package.json', 'package-lock.json'];
  const texts = files.map((file) => readFileSync(join(folder, file), 'utf8'));
  const directory = cacheDirectory('npm', [process.platform, process.arch, ...texts], env);
  fillOnce(directory, (work) => {
    mkdirSync(work, { recursive: true });
    for (const file of files) copyFileSync(join(folder, file), join(work, file));
    reportToStderr(`npm: installing ${folder}`);
    runStep('npm', ['ci', '--prefix', work, '--ignore-scripts', '--no-audit', '--no-fund', '--silent'], env);
  });
  return join(directory, 'node_modules');
}
