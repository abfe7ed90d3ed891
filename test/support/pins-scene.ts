/** Set-ups in directories of their own, in front of a server whose tool changes when it is told to. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { runCli } from './cli.ts';

export const PROGRAM = join(import.meta.dirname, 'changing-server.ts');

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-pins-'));
after(() => rmSync(root, { recursive: true, force: true }));

const POLICY = `
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: open, version: "1"}
identities: {}
rules:
  - {id: all, effect: allow, identities: [authenticated, anonymous], tools: ["up/*"]}
`;

export const GOOD = 'Adds two numbers.';
/** One character. */
export const CHANGED = 'Adds two numbers!';

/** A directory with a policy, and a description for the tool of changing-server.ts. */
export function scene() {
  const directory = mkdtempSync(join(root, 'scene-'));
  writeFileSync(join(directory, 'policy.yaml'), POLICY);
  const describeAs = (text: string): void => writeFileSync(join(directory, 'description'), text);
  describeAs(GOOD);
  const tools = (verb: string, ...args: readonly string[]) =>
    runCli(['tools', verb, ...args], { cwd: directory });
  return { directory, describeAs, tools, file: join(directory, 'description') };
}

/** The server's part of a command line. */
export const STDIO = ['--server', 'up', '--', process.execPath, PROGRAM, 'description'];
