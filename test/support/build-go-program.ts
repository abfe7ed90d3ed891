/**
 * Programs from the Go module proxy that stand behind the collector in tests, each at a pinned version that Go's
 * checksum database verifies.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  buildOnce,
  cacheDirectory,
  isOnPath,
  reportToStderr,
  type Build,
  type Environment,
} from './cached-build.ts';

/** Changes whenever `make` builds another binary from the same version. */
const RECIPE = 'go-program/1 CGO_ENABLED=0 -trimpath -ldflags=-s -w';

export interface GoProgram {
  /** The path of its main package, whose last part is what Go calls the binary. */
  readonly module: string;
  readonly version: `v${string}`;
  /** Ends with exit code 0 where the program runs. */
  readonly trial: readonly string[];
}

/** What `findGoProgram` may touch; tests pass their own. */
export interface ProgramOptions {
  readonly env?: Environment;
  readonly report?: (line: string) => void;
}

/** The path of the program, built where need be; throws BuildError with what is missing and what to do. */
export async function findGoProgram(program: GoProgram, options: ProgramOptions = {}): Promise<string> {
  const { env = process.env, report = reportToStderr } = options;
  const name = nameOf(program);
  const make: Build['make'] = async (work, go) => {
    const args = ['install', '-trimpath', '-ldflags=-s -w', `${program.module}@${program.version}`];
    await go(`fetching and compiling ${program.version}`, args, { env: { ...env, GOBIN: work } });
    return join(work, name);
  };
  const directory = directoryOf(program, env);
  return buildOnce({ name, binary: name, directory, noGo: NO_GO, trial: program.trial, env, report, make });
}

const NO_GO = 'there is no go on the PATH. Install Go 1.26 or newer.';

/**
 * For the `skip` of a test that needs these programs: a reason where one cannot be had, else false. With CI=true nothing
 * is skipped: the test then fails with what is missing.
 */
export function skipWithoutGoPrograms(
  programs: readonly GoProgram[],
  env: Environment = process.env,
): string | false {
  if (env['CI'] === 'true' || isOnPath('go', env)) return false;
  const missing = programs.find((program) => !existsSync(join(directoryOf(program, env), nameOf(program))));
  return missing === undefined ? false : `${nameOf(missing)} is not built, and ${NO_GO}`;
}

function directoryOf(program: GoProgram, env: Environment): string {
  const { module, version } = program;
  return cacheDirectory(nameOf(program), [RECIPE, process.platform, process.arch, module, version], env);
}

function nameOf({ module }: GoProgram): string {
  return module.slice(module.lastIndexOf('/') + 1);
}
