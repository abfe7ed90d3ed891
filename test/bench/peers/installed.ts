/**
 * The peers, each at the version that package-lock.json beside this file names with all that they need, in a directory
 * outside the clone: they are larger than what they are compared with, and only this bench needs them.
 */
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheDirectory, reportToStderr } from '../../support/cached-build.ts';
import { installOnce, runInstaller } from '../../support/cached-install.ts';

const MANIFESTS = ['package.json', 'package-lock.json'];
const HERE = dirname(fileURLToPath(import.meta.url));

/** @returns their node_modules; throws BuildError where they cannot be had */
export function installPeers(): string {
  const ingredients = MANIFESTS.map((name) => readFileSync(join(HERE, name), 'utf8'));
  return installOnce({
    directory: cacheDirectory('bench-peers', ingredients, process.env),
    result: 'node_modules',
    fill(work) {
      mkdirSync(work);
      for (const name of MANIFESTS) cpSync(join(HERE, name), join(work, name));
      reportToStderr('bench: installing the peers');
      runInstaller('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], work);
    },
  });
}
