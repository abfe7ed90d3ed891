/** Python packages that judge what our formats write. */
import { spawnSync } from 'node:child_process';
import { findPython } from './python-environment.ts';

const PACKAGES = ['cefp==0.0.2', 'ocsf-json-schema==1.2.0'];
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024;

/** @returns the path of a Python that has them; throws BuildError where there is none to be had */
export const findJudges = (): string => findPython(PACKAGES.join(', '), PACKAGES.join('\n'));

/** Runs a program with the packages. @returns its output; throws as findJudges does */
export function runPython(script: URL, input: string): string {
  const python = findJudges();
  const { status, stdout, stderr } = spawnSync(python, ['-I', '-X', 'utf8', script.pathname], {
    input,
    encoding: 'utf8',
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  if (status !== 0) throw new Error(`${script.pathname} failed: ${stderr}`);
  return stdout;
}
