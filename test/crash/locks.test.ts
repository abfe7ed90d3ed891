/** What only one of several processes may have: the lock of a stream, and the making of the key. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { HMAC_KEY_FILE, loadHmacKey } from '../../src/event/keyring.ts';
import { nodeFiles } from '../../src/spool/node-files.ts';

const HOLDER = fileURLToPath(new URL('../support/lock-holder.ts', import.meta.url));

function directory(context: TestContext): string {
  const path = fs.mkdtempSync(join(tmpdir(), 'mcp-verdict-locks-'));
  context.after(() => fs.rmSync(path, { recursive: true }));
  return path;
}

describe('a lock', () => {
  async function hold(path: string): Promise<{ child: ChildProcess; answer: string; noise: string }> {
    const child = spawn(process.execPath, [HOLDER, path], { stdio: ['ignore', 'pipe', 'pipe'] });
    let noise = '';
    child.stderr.on('data', (part: Buffer) => (noise += part.toString()));
    const [answer] = (await once(child.stdout, 'data')) as [Buffer];
    return { child, answer: answer.toString().trim(), noise };
  }

  async function end(child: ChildProcess): Promise<void> {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  test('is held by one process, is free the moment that one is killed, and prints nothing', async (t) => {
    const path = join(directory(t), 'lock.sqlite');
    const first = await hold(path);
    try {
      assert.equal(first.answer, 'held');
      assert.equal(nodeFiles.lock(path), undefined);
      const second = await hold(path);
      assert.equal(second.answer, 'busy');
      await end(second.child);
      assert.equal(first.noise + second.noise, '');
    } finally {
      await end(first.child);
    }
    const lock = nodeFiles.lock(path);
    assert.ok(lock);
    const third = await hold(path);
    assert.equal(third.answer, 'busy');
    await end(third.child);
    lock.release();
    lock.release();
    const fourth = await hold(path);
    assert.equal(fourth.answer, 'held');
    await end(fourth.child);
    assert.deepEqual(fs.readdirSync(join(path, '..')), ['lock.sqlite']);
    assert.equal(fs.statSync(path).mode & 0o777, 0o600);
  });

  test('is held against its own process and its threads too, and their attempts do not free it', async (t) => {
    const path = join(directory(t), 'lock.sqlite');
    const lock = nodeFiles.lock(path);
    assert.ok(lock);
    assert.equal(nodeFiles.lock(path), undefined);
    const worker = new Worker(new URL('../support/lock-holder.ts', import.meta.url), {
      argv: [path],
      stdout: true,
    });
    const [answer] = (await once(worker.stdout, 'data')) as [Buffer];
    assert.equal(answer.toString().trim(), 'busy');
    await worker.terminate();
    const other = await hold(path);
    assert.equal(other.answer, 'busy');
    await end(other.child);
    lock.release();
  });
});

test('processes that start at once agree on one key', async (context) => {
  const path = directory(context);
  const module = new URL('../../src/event/keyring.ts', import.meta.url).href;
  const script = `import { loadHmacKey } from ${JSON.stringify(module)};
    process.stdin.once('data', () => {
      process.stdout.write(loadHmacKey({ directory: ${JSON.stringify(path)}, env: {} }).id);
      process.exit();
    });
    process.stdout.write('ready ');`;
  const children = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  );
  const outputs = children.map(async (child) => {
    let output = '';
    for await (const chunk of child.stdout) {
      output += String(chunk);
      if (output === 'ready ') ready();
    }
    return output;
  });
  let waiting = children.length;
  function ready(): void {
    waiting -= 1;
    if (waiting === 0) for (const child of children) child.stdin.end('go');
  }
  const said = new Set(await Promise.all(outputs));
  assert.deepEqual(said, new Set([`ready ${loadHmacKey({ directory: path, env: {} }).id}`]));
  assert.deepEqual(fs.readdirSync(path), [HMAC_KEY_FILE]);
});
