/**
 * Our collector, built from collector-config/builder.yaml: `npm run collector:build`, and `findCollector()` for tests.
 * `OTELCOL=/path/to/otelcol` names a ready one instead.
 */
import { accessSync, constants, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import {
  BuildError,
  buildOnce,
  cacheDirectory as directoryOf,
  isOnPath,
  reportToStderr,
  type Environment,
  type Go,
} from './cached-build.ts';

/** Changes whenever `make` makes another binary from the same manifest. */
const RECIPE = 'otelcol/1 CGO_ENABLED=0 -trimpath -ldflags=-s -w';

const MANIFEST = fileURLToPath(new URL('../../collector-config/builder.yaml', import.meta.url));

/** What `findCollector` may touch; tests pass their own. */
export interface BuildOptions {
  readonly env?: Environment;
  readonly manifest?: string;
  /** One line of progress, without its end. */
  readonly report?: (line: string) => void;
}

/**
 * The path of a collector with the components of builder.yaml, built where need be.
 * Throws BuildError with what is missing and what to do.
 */
export async function findCollector(options: BuildOptions = {}): Promise<string> {
  const { env = process.env, manifest = MANIFEST, report = reportToStderr } = options;
  const named = env['OTELCOL'];
  if (named !== undefined && named !== '') return requireExecutable(named);
  const text = readFileSync(manifest, 'utf8');
  return buildOnce({
    name: 'collector',
    binary: 'otelcol',
    directory: cacheDirectory(text, env),
    noGo: NO_GO,
    trial: ['--version'],
    env,
    report,
    make: (work, go) => make(text, work, go),
  });
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
  if (version === undefined) throw new BuildError('builder.yaml names no dist.version.');
  return version;
}

/** `NAME VERSION` of every module in the manifest. */
export function manifestModules(manifest: string): string[] {
  return [...manifest.matchAll(/^ +- gomod: (\S+ v\S+)$/gm)].map((match) => match[1] ?? '');
}

/** Where the binary of this manifest is kept: one directory for each different build. */
export function cacheDirectory(manifest: string, env: Environment): string {
  const ingredients = [RECIPE, process.platform, process.arch, manifestVersion(manifest), manifest];
  return directoryOf('collector', ingredients, env);
}

async function make(manifest: string, work: string, go: Go): Promise<string> {
  const version = manifestVersion(manifest);
  const source = join(work, 'source');
  writeFileSync(join(work, 'builder.yaml'), manifest);
  const builder = `go.opentelemetry.io/collector/cmd/builder@v${version}`;
  const flags = ['--config', 'builder.yaml', '--skip-compilation', '--skip-get-modules'];
  await go(`generating the source of collector ${version}`, ['run', builder, ...flags]);
  writeFileSync(join(source, 'go.mod'), goMod(manifest));
  await go('fetching and verifying modules', ['list', '-mod=mod', '-deps', '.'], { cwd: source });
  const output = join(work, 'otelcol');
  const build = ['build', '-mod=mod', '-trimpath', '-ldflags=-s -w', '-o', output, '.'];
  await go('compiling', build, { cwd: source });
  return output;
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

function requireExecutable(path: string): string {
  try {
    accessSync(path, constants.X_OK);
  } catch (error) {
    throw new BuildError(`OTELCOL names ${path}, which cannot be executed.`, { cause: error });
  }
  return path;
}

/** The command: prints the path of the binary on stdout. Exit 4: what it needs is not there (as in src/errors.ts). */
async function main(): Promise<void> {
  try {
    process.stdout.write(`${await findCollector()}\n`);
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    reportToStderr(error.message);
    process.exitCode = 4;
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await main();
