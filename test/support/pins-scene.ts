/** Set-ups in directories of their own, in front of a server whose tool changes when it is told to. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { LOCK_FILE } from '../../src/config/pins.ts';
import { runHere } from './cli.ts';

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

export type PinsScene = ReturnType<typeof scene>;

/** A directory with a policy, and a description for the tool of changing-server.ts. */
export function scene() {
  const directory = mkdtempSync(join(root, 'scene-'));
  writeFileSync(join(directory, 'policy.yaml'), POLICY);
  const file = join(directory, 'description');
  const describeAs = (text: string): void => writeFileSync(file, text);
  describeAs(GOOD);
  return {
    directory,
    describeAs,
    file,
    /** The server's part of a command line. */
    stdio: ['--server', 'up', '--', process.execPath, PROGRAM, file],
    tools: (verb: string, ...args: readonly string[]) => runHere(['tools', verb, ...args], directory),
  };
}

let pinned: Promise<string> | undefined;

/** Pins the tool as it is in a new scene. The file is the same whatever the server speaks, so it is made once. */
export async function pin({ directory }: PinsScene): Promise<void> {
  pinned ??= lockText();
  writeFileSync(join(directory, LOCK_FILE), await pinned);
}

async function lockText(): Promise<string> {
  const { directory, tools, stdio } = scene();
  const { code, stderr } = await tools('lock', ...stdio);
  if (code !== 0) throw new Error(stderr);
  return readFileSync(join(directory, LOCK_FILE), 'utf8');
}
