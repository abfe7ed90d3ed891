/** Where things are unless told otherwise. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { readTextFile } from './text-file.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where state lives: the user's state directory, or the system's for root. */
export function stateDirectory(env: Environment): string {
  const state = env['XDG_STATE_HOME'];
  if (state !== undefined && state !== '') return join(state, 'mcp-verdict');
  if (process.getuid?.() === 0) return '/var/lib/mcp-verdict';
  return join(homedir(), '.local', 'state', 'mcp-verdict');
}

export function defaultKeysDirectory(env: Environment): string {
  return join(stateDirectory(env), 'keys');
}

/** The kill switch of a user's proxies: one for all of them. */
export function defaultKillSwitchFile(env: Environment): string {
  return join(stateDirectory(env), 'kill.json');
}

/** The version in package.json, which stands two levels above this file in both src and dist. */
export function packageVersion(): string {
  const manifest: unknown = JSON.parse(readTextFile(new URL('../../package.json', import.meta.url).pathname));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : '0.0.0';
}
