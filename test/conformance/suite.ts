/** Runs the official conformance suite, as the programs that its two packages are, and reads what it has found. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { ROOT } from '../support/cli.ts';
import { within } from '../support/within.ts';

/** `legacy` is 0.1.16, up to 2025-11-25; `modern` is 0.2.0-alpha.12, which knows 2026-07-28 too. */
export type Edition = 'legacy' | 'modern';

/** Of each scenario its checks in order, each `ID STATUS`. */
export type Findings = ReadonlyMap<string, readonly string[]>;

interface Check {
  readonly id: string;
  readonly status: string;
}

/** The slowest run takes five seconds where nothing else does, and thirty where each scenario starts a process. */
const DEADLINE_MS = 240_000;

/** @param args as the suite's own help says, without where its results go */
export async function runSuite(edition: Edition, args: readonly string[]): Promise<Findings> {
  const program = join(ROOT, `node_modules/conformance-${edition}/dist/index.js`);
  const results = mkdtempSync(join(tmpdir(), 'mcp-verdict-conformance-'));
  // In a directory of its own, because 0.1.16 writes some of its results where it is started.
  const child = spawn(process.execPath, [program, ...args, '-o', results], { cwd: results, stdio: 'pipe' });
  try {
    const output = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    const [stdout, stderr] = await within(`conformance ${args.join(' ')}`, output, DEADLINE_MS);
    const findings = readFindings(results);
    if (findings.size === 0) throw new Error(`the suite has found nothing:\n${stdout}${stderr}`);
    return findings;
  } finally {
    child.kill('SIGKILL');
    rmSync(results, { recursive: true, force: true });
  }
}

/** Of a folder each run of a scenario, named by the scenario and the time. */
function readFindings(results: string): Findings {
  const findings = new Map<string, string[]>();
  const files = readdirSync(results, { recursive: true, encoding: 'utf8' });
  for (const file of files.filter((name) => name.endsWith('checks.json')).toSorted()) {
    const scenario = file
      .replace(/\/checks\.json$/, '')
      .replace(/^server-/, '')
      .replace(/-\d{4}-\d{2}-\d{2}T.*$/, '');
    const checks = JSON.parse(readFileSync(join(results, file), 'utf8')) as readonly Check[];
    findings.set(
      scenario,
      checks.map(({ id, status }) => `${id} ${status}`),
    );
  }
  return findings;
}

/** What differs, a line each; empty where nothing does. */
export function differences(direct: Findings, proxied: Findings): string[] {
  const scenarios = [...new Set([...direct.keys(), ...proxied.keys()])].toSorted();
  return scenarios.flatMap((scenario) => {
    const [left, right] = [direct.get(scenario), proxied.get(scenario)];
    if (left === undefined) return [`${scenario}: only through the proxy`];
    if (right === undefined) return [`${scenario}: only direct`];
    const gone = left
      .filter((check) => !right.includes(check))
      .map((check) => `${scenario}: direct ${check}`);
    const come = right
      .filter((check) => !left.includes(check))
      .map((check) => `${scenario}: proxied ${check}`);
    const count =
      left.length === right.length ? [] : [`${scenario}: ${left.length} checks, ${right.length} proxied`];
    return [...gone, ...come, ...count];
  });
}
