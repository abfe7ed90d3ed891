/** The package as npm would install it: packed, installed into an empty folder, run and imported there. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ROOT, plainEnvironment } from '../support/cli.ts';

describe('the packed package', () => {
  let directory: string;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-pack-'));
    // dist is there already, and building it anew would pull it from under the tests that run beside this one.
    npm(['pack', '--ignore-scripts', '--pack-destination', directory], ROOT);
    const tarball = readdirSync(directory).find((name) => name.endsWith('.tgz'));
    assert.ok(tarball !== undefined);
    writeFileSync(join(directory, 'package.json'), '{"name":"empty","private":true,"type":"module"}');
    npm(['install', '--no-audit', '--no-fund', '--prefer-offline', `./${tarball}`], directory);
  });

  after(() => rmSync(directory, { recursive: true, force: true }));

  function npm(args: readonly string[], cwd: string): void {
    execFileSync('npm', args, { cwd, stdio: 'pipe', env: plainEnvironment() });
  }

  test('runs mcp-verdict demo', () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(directory, 'node_modules/.bin/mcp-verdict'), 'demo'],
      {
        cwd: directory,
        encoding: 'utf8',
        env: plainEnvironment(),
      },
    );
    assert.equal(status, 0, stderr);
    assert.match(stdout, /23 decisions/);
  });

  test('imports as a library', () => {
    const program = `
      import { KEYS, evaluate, loadPolicy } from 'mcp-verdict';
      const text = 'apiVersion: mcp-verdict/v1\\nkind: Policy\\nmetadata: {name: x}\\nrules: []\\n';
      const { policy } = loadPolicy([{ file: 'p.yaml', text }]);
      const request = { identity: { source: 'none' }, server: 's', method: 'tools/call', tool: 't', args: new Map(), transport: 'tcp' };
      console.log(KEYS.length > 50, evaluate(policy, request, { now: new Date(), unmatched: 'deny' }).verdict.effect);
    `;
    writeFileSync(join(directory, 'program.js'), program);
    const out = execFileSync(process.execPath, ['program.js'], { cwd: directory, encoding: 'utf8' });
    assert.equal(out, 'true deny\n');
  });
});
