import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { inspect } from 'node:util';
import { VerdictError } from '../../src/errors.ts';
import {
  HMAC_KEY_BYTES_MAX,
  HMAC_KEY_BYTES_MIN,
  HMAC_KEY_FILE,
  hmacKey,
  keyedDigest,
  loadHmacKey,
  shortDigest,
} from '../../src/event/keyring.ts';

const BYTES = Buffer.from(Array.from({ length: 32 }, (_, index) => index * 7));

function directory(context: TestContext): string {
  const path = fs.mkdtempSync(join(tmpdir(), 'keyring-'));
  context.after(() => fs.rmSync(path, { recursive: true }));
  return path;
}

const fromEnv = (value: string) =>
  loadHmacKey({ directory: '/nonexistent', env: { MCP_VERDICT_HMAC_KEY: value } });

const refuses = (run: () => unknown, code: string, text: RegExp) =>
  assert.throws(
    run,
    (error) => error instanceof VerdictError && error.code === code && text.test(error.message),
  );

test('a key id is the first 16 hex digits of the SHA-256 of the key', () => {
  assert.equal(hmacKey(BYTES).id, createHash('sha256').update(BYTES).digest('hex').slice(0, 16));
});

for (const [form, text] of [
  ['hex', BYTES.toString('hex')],
  ['upper-case hex', BYTES.toString('hex').toUpperCase()],
  ['base64', BYTES.toString('base64')],
  ['base64url', BYTES.toString('base64url')],
  ['hex with a line end', `${BYTES.toString('hex')}\n`],
] as const) {
  test(`the environment gives the key as ${form}`, () => assert.equal(fromEnv(text).id, hmacKey(BYTES).id));
}

for (const [what, text] of [
  ['shorter than 32 bytes', 'ab'.repeat(HMAC_KEY_BYTES_MIN - 1)],
  ['hex of 24 bytes, though as base64 it would be 36', 'ab'.repeat(24)],
  ['of odd length', 'a'.repeat(65)],
  ['neither hex nor base64', 'correct horse battery staple correct horse battery staple'],
  ['longer than 1024 bytes', 'ab'.repeat(HMAC_KEY_BYTES_MAX + 1)],
] as const) {
  test(`a key ${what} is refused, and not shown`, () => {
    refuses(
      () => fromEnv(text),
      'config_invalid',
      /^MCP_VERDICT_HMAC_KEY must be 32 to 1024 random bytes as hex or base64/,
    );
    assert.throws(
      () => fromEnv(text),
      (error) => !inspect(error).includes(text),
    );
  });
}

test('keys of 32 and of 1024 bytes are taken', () => {
  for (const bytes of [HMAC_KEY_BYTES_MIN, HMAC_KEY_BYTES_MAX]) assert.ok(fromEnv('ab'.repeat(bytes)).id);
});

test('without a key in the environment one is made, for its owner only, and read again', (context) => {
  const path = join(directory(context), 'state', 'keys');
  const made = loadHmacKey({ directory: path, env: { MCP_VERDICT_HMAC_KEY: '' } });
  const file = join(path, HMAC_KEY_FILE);
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  assert.equal(fs.statSync(path).mode & 0o777, 0o700);
  assert.deepEqual(fs.readdirSync(path), [HMAC_KEY_FILE]);
  assert.match(fs.readFileSync(file, 'utf8'), /^[0-9a-f]{64}\n$/);
  assert.equal(loadHmacKey({ directory: path, env: {} }).id, made.id);
});

test('a key file that others may read is refused', (context) => {
  const path = directory(context);
  fs.writeFileSync(join(path, HMAC_KEY_FILE), BYTES.toString('hex'), { mode: 0o640 });
  refuses(() => loadHmacKey({ directory: path, env: {} }), 'config_invalid', /chmod 600/);
});

test('a directory that others may write to gets no key', (context) => {
  const path = directory(context);
  fs.chmodSync(path, 0o770);
  refuses(() => loadHmacKey({ directory: path, env: {} }), 'config_invalid', /chmod 700/);
});

test('a link in the place of the key file is not followed', (context) => {
  const path = directory(context);
  fs.writeFileSync(join(path, 'other'), BYTES.toString('hex'), { mode: 0o600 });
  fs.symlinkSync('other', join(path, HMAC_KEY_FILE));
  refuses(
    () => loadHmacKey({ directory: path, env: {} }),
    'file_unreadable',
    /hmac\.key cannot be read: ELOOP/,
  );
});

test('what is no plain file is refused', (context) => {
  const path = directory(context);
  fs.mkdirSync(join(path, HMAC_KEY_FILE), { mode: 0o700 });
  assert.throws(() => loadHmacKey({ directory: path, env: {} }), VerdictError);
});

for (const [what, content] of [
  ['an empty', ''],
  ['a truncated', 'ab'.repeat(10)],
  ['a huge', 'ab'.repeat(100_000)],
] as const) {
  test(`${what} key file is refused, not replaced`, (context) => {
    const path = directory(context);
    const file = join(path, HMAC_KEY_FILE);
    fs.writeFileSync(file, content, { mode: 0o600 });
    refuses(() => loadHmacKey({ directory: path, env: {} }), 'config_invalid', /must be 32 to 1024/);
    assert.equal(fs.readFileSync(file, 'utf8'), content);
  });
}

test('a directory that cannot be made is named', (context) => {
  const path = join(directory(context), 'file');
  fs.writeFileSync(path, '');
  refuses(
    () => loadHmacKey({ directory: join(path, 'keys'), env: {} }),
    'file_unreadable',
    /hmac\.key cannot be read/,
  );
});

test('a digest is HMAC-SHA256 over the label, a line end and the data', () => {
  const hex = createHmac('sha256', BYTES).update('mcp-verdict/arguments/1\n{"a":1}').digest('hex');
  const key = hmacKey(BYTES);
  assert.equal(keyedDigest(key, 'arguments/1', '{"a":1}'), `hmac-sha256:${key.id}:${hex}`);
  assert.equal(shortDigest(key, 'arguments/1', '{"a":1}'), hex.slice(0, 32));
});

test('labels and keys keep digests of the same data apart', () => {
  const key = hmacKey(BYTES);
  const digests = [
    shortDigest(key, 'a', 'x'),
    shortDigest(key, 'b', 'x'),
    shortDigest(hmacKey(BYTES.toReversed()), 'a', 'x'),
  ];
  assert.equal(new Set(digests).size, 3);
});

test('a key that is printed or serialized does not show itself', () => {
  const key = hmacKey(BYTES);
  for (const form of [BYTES.toString('hex'), BYTES.toString('base64'), '0, 7, 14']) {
    assert.ok(!`${inspect(key)}${JSON.stringify(key)}`.includes(form));
  }
});
