import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { inspect } from 'node:util';
import * as fc from 'fast-check';
import { VerdictError } from '../../src/errors.ts';
import {
  loadSigningKey,
  parsePublicKey,
  SIGNING_KEY_FILE,
  signingKey,
  signPlace,
  verifyPlace,
} from '../../src/event/signing.ts';
import { newKey, publicOf } from './verify-scene.ts';

const PAIR = generateKeyPairSync('ed25519');
const PEM = PAIR.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const PUBLIC_PEM = PAIR.publicKey.export({ type: 'spki', format: 'pem' }).toString();
const DER = PAIR.privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64');
const RAW = PAIR.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
const ID = createHash('sha256').update(RAW).digest('hex').slice(0, 16);
const PLACE = { stream: '019aaaaa-0000-7000-8000-000000000001', sequence: 7, hash: 'ab'.repeat(32) };

function directory(context: TestContext): string {
  const path = fs.mkdtempSync(join(tmpdir(), 'signing-'));
  context.after(() => fs.rmSync(path, { recursive: true }));
  return path;
}

const fromEnv = (value: string) =>
  loadSigningKey({ directory: '/nonexistent', env: { MCP_VERDICT_SIGNING_KEY: value } });

const isRefusal = (text: RegExp) => (error: unknown) =>
  error instanceof VerdictError && error.code === 'config_invalid' && text.test(error.message);

test('a key id is the first 16 hex digits of the SHA-256 of the raw public key', () => {
  const key = signingKey(PAIR.privateKey);
  assert.deepEqual([key.id, key.publicKeyText], [ID, RAW.toString('base64')]);
});

for (const [form, text] of [
  ['PEM', PEM],
  ['PEM with line ends written out', PEM.replaceAll('\n', '\\n')],
  ['base64 of DER', DER],
] as const) {
  test(`the environment gives the key as ${form}`, () => assert.equal(fromEnv(text).id, ID));
}

for (const [what, text] of [
  ['no key', 'hunter2'],
  ['a public key', PUBLIC_PEM],
  ['half a key', DER.slice(0, 40)],
  [
    'a key of another kind',
    generateKeyPairSync('x25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  ],
] as const) {
  test(`${what} is refused, and not shown`, () => {
    assert.throws(() => fromEnv(text), isRefusal(/^MCP_VERDICT_SIGNING_KEY must be an Ed25519 private key/));
    assert.throws(
      () => fromEnv(text),
      (error) => !inspect(error).includes(text),
    );
  });
}

test('without a key in the environment one is made, for its owner only, and read again', (context) => {
  const path = join(directory(context), 'keys');
  const made = loadSigningKey({ directory: path, env: {} });
  assert.deepEqual(fs.readdirSync(path), [SIGNING_KEY_FILE]);
  assert.equal(fs.statSync(join(path, SIGNING_KEY_FILE)).mode & 0o777, 0o600);
  assert.match(fs.readFileSync(join(path, SIGNING_KEY_FILE), 'utf8'), /^-----BEGIN PRIVATE KEY-----\n/);
  assert.equal(loadSigningKey({ directory: path, env: { MCP_VERDICT_SIGNING_KEY: '' } }).id, made.id);
});

test('a key file that others may read, and a broken one, are refused', (context) => {
  const path = directory(context);
  fs.writeFileSync(join(path, SIGNING_KEY_FILE), PEM, { mode: 0o644 });
  assert.throws(() => loadSigningKey({ directory: path, env: {} }), isRefusal(/chmod 600/));
  fs.rmSync(join(path, SIGNING_KEY_FILE));
  fs.writeFileSync(join(path, SIGNING_KEY_FILE), PEM.slice(0, 50), { mode: 0o600 });
  assert.throws(
    () => loadSigningKey({ directory: path, env: {} }),
    isRefusal(/signing\.key must be an Ed25519/),
  );
});

for (const [form, text] of [
  ['base64', RAW.toString('base64')],
  ['base64url', RAW.toString('base64url')],
  ['PEM', PUBLIC_PEM],
  ['base64 of DER', PAIR.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')],
  ['base64 with a line end', `${RAW.toString('base64')}\n`],
] as const) {
  test(`a public key is read from ${form}`, () => assert.equal(parsePublicKey(text)?.id, ID));
}

for (const [what, text] of [
  ['nothing', ''],
  ['31 bytes', RAW.subarray(1).toString('base64')],
  ['a private key', PEM],
  ['text', 'correct horse'],
  [
    'a key of another kind',
    generateKeyPairSync('x25519').publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  ],
] as const) {
  test(`no public key is read from ${what}`, () => assert.equal(parsePublicKey(text), undefined));
}

test('a signature holds for its stream, sequence, hash and key, and for nothing else', () => {
  const key = signingKey(PAIR.privateKey);
  const signature = signPlace(key, PLACE);
  const trusted = publicOf(key);
  assert.ok(verifyPlace(trusted, PLACE, signature));
  assert.ok(!verifyPlace(trusted, { ...PLACE, sequence: 8 }, signature));
  assert.ok(!verifyPlace(trusted, { ...PLACE, stream: `${PLACE.stream}\n7` }, signature));
  assert.ok(!verifyPlace(trusted, { ...PLACE, hash: 'ac'.repeat(32) }, signature));
  assert.ok(!verifyPlace(publicOf(newKey()), PLACE, signature));
});

test('property: no other text passes for a signature', () => {
  const key = signingKey(PAIR.privateKey);
  const signature = signPlace(key, PLACE);
  const near = fc
    .tuple(fc.nat(signature.length), fc.string({ maxLength: 2 }))
    .map(([at, text]) => signature.slice(0, at) + text + signature.slice(at + text.length));
  fc.assert(
    fc.property(fc.oneof(near, fc.string(), fc.base64String()), (other) => {
      assert.equal(verifyPlace(publicOf(key), PLACE, other), other === signature);
    }),
  );
});

test('a key that is printed or serialized does not show itself', () => {
  const key = signingKey(PAIR.privateKey);
  const secret = PAIR.privateKey.export({ format: 'jwk' }).d ?? 'none';
  assert.ok(!`${inspect(key)}${JSON.stringify(key)}`.includes(secret));
});
