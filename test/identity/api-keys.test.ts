import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  authenticateApiKey,
  isTime,
  loadApiKeys,
  newApiKey,
  type ApiKeys,
} from '../../src/identity/api-keys.ts';

const NOW_MS = Date.parse('2026-11-22T00:00:00Z');

function fileWith(...entries: object[]): ApiKeys {
  const loaded = loadApiKeys(
    'keys.yaml',
    JSON.stringify({ apiVersion: 'mcp-verdict/v1', kind: 'ApiKeys', keys: entries }),
  );
  assert.ok(loaded.ok, JSON.stringify(loaded));
  return loaded.keys;
}

describe('an API key', () => {
  const { key, entry } = newApiKey({ user: 'alice', agent: { name: 'bot' }, roles: ['finance'] });
  const keys = fileWith(entry);

  test('proves the identity that its entry names, and the file holds no part of its secret', () => {
    const result = authenticateApiKey(keys, key, NOW_MS);
    assert.deepEqual(result, {
      ok: true,
      identity: {
        source: 'api_key',
        user: 'alice',
        roles: ['finance'],
        agent: { name: 'bot' },
        issuer: 'keys.yaml',
        keyId: entry.id,
      },
    });
    assert.ok(!JSON.stringify(entry).includes(key.slice(entry.id.length + 1)));
    assert.equal(key.length, entry.id.length + 1 + 43, '256 bits, base64url');
  });

  test('says what it is limited to, and nothing where it is not', () => {
    const limited = newApiKey({ user: 'bob', grants: ['files/read_*'] });
    const result = authenticateApiKey(fileWith(limited.entry), limited.key, NOW_MS);
    assert.deepEqual(result.ok && result.identity.grants, ['files/read_*']);
  });

  const bad: readonly (readonly [string, string])[] = [
    ['no key at all', ''],
    ['a key behind something', `x${key}`],
    ['a key with one character changed', `${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`],
    ['the id alone', entry.id],
    ['a key with an unknown id', `k_ffffffffffff_${key.slice(-43)}`],
    ['two keys in one', `${key} ${key}`],
    ['the hash instead of the key', entry.hash],
    ['a prototype member as id', 'k_constructor_' + 'A'.repeat(43)],
  ];
  for (const [what, presented] of bad) {
    test(`${what} proves nothing`, () => {
      const result = authenticateApiKey(keys, presented, NOW_MS);
      assert.ok(!result.ok);
      assert.equal(result.reason, 'identity_invalid');
      assert.ok(!result.message.includes(key.slice(-20)), 'the message must not repeat the key');
    });
  }

  test('is refused from the moment it expires', () => {
    const made = newApiKey({ expires: '2026-11-22T00:00:00Z' });
    const expiring = fileWith(made.entry);
    assert.ok(authenticateApiKey(expiring, made.key, NOW_MS - 1).ok);
    assert.ok(!authenticateApiKey(expiring, made.key, NOW_MS).ok);
  });

  test('with a time that nobody can read is refused, not good for ever', () => {
    const made = newApiKey({ expires: '2020-13-01T00:00:00Z' });
    const keys: ApiKeys = { file: 'keys.yaml', byId: new Map([[made.entry.id, made.entry]]) };
    assert.ok(!authenticateApiKey(keys, made.key, NOW_MS).ok);
  });

  test('cannot be used where there is no keys file', () => {
    assert.ok(!authenticateApiKey(undefined, key, NOW_MS).ok);
  });
});

describe('a keys file', () => {
  const broken: readonly (readonly [string, string, RegExp])[] = [
    ['a key written in clear', 'keys: [{id: k_0123, hash: "k_0123_secret"}]', /^3:27 /],
    [
      'an unknown member',
      'keys: [{id: k_0123, hash: "sha256:' + '0'.repeat(64) + '", admin: true}]',
      /^3:102 /,
    ],
    [
      'a grant of a tool without its server',
      `keys: [{id: k_0123, hash: "sha256:${'0'.repeat(64)}", grants: [read_file]}]`,
      /^3:111 must be of the form SERVER/,
    ],
    [
      'an id twice',
      `keys:\n  - {id: k_0123, hash: "sha256:${'0'.repeat(64)}"}\n  - {id: k_0123, hash: "sha256:${'1'.repeat(64)}"}`,
      /^5:10 .*twice/,
    ],
    [
      'a date that is none',
      `keys: [{id: k_0123, hash: "sha256:${'0'.repeat(64)}", expires: soon}]`,
      /^3:111 must be a time in UTC, for example/,
    ],
    ...['2020-13-01T00:00:00Z', '2027-02-30T00:00:00Z', '2027-01-01T24:00:00Z', '2027-01-01T00:00:60Z'].map(
      (expires) =>
        [
          `the time ${expires}`,
          `keys: [{id: k_0123, hash: "sha256:${'0'.repeat(64)}", expires: "${expires}"}]`,
          /^3:111 there is no such time as /,
        ] as const,
    ),
  ];
  for (const [what, text, expected] of broken) {
    test(`with ${what} is refused where the fault stands`, () => {
      const loaded = loadApiKeys('keys.yaml', `apiVersion: mcp-verdict/v1\nkind: ApiKeys\n${text}\n`);
      assert.ok(!loaded.ok);
      const first = loaded.faults[0];
      assert.match(`${first?.line}:${first?.column} ${first?.message}`, expected);
    });
  }
});

for (const time of ['2027-01-31T00:00:00Z', '2028-02-29T23:59:59.999999Z', '0001-01-01T00:00:00Z'])
  test(`${time} is a time`, () => assert.equal(isTime(time), true));
