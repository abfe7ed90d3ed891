import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { addKey } from '../../src/cli/keys-file.ts';
import { runCommand } from '../../src/cli/commands.ts';
import type { Io } from '../../src/cli/verb.ts';
import { loadApiKeys, newApiKey } from '../../src/identity/api-keys.ts';
import { lockFile } from '../../src/spool/lock.ts';

const root = fs.mkdtempSync(join(tmpdir(), 'mcp-verdict-keys-'));
after(() => fs.rmSync(root, { recursive: true, force: true }));

const HEAD = 'apiVersion: mcp-verdict/v1\nkind: ApiKeys\n';

/** A directory of its own for each test, so that what is left behind shows. */
function scene(files: Readonly<Record<string, string>> = {}) {
  const directory = fs.mkdtempSync(join(root, 'd-'));
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(join(directory, name), text);
  return {
    path: (name: string) => join(directory, name),
    names: () => fs.readdirSync(directory).toSorted(),
    read: (name: string) => fs.readFileSync(join(directory, name), 'utf8'),
    create: (...options: readonly string[]) => create(directory, options),
  };
}

async function create(cwd: string, options: readonly string[]) {
  const texts = { out: '', err: '' };
  const sink = (name: 'out' | 'err'): Io['stdout'] => {
    const write = (text: string): boolean => ((texts[name] += text), true);
    // The verb writes and does nothing else with it.
    return { write } as unknown as Io['stdout'];
  };
  const io = { stdin: process.stdin, stdout: sink('out'), stderr: sink('err'), env: {}, cwd };
  const code = await runCommand(['keys', 'create', ...options], io);
  return { code, ...texts };
}

function usersOf(text: string): readonly (string | undefined)[] {
  const loaded = loadApiKeys('keys.yaml', text);
  assert.ok(loaded.ok, text);
  return [...loaded.keys.byId.values()].map(({ user }) => user);
}

describe('keys create', () => {
  test('prints a key that its file then knows, twice in the same file, and leaves nothing else', async () => {
    const { create, read, names } = scene();
    const first = await create('--file', 'keys.yaml', '--user', 'alice', '--agent', 'bot');
    const second = await create('--file', 'keys.yaml', '--user', 'bob', '--role', 'finance');
    assert.deepEqual([first.code, second.code], [0, 0]);
    assert.deepEqual(usersOf(read('keys.yaml')), ['alice', 'bob']);
    assert.ok(!read('keys.yaml').includes(first.out.trim().slice(-20)));
    assert.deepEqual(names(), ['keys.yaml']);
  });

  test('limits a key to what is granted, and makes none for a grant of no form', async () => {
    const { create, read, names } = scene();
    const bad = await create('--file', 'keys.yaml', '--grant', 'read_file');
    assert.deepEqual([bad.code, names()], [2, []]);
    assert.match(bad.err, /--grant must be SERVER\/TOOL, not read_file/);
    await create('--file', 'keys.yaml', '--grant', 'files/read_*', '--grant', 'stripe/*');
    const loaded = loadApiKeys('keys.yaml', read('keys.yaml'));
    assert.ok(loaded.ok);
    assert.deepEqual(
      [...loaded.keys.byId.values()].map(({ grants }) => grants),
      [['files/read_*', 'stripe/*']],
    );
  });

  test('leaves nobody else a look into the file, however it was before', async () => {
    const { create, path } = scene({ 'keys.yaml': `${HEAD}keys: []\n` });
    fs.chmodSync(path('keys.yaml'), 0o644);
    await create('--file', 'keys.yaml');
    await create('--file', 'new.yaml');
    for (const name of ['keys.yaml', 'new.yaml']) assert.equal(fs.statSync(path(name)).mode & 0o777, 0o600);
  });

  test('keeps the comments and the link that the file is', async () => {
    const { create, path, read } = scene({ 'real.yaml': `# ours\n${HEAD}keys: []\n` });
    fs.symlinkSync('real.yaml', path('keys.yaml'));
    assert.equal((await create('--file', 'keys.yaml', '--user', 'alice')).code, 0);
    assert.ok(fs.lstatSync(path('keys.yaml')).isSymbolicLink());
    assert.match(read('real.yaml'), /^# ours\n/);
    assert.deepEqual(usersOf(read('real.yaml')), ['alice']);
  });

  test('says so when the key that it made has expired already', async () => {
    const { code, err } = await scene().create('--file', 'k.yaml', '--expires', '2020-01-01T00:00:00Z');
    assert.equal(code, 0);
    assert.match(err, /expired already/);
  });

  for (const expires of ['soon', '2020-13-01T00:00:00Z', '2027-02-30T00:00:00Z', '2027-01-31']) {
    test(`does not take ${expires} for a time`, async () => {
      const { create, names } = scene();
      const { code, err, out } = await create('--file', 'keys.yaml', '--expires', expires);
      assert.deepEqual([code, out], [2, '']);
      assert.match(err, /--expires must be a time/);
      assert.deepEqual(names(), []);
    });
  }

  const broken: readonly (readonly [name: string, text: string, expected: RegExp])[] = [
    ['empty', '', /^keys\.yaml:1:1 the file is empty\n$/],
    ['a list', '- a\n', /^keys\.yaml:1:1 must be a mapping, not a list\n$/],
    ['no YAML', `${HEAD}keys: [\n`, /^keys\.yaml:\d+:\d+ not valid YAML: .*\n$/],
    ['without keys', HEAD, /^keys\.yaml:1:1 the key keys is missing\n$/],
    ['of keys that are no list', `${HEAD}keys: {a: b}\n`, /^keys\.yaml:3:7 must be a list, not a mapping\n$/],
    ['of another kind', 'apiVersion: mcp-verdict/v1\nkind: Policy\nkeys: []\n', /^keys\.yaml:2:7 /],
    ['two documents', `${HEAD}keys: []\n---\n${HEAD}keys: []\n`, /only one YAML document/],
  ];
  for (const [name, text, expected] of broken) {
    test(`leaves a file that is ${name} as it was, and says where the fault stands`, async () => {
      const { create, read, names } = scene({ 'keys.yaml': text });
      const { code, err, out } = await create('--file', 'keys.yaml');
      assert.deepEqual([code, out], [3, '']);
      assert.match(err, expected);
      assert.equal(read('keys.yaml'), text);
      assert.deepEqual(names(), ['keys.yaml']);
    });
  }

  test('names the directory that is missing, and the file that is none', async () => {
    const { create, path } = scene();
    const missing = await create('--file', 'none/keys.yaml');
    assert.deepEqual([missing.code, missing.out], [3, '']);
    assert.match(missing.err, /^none\/keys\.yaml cannot be written: there is no directory .*none\n$/);
    fs.mkdirSync(path('dir'));
    const directory = await create('--file', 'dir');
    assert.equal(directory.code, 3);
    assert.match(directory.err, /^dir is not a plain file\n$/);
  });

  test('waits for whoever holds the lock, and gives up in the end', async () => {
    const { path, read, names } = scene();
    const file = { path: path('keys.yaml'), shown: 'keys.yaml' };
    const held = lockFile(path('keys.yaml.lock'));
    const waiting = addKey(file, newApiKey({ user: 'alice' }).entry);
    await assert.rejects(addKey(file, newApiKey({}).entry, 0), /written by another process/);
    held?.release();
    await waiting;
    assert.deepEqual(usersOf(read('keys.yaml')), ['alice']);
    assert.deepEqual(names(), ['keys.yaml']);
  });

  test('is not stopped by the lock of a process that has died', async () => {
    const { create, names } = scene({ 'keys.yaml.lock': '' });
    assert.equal((await create('--file', 'keys.yaml')).code, 0);
    assert.deepEqual(names(), ['keys.yaml']);
  });
});
