/** What a reload takes over, what it makes anew, and what it refuses. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { loadServeConfig } from '../../../src/config.ts';
import { newApiKey } from '../../../src/identity/api-keys.ts';
import { lockText } from '../../../src/proxy/pins/lock.ts';
import { changesOf, readInForce, type InForce } from '../../../src/service/reload/in-force.ts';
import { lockOf, pinned } from '../../proxy/pins/definitions.ts';
import { hear } from '../../telemetry/heard.ts';

const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-in-force-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const CONFIG = {
  policy: ['p.yaml'],
  servers: {
    a: { url: 'http://127.0.0.1:1/mcp' },
    b: {
      url: 'http://127.0.0.1:2/mcp',
      oauth: { token_url: 'http://127.0.0.1:3/token', client_id: 'x', client_secret: 'y' },
    },
  },
  identity: { api_keys: 'keys.yaml', jwt: [{ issuer: 'http://127.0.0.1:4', audience: 'us' }] } as Record<
    string,
    unknown
  >,
};

const policy = (version: string) =>
  `apiVersion: mcp-verdict/v1\nkind: Policy\nmetadata: {name: p, version: "${version}"}\nrules: []\n`;
const keys = (user: string) =>
  JSON.stringify({ apiVersion: 'mcp-verdict/v1', kind: 'ApiKeys', keys: [newApiKey({ user }).entry] });

const alice = keys('alice');

/** Reads a set-up whose files hold this; what is not given is as in CONFIG. */
function read(
  config: object = {},
  files: { policy?: string; keys?: string } = {},
  before?: InForce,
): { inForce: InForce; said: string[] } {
  writeFileSync(join(directory, 'p.yaml'), files.policy ?? policy('1'));
  writeFileSync(join(directory, 'keys.yaml'), files.keys ?? alice);
  writeFileSync(join(directory, 'verdict.yaml'), JSON.stringify({ ...CONFIG, ...config }));
  const { diagnostics, lines } = hear();
  const loaded = loadServeConfig(join(directory, 'verdict.yaml'), {});
  const inForce = readInForce(loaded, { cwd: directory, reading: diagnostics, diagnostics, before });
  return { inForce, said: lines };
}

describe('what comes into force', () => {
  const { inForce: first } = read();
  const next = (config: object, files = {}): { changed: readonly string[]; next: InForce } => {
    const { inForce } = read(config, files, first);
    return { changed: changesOf(first, inForce), next: inForce };
  };

  test('is the same as before where the files say the same in other words', () => {
    const { changed, next: same } = next({ reload: { watch: '5s' } }, { policy: `# Hello.\n${policy('1')}` });
    assert.deepEqual(changed, []);
    assert.equal(same.door, first.door);
  });

  test('leaves the door as it is where policy alone has changed', () => {
    const { changed, next: other } = next({}, { policy: policy('2') });
    assert.deepEqual(changed, ['policy']);
    assert.equal(other.door, first.door);
    assert.notEqual(other.policy.digest, first.policy.digest);
  });

  test('has the same upstream objects, with the tokens that they hold, where a server has not changed', () => {
    const a = { url: 'http://127.0.0.1:9/mcp', headers: { authorization: 'Bearer new' } };
    const { changed, next: other } = next({ servers: { ...CONFIG.servers, a } });
    assert.deepEqual(changed, ['servers']);
    assert.equal(other.door.servers.get('b'), first.door.servers.get('b'));
    assert.notEqual(other.door.servers.get('a'), first.door.servers.get('a'));
    assert.equal(other.pinning, first.pinning);
    assert.equal(other.door.authenticate, first.door.authenticate);
  });

  test('has no server that is not named any more', () => {
    const { changed, next: other } = next({ servers: { b: CONFIG.servers.b } });
    assert.deepEqual([...other.door.servers.keys()], ['b']);
    assert.deepEqual(changed, ['servers'], 'no pins, where nothing is pinned');
  });

  test('has other callers where keys have changed, and keeps what it knows of token issuers', () => {
    const { changed, next: other } = next({}, { keys: keys('bob') });
    assert.deepEqual(changed, ['identity.api_keys']);
    assert.notEqual(other.door.authenticate, first.door.authenticate);
    assert.equal(other.door.servers.get('b'), first.door.servers.get('b'));
    assert.equal(other.callers.keySets.size, 1);
    assert.deepEqual([...other.callers.keySets.values()], [...first.callers.keySets.values()]);
  });

  test('fetches the keys of an issuer that is new, and forgets those of one that has gone', () => {
    const { changed, next: other } = next({
      identity: { ...CONFIG.identity, jwt: [{ issuer: 'http://127.0.0.1:5', audience: 'us' }] },
    });
    assert.deepEqual(changed, ['identity.jwt']);
    assert.equal(other.callers.keySets.size, 1);
    assert.notEqual([...other.callers.keySets.values()][0], [...first.callers.keySets.values()][0]);
  });

  test('has other pins where tools.lock.json has changed, or how strictly it is meant', () => {
    const lock = (tool: string): string => lockText(lockOf(pinned({ description: tool })));
    const pins = { pins: { file: 'tools.lock.json' } };
    writeFileSync(join(directory, 'tools.lock.json'), lock('read'));
    const { inForce: first } = read(pins);
    const { inForce: same } = read(pins, {}, first);
    assert.deepEqual(changesOf(first, same), []);
    const { inForce: milder } = read({ pins: { ...pins.pins, mode: 'warn' } }, {}, first);
    writeFileSync(join(directory, 'tools.lock.json'), lock('write'));
    const { inForce: other } = read(pins, {}, first);
    assert.deepEqual([changesOf(first, milder), changesOf(first, other)], [['pins'], ['pins']]);
    assert.equal(other.door, first.door);
    assert.notEqual(other.pinning, first.pinning);
  });

  const parts: readonly (readonly [string, object])[] = [
    ['identity.anonymous', { identity: { ...CONFIG.identity, anonymous: 'allow' } }],
    ['allowed_hosts', { allowed_hosts: ['mcp.example'] }],
    ['allowed_origins', { allowed_origins: ['https://app.example'] }],
    ['limits.message_bytes', { limits: { message_bytes: 2048 } }],
  ];
  for (const [part, config] of parts) {
    test(`says that ${part} has changed`, () => {
      const { changed, next: other } = next(config);
      assert.deepEqual(changed, [part]);
      assert.notEqual(other.door, first.door);
    });
  }

  test('does not come where anything takes a restart, whatever else has changed; all of that is named', () => {
    const config = {
      listen: '127.0.0.1:9999',
      admin: { listen: '127.0.0.1:9998' },
      spool: { keep: '1h' },
      exporters: { file: { path: 'x.jsonl' } },
      keys: { directory: 'k' },
      on_audit_failure: 'allow',
      shutdown_timeout: '1s',
      reload: { watch: 'off' },
    };
    assert.throws(() => next(config, { policy: policy('2') }), {
      code: 'restart_needed',
      message:
        'What has changed of listen, admin, keys.directory, exporters, spool, on_audit_failure, shutdown_timeout, reload.watch takes effect at the next start only, so nothing of the change was taken.',
    });
    const tls = { certificate: 'c.pem', key: 'k.pem' };
    assert.throws(() => next({ tls }), { code: 'restart_needed', message: /^What has changed of tls takes/ });
  });

  test('does not come where a file is invalid', () => {
    assert.throws(() => next({}, { policy: 'rules: 1' }), { code: 'policy_invalid' });
    assert.throws(() => next({}, { keys: '{}' }), { code: 'config_invalid' });
    assert.throws(() => next({ policy: ['none.yaml'] }), { code: 'file_unreadable' });
  });

  test('warns of keys that let nobody in', () => {
    const empty = JSON.stringify({ apiVersion: 'mcp-verdict/v1', kind: 'ApiKeys', keys: [] });
    const { said } = read({ identity: { api_keys: 'keys.yaml' } }, { keys: empty }, first);
    assert.match(said.join(), /nobody can be served/);
  });
});
