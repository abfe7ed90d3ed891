import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadApiKeys, newApiKey } from '../../src/identity/api-keys.ts';
import { httpAuthenticator } from '../../src/identity/authenticate.ts';
import { stdioIdentity } from '../../src/identity/stdio.ts';

const made = newApiKey({ user: 'alice' });
const loaded = loadApiKeys(
  'keys.yaml',
  JSON.stringify({ apiVersion: 'mcp-verdict/v1', kind: 'ApiKeys', keys: [made.entry] }),
);
assert.ok(loaded.ok);
const options = { apiKeys: loaded.keys, nowMs: () => 0 };

describe('the HTTP authenticator', () => {
  test('refuses a caller without credentials where anonymous callers are denied', () => {
    const result = httpAuthenticator({ ...options, anonymous: 'deny' })({ authorization: [] });
    assert.deepEqual(result.ok ? 'ok' : result.reason, 'identity_missing');
  });

  test('knows a caller without credentials as nobody where anonymous callers are allowed', () => {
    const result = httpAuthenticator({ ...options, anonymous: 'allow' })({ authorization: [] });
    assert.ok(result.ok);
    assert.deepEqual(result.identity, { source: 'none' });
  });

  test('never lets wrong credentials fall through to anonymous', () => {
    const result = httpAuthenticator({ ...options, anonymous: 'allow' })({ authorization: ['Bearer wrong'] });
    assert.ok(!result.ok);
    assert.equal(result.reason, 'identity_invalid');
  });

  test('believes neither of two Authorization headers', () => {
    const good = `Bearer ${made.key}`;
    const result = httpAuthenticator({ ...options, anonymous: 'deny' })({ authorization: [good, good] });
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
