import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadApiKeys } from '../../src/identity/api-keys.ts';
import { runCli } from '../support/cli.ts';

test('four processes that make keys at once make four keys, and all four are in the file', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'mcp-verdict-keys-'));
  try {
    const users = ['a', 'b', 'c', 'd'];
    const made = await Promise.all(
      users.map((user) => runCli(['keys', 'create', '--file', 'keys.yaml', '--user', user], { cwd })),
    );
    assert.deepEqual(
      made.map(({ code }) => code),
      [0, 0, 0, 0],
      made.map(({ stderr }) => stderr).join(''),
    );
    const loaded = loadApiKeys('keys.yaml', readFileSync(join(cwd, 'keys.yaml'), 'utf8'));
    assert.ok(loaded.ok);
    const entries = [...loaded.keys.byId.values()];
    assert.deepEqual(new Set(entries.map(({ user }) => user)), new Set(users));
    assert.deepEqual(
      new Set(made.map(({ stdout }) => /^(k_[0-9a-f]+)_/.exec(stdout)?.[1])),
      new Set(entries.map(({ id }) => id)),
    );
    assert.deepEqual(readdirSync(cwd), ['keys.yaml']);
  } finally {
    rmSync(cwd, { recursive: true });
  }
});
