/** What a look at a file finds, when it is no text file that anybody has written. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { lookAtFile, lookAtFileNow, readTextFile, WATCHED_BYTES_MAX } from '../../src/config/text-file.ts';

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-text-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** Both ways to look find the same. */
async function look(file: string): Promise<string> {
  const [now, later] = [lookAtFileNow(file), await lookAtFile(file)];
  const words = [now, later].map((seen) => (seen.ok ? `text of ${seen.text.length}` : seen.error.message));
  assert.equal(words[0], words[1]);
  return words[0] ?? '';
}

describe('a look at a file', () => {
  test('gives its text', async () => {
    const file = join(root, 'a');
    writeFileSync(file, 'hällo');
    assert.equal(await look(file), 'text of 5');
    assert.equal(readTextFile(file), 'hällo');
  });

  test('says why there is none', async () => {
    assert.equal(
      await look(join(root, 'none')),
      `${join(root, 'none')} cannot be read: there is no such file.`,
    );
    assert.equal(await look(root), `${root} cannot be read: it is a directory.`);
    assert.throws(() => readTextFile(join(root, 'none')), { code: 'file_unreadable' });
  });

  test('does not wait for a pipe', { skip: process.platform === 'win32' && 'no such pipes' }, async () => {
    const pipe = join(root, 'pipe');
    execFileSync('mkfifo', [pipe]);
    assert.equal(await look(pipe), `${pipe} cannot be read: it is no plain file.`);
  });

  test(`reads ${WATCHED_BYTES_MAX} bytes and no more`, async () => {
    const file = join(root, 'large');
    writeFileSync(file, '');
    truncateSync(file, WATCHED_BYTES_MAX);
    assert.equal(await look(file), `text of ${WATCHED_BYTES_MAX}`);
    truncateSync(file, WATCHED_BYTES_MAX + 1);
    assert.equal(await look(file), `${file} cannot be read: it is larger than ${WATCHED_BYTES_MAX} bytes.`);
  });
});
