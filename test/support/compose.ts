/** docker-compose.yml as tests read it; that `docker compose` reads the same is what compose.test.ts asks its own parser. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { isOnPath } from './cached-build.ts';

export const COMPOSE_DIRECTORY = fileURLToPath(new URL('../..', import.meta.url));
export const COMPOSE_TEXT = readFileSync(join(COMPOSE_DIRECTORY, 'docker-compose.yml'), 'utf8');

export interface Service {
  readonly image?: string;
  readonly build?: { readonly dockerfile_inline: string };
  readonly user?: string;
  readonly profiles?: readonly string[];
  readonly ports?: readonly string[];
  readonly command: string | readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly healthcheck?: object;
  readonly volumes?: readonly string[];
  readonly configs?: readonly { readonly source: string; readonly target: string }[];
  readonly depends_on?: readonly string[] | Readonly<Record<string, { readonly condition: string }>>;
  readonly read_only?: boolean;
}

export type ServiceName =
  | 'proxy'
  | 'collector'
  | 'splunk-settings'
  | 'datadog-settings'
  | 'loki'
  | 'grafana'
  | 's3'
  | 's3-bucket'
  | 'everything';

export interface Compose {
  readonly services: Readonly<Record<ServiceName, Service>>;
  readonly configs: Readonly<Record<'verdict' | 'policy' | 'loki', { readonly content: string }>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

type Variables = Readonly<Record<string, string>>;

/** @param variables those of the shell in which `docker compose` would run, and no others */
export function readCompose(variables: Variables = {}): Compose {
  // The parser of `docker compose` checks the shape; the tests fail where it is another.
  return interpolated(parse(COMPOSE_TEXT, { merge: true }), variables) as Compose;
}

/** A command as it reaches the container: what is not in quotes is cut at blanks, and ours has no quotes. */
export function wordsOf(command: string | readonly string[]): readonly string[] {
  return typeof command === 'string' ? command.split(/\s+/).filter((word) => word !== '') : command;
}

function interpolated(value: unknown, variables: Variables): unknown {
  if (typeof value === 'string') return withVariables(value, variables);
  if (Array.isArray(value)) return value.map((each) => interpolated(each, variables));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, interpolated(each, variables)]));
}

/** `$$`, `${NAME:-default}` and `${NAME:+text}`, which is all that ours has. */
function withVariables(text: string, variables: Variables): string {
  return text.replaceAll(
    /\$\$|\$\{(\w+):([-+])([^}]*)\}/g,
    (whole, name: string, operator: string, other: string) => {
      if (whole === '$$') return '$';
      const value = variables[name] ?? '';
      if (operator === '+') return value === '' ? '' : other;
      return value === '' ? other : value;
    },
  );
}

/** The parser that `docker compose` is made of, as a program of its own. It reads no variables of the environment. */
const REFERENCE_PARSER = 'github.com/compose-spec/compose-go/v2/cmd@v2.16.2';

/** Nothing but what finds programs: what stands in the shell of whoever runs the tests changes no model. */
const BARE = { PATH: process.env['PATH'], HOME: process.env['HOME'] };

/** Why `referenceModel` cannot run, else false. With CI=true nothing is skipped. */
export function skipWithoutReference(): string | false {
  if (process.env['CI'] === 'true' || isOnPath('go', process.env) || hasPlugin()) return false;
  return 'there is neither docker compose nor go on the PATH';
}

/** The model that docker compose, or else its parser, makes of a file; throws with what it says where it refuses it. */
export function referenceModel(file: string): unknown {
  const [command, ...args] = hasPlugin()
    ? ['docker', 'compose', '--file', file, '--profile', '*', 'config', '--format', 'json']
    : ['go', 'run', REFERENCE_PARSER, '-format', 'json', file];
  const env = command === 'docker' ? BARE : process.env;
  const { status, stdout, stderr } = spawnSync(command ?? '', args, {
    cwd: COMPOSE_DIRECTORY,
    env,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  // It writes a dollar as a file would have to.
  return JSON.parse(command === 'docker' ? stdout.replaceAll('$$', '$') : stdout);
}

function hasPlugin(): boolean {
  return spawnSync('docker', ['compose', 'version'], { stdio: 'ignore' }).status === 0;
}
