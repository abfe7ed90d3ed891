import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadApiKeys, newApiKey, type ApiKeyEntry, type ApiKeys } from '../../src/identity/api-keys.ts';
import { httpAuthenticator, lockedOut } from '../../src/identity/authenticate.ts';
import { stdioIdentity } from '../../src/identity/stdio.ts';

const made = newApiKey({ user: 'alice' });
const loaded = loadApiKeys(
  'keys.yaml',
  JSON.stringify({ apiVersion: 'mcp-verdict/v1', kind: 'ApiKeys', keys: [made.entry] }),
);
assert.ok(loaded.ok);
const options = { apiKeys: loaded.keys, nowMs: () => 0 };

describe('the HTTP authenticator', () => {
  const nothing = { authorization: [], tokenInUrl: false, server: 'files' };

  test('refuses a caller without credentials where anonymous callers are denied', async () => {
    const result = await httpAuthenticator({ ...options, anonymous: 'deny' })(nothing);
    assert.deepEqual(result.ok ? 'ok' : result.reason, 'identity_missing');
  });

  test('knows a caller without credentials as nobody where anonymous callers are allowed', async () => {
    const result = await httpAuthenticator({ ...options, anonymous: 'allow' })(nothing);
    assert.ok(result.ok);
    assert.deepEqual(result.identity, { source: 'none' });
  });

  test('never lets wrong credentials fall through to anonymous', async () => {
    const authenticate = httpAuthenticator({ ...options, anonymous: 'allow' });
    const result = await authenticate({ ...nothing, authorization: ['Bearer wrong'] });
    assert.ok(!result.ok);
    assert.equal(result.reason, 'identity_invalid');
  });

  test('believes neither of two Authorization headers', async () => {
    const good = `Bearer ${made.key}`;
    const authenticate = httpAuthenticator({ ...options, anonymous: 'deny' });
    const result = await authenticate({ ...nothing, authorization: [good, good] });
    assert.ok(!result.ok);
  });
});

test('a stdio identity has the system’s user, and the agent of our own command line only', () => {
  assert.equal(stdioIdentity(undefined).agent, undefined);
  const identity = stdioIdentity('bot');
  assert.equal(identity.source, 'stdio');
  assert.deepEqual(identity.agent, { id: 'bot', name: 'bot' });
  assert.ok(identity.user);
});

describe('that nobody can be served is said', () => {
  const keysOf = (...entries: readonly ApiKeyEntry[]): ApiKeys => ({
    file: 'keys.yaml',
    byId: new Map(entries.map((entry) => [entry.id, entry])),
  });
  const expired = newApiKey({ expires: '1970-01-01T00:00:00Z' }).entry;
  const cases: readonly (readonly [string, ApiKeys | undefined, 'allow' | 'deny', RegExp | undefined])[] = [
    ['no keys file', undefined, 'deny', /there is no keys file, and anonymous callers are denied/],
    ['an empty keys file', keysOf(), 'deny', /no key in keys\.yaml is good/],
    ['expired keys only', keysOf(expired), 'deny', /no key in keys\.yaml is good/],
    ['one good key', keysOf(expired, made.entry), 'deny', undefined],
    ['no key, but anonymous callers', keysOf(), 'allow', undefined],
  ];
  for (const [name, apiKeys, anonymous, expected] of cases) {
    test(name, () => {
      const why = lockedOut({ apiKeys, issuers: 0, anonymous, nowMs: () => 0 });
      if (expected === undefined) assert.equal(why, undefined);
      else assert.match(why ?? '', expected);
    });
  }
});
