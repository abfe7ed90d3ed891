import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { findDirectExporters } from '../../../src/service/doctor/direct-exporters.ts';

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-direct-'));
after(() => rmSync(root, { recursive: true }));

async function find(directory: string): Promise<string> {
  const quiet = (): void => {};
  const [finding] = await findDirectExporters({
    plans: [
      { name: 'log', kind: 'file', required: true, file: { path: join(directory, 'l'), format: 'json' } },
    ],
    env: {},
    version: '1',
    diagnostics: { error: quiet, warn: quiet, info: quiet, debug: quiet },
  });
  return `${finding?.level} ${finding?.found} ${finding?.exit ?? ''}`;
}

test('a file’s directory that can be written is good, and nothing is written', async () => {
  assert.equal(await find(root), `ok ${root} can be written (json); nothing was written to try it `);
  assert.deepEqual(readdirSync(root), []);
});

test('one that is not there is what a start would refuse', async () => {
  assert.match(await find(join(root, 'nowhere')), /^fail .* 3$/);
});

test('one that we may not write to is named; root may write anywhere', async () => {
  const closed = join(root, 'closed');
  mkdirSync(closed);
  chmodSync(closed, 0o500);
  const expected = process.getuid?.() === 0 ? /^ok / : /^fail \S+closed cannot be written by this user $/;
  assert.match(await find(closed), expected);
});
