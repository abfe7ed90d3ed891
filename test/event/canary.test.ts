import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '../../src/event/json.ts';
import { hmacKey } from '../../src/event/keyring.ts';
import { describeArguments, EMBEDDED_CHARS_MAX } from '../../src/event/redact.ts';
import type { ArgumentLevel } from '../../src/event/redact.ts';
import { json } from './sample.ts';

const hmac = hmacKey(Buffer.alloc(32, 7));
const text = JSON.stringify;

function describe(value: unknown, level: ArgumentLevel) {
  return describeArguments(json(value) as ReadonlyMap<string, Json>, { level, bytes: 123, hmac });
}

/** One secret that no pattern knows, and one that patterns know. */
const CANARY = 'c4naryXq7Zp';
const KNOWN = 'ghp_c4naryXq7Zpc4naryXq7Zpc4naryXq7Zp01';

const shapes: [name: string, args: unknown][] = [
  ['under a secret name', { password: CANARY }],
  ['under a name in capitals', { API_KEY: CANARY }],
  ['under a name with a zero-width space', { 'pass\u200bword': CANARY }],
  ['under a name in full-width letters', { ｔｏｋｅｎ: CANARY }],
  ['as an object under a secret name', { secrets: { a: [CANARY] } }],
  ['deep inside', { a: [{ b: [{ c: { accessToken: CANARY } }] }] }],
  ['in JSON in a string', { body: text({ password: CANARY }) }],
  ['in JSON in JSON in JSON', { body: text({ a: text({ b: text({ password: CANARY }) }) }) }],
  ['in JSON with escapes', { body: '{"p\\u0061ssword":"' + CANARY + '"}' }],
  ['in JSON that holds the name twice', { body: `{"password":"${CANARY}","password":true}` }],
  ['in a text with escaped JSON', { body: `x = "{\\"password\\":\\"${CANARY}\\"}"` }],
  ['in broken JSON', { body: `{"password":"${CANARY}",,` }],
  [
    'in JSON with much around it',
    { body: text({ pad: 'x'.repeat(EMBEDDED_CHARS_MAX), list: { password: { v: CANARY } } }) },
  ],
  ['in JSON nested too deep', { body: '['.repeat(99) + text({ password: { v: CANARY } }) + ']'.repeat(99) }],
  ['in the environment of a process', { env: `A=1\nDB_PASSWORD=${CANARY}\n` }],
  ['in a header', { headers: `Accept: x\r\nAuthorization: Basic ${CANARY}\r\n` }],
  ['in a curl command', { cmd: `curl -H 'Authorization: Bearer ${CANARY}' https://h` }],
  ['on a command line', { cmd: `tool --token ${CANARY}` }],
  ['in an argument vector', { argv: ['--token', CANARY] }],
  ['in a query', { url: `https://h/x?access_token=${CANARY}&b=1` }],
  ['in userinfo', { url: `postgres://u:${CANARY}@h/db` }],
  ['in a list of names and values', { env: [{ name: 'TOKEN', value: CANARY }] }],
  ['as a known form under any name', { note: KNOWN }],
  ['as a known form in prose', { note: `the key is ${KNOWN}, keep it` }],
  ['as a known form that is a name', { [KNOWN]: 1 }],
  ['as a known form that is a name deep inside', { a: { [KNOWN]: { password: 1 } } }],
  ['as a known form in an assignment that is a name', { [`password=${CANARY}`]: 1 }],
  ['across the cut of a long value', { note: 'x '.repeat(2040) + KNOWN }],
  [
    'behind much else',
    Object.fromEntries([...Array.from({ length: 90 }, (_, i) => [`k${i}`, 'x'.repeat(9000)]), ['z', KNOWN]]),
  ],
  ['in a private key', { pem: `-----BEGIN PRIVATE KEY-----\n${CANARY}\n-----END PRIVATE KEY-----` }],
  [
    'in a private key that is too long',
    { pem: `-----BEGIN PRIVATE KEY-----\n${`${CANARY}\n`.repeat(9000)}` },
  ],
  ['in a token', { t: `eyJhbGciOiJIUzI1NiJ9.${CANARY}.${CANARY}` }],
];

for (const [name, args] of shapes) {
  test(`a secret ${name} is in no field`, () => {
    for (const level of ['none', 'keys', 'redacted'] as const) {
      const fields = describe(args, level);
      assert.doesNotMatch(JSON.stringify(fields), /c4nary/i);
      if (level === 'redacted') JSON.parse(fields['gen_ai.tool.call.arguments'] ?? '');
    }
  });
}
