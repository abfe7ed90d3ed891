/** stdout of a real process: a reader who rests, one who is gone, and a file in its place. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { fillStream } from '../bench/fill.ts';
import { CLI, plainEnvironment, runCli } from '../support/cli.ts';
import { callOnce, createService, startUpstream } from '../support/crash-scene.ts';
import { eventually } from '../support/eventually.ts';
import { within } from '../support/within.ts';

/** Far more bytes than a pipe holds. */
const RECORDS = 3000;

async function start(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-stdout-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  mkdirSync(join(directory, 'spool'), { mode: 0o700 });
  fillStream(join(directory, 'spool'), RECORDS);
  const upstream = await startUpstream();
  t.after(upstream.close);
  const service = await createService({
    directory,
    upstreamPort: upstream.port,
    more: 'exporters: {stdout: {}, file: {path: decisions.jsonl}}\n',
  });
  const agent = new Agent();
  t.after(() => agent.destroy());
  const file = join(directory, 'decisions.jsonl');
  return {
    directory,
    service,
    /** Makes a call; fails where it is not answered. */
    call: async () => assert.equal((await callOnce(service.url, agent)).status, 200),
    fileIsComplete: () =>
      eventually('the file has all', () => existsSync(file) && linesOf(readFileSync(file, 'utf8')) > RECORDS),
    proven: async (path: string) => {
      const { code, stdout, stderr } = await runCli([
        'records',
        'verify',
        path,
        '--key',
        service.publicKey(),
      ]);
      assert.equal(code, 0, `${stdout}${stderr}`);
    },
  };
}

function linesOf(text: string): number {
  return text.split('\n').length - 1;
}

describe('stdout', () => {
  test('that nobody reads for a while holds up neither calls nor another exporter, and then has all', async (t) => {
    const { service, call, fileIsComplete, proven, directory } = await start(t);
    await service.start();
    t.after(service.kill);
    const { child, stdout } = service.running();
    child.stdout.pause();
    await call();
    await fileIsComplete();
    await call();
    assert.ok(linesOf(stdout()) < RECORDS, 'it was all read');
    child.stdout.resume();
    await eventually('all', () => linesOf(stdout()) > RECORDS);
    const { code, stderr } = await service.stop();
    assert.equal(code, 0, stderr);
    assert.match(stderr, /all delivered\n$/);
    const read = join(directory, 'read.jsonl');
    writeFileSync(read, stdout());
    await proven(read);
  });

  test('that nobody reads does not keep the process from ending', async (t) => {
    const { service, call, fileIsComplete } = await start(t);
    await service.start();
    t.after(service.kill);
    service.running().child.stdout.pause();
    await call();
    await fileIsComplete();
    const { child, stderr } = service.running();
    child.kill('SIGTERM');
    const [code] = (await within('it ends', once(child, 'exit'), 15_000)) as [number];
    assert.equal(code, 0, stderr());
    child.stdout.destroy();
  });

  test('whose reader is gone is said to be, and everything else goes on', async (t) => {
    const { service, call, fileIsComplete } = await start(t);
    await service.start();
    t.after(service.kill);
    const { child, stderr } = service.running();
    child.stdout.destroy();
    await call();
    await fileIsComplete();
    await eventually('said', () => /exporter stdout: .* nobody reads stdout any more/.test(stderr()));
    await call();
    const { code } = await service.stop();
    assert.equal(code, 0, stderr());
    assert.match(stderr(), /wait in the spool/);
  });

  test('that is a file gets every line', async (t) => {
    const { fileIsComplete, proven, directory } = await start(t);
    const path = join(directory, 'stdout.jsonl');
    const output = openSync(path, 'a');
    const child = spawn(process.execPath, [CLI, 'serve', '--config', 'verdict.yaml'], {
      cwd: directory,
      env: plainEnvironment(),
      stdio: ['ignore', output, 'pipe'],
    });
    closeSync(output);
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    t.after(() => child.kill('SIGKILL'));
    await fileIsComplete();
    await eventually('all', () => linesOf(readFileSync(path, 'utf8')) > RECORDS);
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number];
    assert.equal(code, 0, stderr);
    await proven(path);
  });
});
