/** logrotate on the file exporter, while calls are made, and SIGHUPs by the dozen: nothing is lost. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runCli } from '../support/cli.ts';
import { createService, startCallers, startUpstream } from '../support/crash-scene.ts';
import { findDebianPrograms, skipWithoutDebian } from '../support/debian-programs.ts';
import { eventually } from '../support/eventually.ts';

const ROTATIONS = 6;
/** At once, amid calls: a storm that nobody should notice. */
const SIGHUPS = 100;

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-logrotate-'));
after(() => rmSync(root, { recursive: true, force: true }));

test(
  'logrotate takes the file away again and again, and all files together are complete',
  { skip: skipWithoutDebian(), timeout: 120_000 },
  async (t) => {
    const { root: programs, env } = findDebianPrograms(['logrotate']);
    const upstream = await startUpstream();
    t.after(upstream.close);
    const logs = join(root, 'proxy');
    const service = await createService({
      directory: logs,
      upstreamPort: upstream.port,
      more: 'exporters: {file: {path: decisions.jsonl}}\n',
    });
    await service.start();
    t.after(service.kill);
    const { child } = service.running();
    const log = join(logs, 'decisions.jsonl');
    // As in the README, but for the paths.
    writeFileSync(
      join(root, 'logrotate.conf'),
      `${log} {
  rotate 100
  compress
  delaycompress
  missingok
  notifempty
  postrotate
    kill -HUP ${child.pid}
  endscript
}
`,
      { mode: 0o600 },
    );
    const rotate = (): void => {
      const args = ['--force', '--state', join(root, 'state'), join(root, 'logrotate.conf')];
      const { status, stderr } = spawnSync(join(programs, 'usr/sbin/logrotate'), args, {
        env,
        encoding: 'utf8',
      });
      assert.equal(status, 0, stderr);
    };
    const callers = startCallers(service.url, 4);
    t.after(callers.stop);
    for (let rotation = 1; rotation <= ROTATIONS; rotation += 1) {
      const before = callers.answered();
      await eventually('something to rotate', () => callers.answered() > before + 20 && size(log) > 0);
      rotate();
      for (let count = 0; count < SIGHUPS; count += 1) child.kill('SIGHUP');
    }
    await callers.stop();
    const { code, stderr } = await service.stop();
    assert.equal(code, 0, stderr);
    assert.match(stderr, /all delivered\n$/);
    assert.doesNotMatch(stderr, /wait in the spool/);

    const files = readdirSync(logs).filter((name) => name.startsWith('decisions.jsonl'));
    assert.ok(files.length > ROTATIONS, files.join(', '));
    assert.ok(files.some((name) => name.endsWith('.gz')));
    const paths = files.map((name) => join(logs, name));
    const verified = await runCli(['records', 'verify', ...paths, '--key', service.publicKey()]);
    assert.equal(verified.code, 0, `${verified.stdout}${verified.stderr}`);
    assert.match(verified.stdout, /All proven/);
  },
);

function size(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
