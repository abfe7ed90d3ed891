/** `doctor` in the test's own process (kill-switch.test.ts starts it as a user does), over set-ups in directories of their own. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import type { Finding } from '../../src/service/doctor/finding.ts';
import { runHere } from './cli.ts';

export const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-doctor-'));
after(() => rmSync(root, { recursive: true, force: true }));

export const POLICY = `
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: open, version: "1"}
rules:
  - {id: all, effect: allow, tools: ["up/*"]}
`;

export type Variables = Readonly<Record<string, string>>;

export interface Ran {
  readonly code: number | null;
  readonly findings: readonly Finding[];
  /** Found and advised, of one check. */
  readonly of: (check: Finding['check']) => readonly string[];
}

export async function doctor(directory: string, args: readonly string[], env: Variables = {}): Promise<Ran> {
  const [own, command] = args.includes('--')
    ? [args.slice(0, args.indexOf('--')), args.slice(args.indexOf('--'))]
    : [args, []];
  const state = { XDG_STATE_HOME: join(directory, 'state') };
  const given = ['doctor', ...own, '--json', ...command];
  const { code, stdout, stderr } = await runHere(given, directory, { ...state, ...env });
  assert.equal(stderr, '');
  const { findings, exit } = JSON.parse(stdout) as { findings: Finding[]; exit: number };
  assert.equal(exit, code);
  const of = (check: Finding['check']): string[] =>
    findings
      .filter((finding) => finding.check === check)
      .map(({ level, subject, found, advice }) => `${level} ${subject ?? '-'}: ${found} / ${advice ?? ''}`);
  return { code, findings, of };
}

export function scene(): string {
  const directory = mkdtempSync(join(root, 'scene-'));
  writeFileSync(join(directory, 'policy.yaml'), POLICY);
  return directory;
}

/** Writes a config, and gives the arguments that name it. @param servers by name: a url, or all that is said of one */
export function serve(
  directory: string,
  servers: Readonly<Record<string, string | object>>,
  name = 'verdict.yaml',
): readonly string[] {
  const lines = Object.entries(servers).map(
    ([server, entry]) =>
      `  ${server}: ${JSON.stringify(typeof entry === 'string' ? { url: entry } : entry)}\n`,
  );
  writeFileSync(
    join(directory, name),
    'listen: 127.0.0.1:0\npolicy: [policy.yaml]\nidentity: {anonymous: allow}\n' +
      `spool: {directory: spool}\nkeys: {directory: keys}\nservers:\n${lines.join('')}`,
  );
  return ['--config', name];
}

/** For what has nothing to do with servers. */
export const WRAP = ['--policy', 'policy.yaml'];
