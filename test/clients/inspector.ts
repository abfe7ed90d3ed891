/** The MCP inspector's command line: each step is a run of its own, with a session of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { plainEnvironment } from '../support/cli.ts';
import { ALL_WAYS } from './matrix.ts';
import { npmProgram } from './npm.ts';
import type { Endpoint, Player, Script, Seen, Step } from './script.ts';

const PROGRAM = '@modelcontextprotocol/inspector/clients/launcher/build/index.js';
/** The program's own is too short for a machine with much else to do. */
const CONNECT_TIMEOUT_MS = '60000';

/** @param home where it keeps what it keeps */
export function inspector(era: 'legacy' | 'modern', home: string): Player {
  return {
    name: `inspector ${era}`,
    revision: era === 'legacy' ? '2025-11-25' : '2026-07-28',
    legacy: era === 'legacy',
    speaks: ['http', 'stdio'],
    // A second for each request: one server of each era, through the two doors that translate nothing; in the fast lane
    // each era goes through one of them.
    goes: ({ server, upstream, client }) =>
      upstream === client &&
      server === (era === 'legacy' ? 'everything' : 'fixture') &&
      (ALL_WAYS || upstream === (era === 'legacy' ? 'stdio' : 'http')),
    single: true,
    async play(endpoint, script) {
      const steps = await inspect(
        script,
        ['--protocol-era', era, '--connect-timeout', CONNECT_TIMEOUT_MS, ...configOf(endpoint, home)],
        home,
      );
      return { server: {}, steps, heard: [], asked: [] };
    },
  };
}

async function inspect(
  script: Script,
  options: readonly string[],
  home: string,
): Promise<Record<string, Seen>> {
  const steps: Record<string, Seen> = {};
  for (const step of script) steps[step.title] = await runOnce([...options, ...argumentsOf(step)], home);
  return steps;
}

let configs = 0;

/** In a file, because the program takes a `--` in a server's arguments for its own. */
function configOf(endpoint: Endpoint, home: string): readonly string[] {
  mkdirSync(home, { recursive: true });
  const file = join(home, `servers-${configs++}.json`);
  const { kind, ...rest } = endpoint;
  const server = kind === 'http' ? { type: 'streamable-http', ...rest } : rest;
  writeFileSync(file, JSON.stringify({ mcpServers: { server } }));
  return ['--config', file, '--server', 'server'];
}

function argumentsOf({ method, params = {} }: Step): readonly string[] {
  const { name, uri, arguments: args = {} } = params as { name?: string; uri?: string; arguments?: object };
  const given = ['--method', method];
  if (method === 'tools/call')
    return [...given, '--tool-name', String(name), '--tool-args-json', JSON.stringify(args)];
  if (method === 'resources/read') return [...given, '--uri', String(uri)];
  if (method !== 'prompts/get') return given;
  const pairs = Object.entries(args).map(([key, value]) => `${key}=${String(value)}`);
  return [...given, '--prompt-name', String(name), ...(pairs.length > 0 ? ['--prompt-args', ...pairs] : [])];
}

async function runOnce(options: readonly string[], home: string): Promise<Seen> {
  const args = [npmProgram(PROGRAM), '--cli', '--format', 'json', '--quiet', ...options];
  const child = spawn(process.execPath, args, { env: { ...plainEnvironment(), HOME: home } });
  child.stdin.end();
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  // A result that says isError comes on both.
  if (stdout !== '') return JSON.parse(stdout) as Seen;
  try {
    return JSON.parse(stderr) as Seen;
  } catch (error) {
    throw new Error(`the inspector has said no JSON: ${stderr}`, { cause: error });
  }
}
