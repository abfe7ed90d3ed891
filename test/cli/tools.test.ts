/** What `tools` says no to before it asks anybody; the rest is in test/e2e/pins.test.ts. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runCommand } from '../../src/cli/commands.ts';
import type { Io } from '../../src/cli/verb.ts';
import { pinsOfWrap } from '../../src/cli/wrap.ts';

const cwd = mkdtempSync(join(tmpdir(), 'mcp-verdict-tools-'));
after(() => rmSync(cwd, { recursive: true, force: true }));

writeFileSync(
  join(cwd, 'verdict.yaml'),
  'policy: [p.yaml]\nidentity: {anonymous: allow}\npins: {file: l.json}\nservers: {a: {url: "http://127.0.0.1:9/"}}\n',
);

async function tools(...args: readonly string[]) {
  let said = '';
  // The verb writes and does nothing else with it.
  const sink = { write: (text: string): boolean => ((said += text), true) } as unknown as Io['stdout'];
  const io = { stdin: process.stdin, stdout: sink, stderr: sink, env: {}, cwd };
  const code = await runCommand(['tools', ...args], io);
  return { code, said };
}

const COMMAND = ['--', 'no-such-server'];

const table: readonly (readonly [args: readonly string[], code: number, said: RegExp])[] = [
  [[], 2, /two sub-verbs: lock and check/],
  [['show', ...COMMAND], 2, /two sub-verbs/],
  [['lock', 'check', ...COMMAND], 2, /two sub-verbs/],
  [['lock'], 2, /--config FILE, or the command of a server/],
  [['lock', '--config', 'verdict.yaml', ...COMMAND], 2, /--config FILE, or the command of a server/],
  [['lock', '--'], 2, /one command after --/],
  [['lock', '--server', 'a', '--server', 'b', ...COMMAND], 2, /one --server for it/],
  [['lock', '--config', 'verdict.yaml', '--server', 'b'], 2, /verdict\.yaml has no server b/],
  [
    ['check', ...COMMAND],
    3,
    /^tools\.lock\.json cannot be read: there is no such file\.\nTools are pinned with/,
  ],
  [['check', '--config', 'verdict.yaml'], 3, /^l\.json cannot be read/],
  [['check', '--config', 'verdict.yaml', '--lock', 'other.json'], 3, /^other\.json cannot be read/],
  [['lock', '--config', 'none.yaml'], 3, /none\.yaml cannot be read/],
];
for (const [args, code, said] of table) {
  test(`tools ${args.join(' ')}: exit ${code}`, async () => {
    const ran = await tools(...args);
    assert.equal(ran.code, code, ran.said);
    assert.match(ran.said, said);
  });
}

test('a lock file that is broken is not written over: what it pinned would be lost', async () => {
  writeFileSync(join(cwd, 'tools.lock.json'), '{"servers": ');
  const { code, said } = await tools('lock', ...COMMAND);
  assert.equal(code, 3);
  assert.match(said, /^tools\.lock\.json:1:13 not valid JSON: it ends too early\nRestore it, or remove it/);
  rmSync(join(cwd, 'tools.lock.json'));
  assert.deepEqual(readdirSync(cwd), ['verdict.yaml']);
});

test('wrap pins nothing unless it is told to, and strictly where only the file is named', () => {
  // Nothing of it but the directory is used.
  const io = { cwd: '/w' } as Io;
  const modeOf = (values: { pin?: string; lock?: string }) => {
    const { file, modes } = pinsOfWrap({ server: 'files', ...values }, io);
    return [file, modes.get('files')];
  };
  assert.deepEqual(modeOf({}), ['/w/tools.lock.json', 'off']);
  assert.deepEqual(modeOf({ lock: 'l.json' }), ['/w/l.json', 'strict']);
  assert.deepEqual(modeOf({ lock: 'l.json', pin: 'warn' }), ['/w/l.json', 'warn']);
  assert.deepEqual(modeOf({ pin: 'strict' }), ['/w/tools.lock.json', 'strict']);
  assert.throws(() => modeOf({ pin: 'loose' }), /--pin must be one of strict, warn, off/);
});

test('tools --help has an example of each of its ways', async () => {
  const { code, said } = await tools('--help');
  assert.equal(code, 0);
  for (const example of [/tools lock --config/, /tools check --config/, /tools lock --server files -- /]) {
    assert.match(said, example);
  }
});
