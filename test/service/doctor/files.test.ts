import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { loadHmacKey } from '../../../src/event/keyring.ts';
import { loadSigningKey } from '../../../src/event/signing.ts';
import { lockText } from '../../../src/proxy/pins/lock.ts';
import { findFiles } from '../../../src/service/doctor/files.ts';
import type { Setup } from '../../../src/service/doctor/setup.ts';
import { lockOf, pinned } from '../../proxy/pins/definitions.ts';

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-files-'));
after(() => rmSync(root, { recursive: true }));

const POLICY = `
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: open, version: "1"}
rules:
  - {id: all, effect: allow, tools: ["up/*"], when: "args.path.startsWith('/srv/')"}
`;

/** A set-up of its own directory, good as it is; `umask` of the one who runs this must not count. */
function setup(changes: Partial<Setup> = {}) {
  const cwd = mkdtempSync(join(root, 'setup-'));
  writeFileSync(join(cwd, 'policy.yaml'), POLICY.replace(/, when: ".*"/, ''));
  chmodSync(join(cwd, 'policy.yaml'), 0o644);
  const keysDirectory = join(cwd, 'keys');
  const found = (env: Readonly<Record<string, string>> = {}) =>
    findFiles({
      setup: {
        config: undefined,
        policyFiles: [join(cwd, 'policy.yaml')],
        pins: { file: join(cwd, 'tools.lock.json'), modes: new Map() },
        keysDirectory,
        killSwitchFile: join(cwd, 'kill.json'),
        spool: { durability: 'sync', directory: join(cwd, 'spool'), bytesMax: 1, keepMs: 1 },
        exporters: undefined,
        onAuditFailure: 'deny',
        upstreams: [],
        listeners: [],
        ...changes,
      },
      env,
      cwd,
    }).map(
      ({ level, check, subject, found, exit }) =>
        `${level} ${check} ${subject ?? '-'}: ${found} ${exit ?? ''}`,
    );
  return { cwd, keysDirectory, found };
}

describe('the files of a set-up', () => {
  test('tell how many tools are pinned, that their file is missing, and who else can write it', () => {
    const pins = (cwd: string) => ({
      file: join(cwd, 'tools.lock.json'),
      modes: new Map([['files', 'strict']] as const),
    });
    const { cwd } = setup();
    const { found } = setup({ pins: pins(cwd) });
    assert.match(
      found()[1] ?? '',
      /^fail pins -: .*tools\.lock\.json cannot be read: there is no such file\. 3$/,
    );
    writeFileSync(join(cwd, 'tools.lock.json'), lockText(lockOf(pinned())));
    chmodSync(join(cwd, 'tools.lock.json'), 0o666);
    const [, ok = '', open = ''] = found();
    assert.match(ok, /^ok pins .*tools\.lock\.json: 1 pinned tool of 1 server /);
    assert.match(
      open,
      /^warn pins .*tools\.lock\.json: others than its owner may write it, and whoever can write it/,
    );
  });

  test('that are good say what is in them, and none is made that is missing', () => {
    const { found, keysDirectory } = setup();
    assert.deepEqual(found(), [
      'ok policy -: 1 file, 1 rule ',
      'ok keys keys/hmac.key: no key for digests of arguments yet: the first start makes one ',
      'ok keys keys/signing.key: no key for checkpoints yet: the first start makes one ',
      'ok kill kill.json: nothing is stopped by hand ',
    ]);
    assert.ok(!existsSync(keysDirectory));
    const [hmac, signing] = [
      loadHmacKey({ directory: keysDirectory, env: {} }),
      loadSigningKey({ directory: keysDirectory, env: {} }),
    ];
    const [, ...keys] = found();
    assert.deepEqual(keys, [
      `ok keys keys/hmac.key: key ${hmac.id} for digests of arguments `,
      `ok keys keys/signing.key: key ${signing.id} for checkpoints `,
      'ok kill kill.json: nothing is stopped by hand ',
    ]);
  });

  test('a policy that is hardly meant is a warning, one that is wrong a failure of its own for each fault', () => {
    const { cwd, found } = setup();
    writeFileSync(join(cwd, 'policy.yaml'), POLICY);
    assert.match(found()[1] ?? '', /^warn policy -: policy\.yaml:6:\d+ startsWith on a path/);
    writeFileSync(
      join(cwd, 'policy.yaml'),
      POLICY.replace('effect: allow', 'effect: alow').replace('id: all', 'id: 7'),
    );
    assert.deepEqual(
      found().filter((line) => line.startsWith('fail policy') && line.endsWith(' 3')).length,
      2,
    );
    rmSync(join(cwd, 'policy.yaml'));
    assert.match(
      found()[0] ?? '',
      /^fail policy -: .*policy\.yaml cannot be read: there is no such file\. 3$/,
    );
  });

  test(
    'what others may write or read is named',
    { skip: process.platform === 'win32' && 'no such modes' },
    () => {
      const { cwd, keysDirectory, found } = setup();
      chmodSync(join(cwd, 'policy.yaml'), 0o664);
      mkdirSync(keysDirectory);
      chmodSync(keysDirectory, 0o755);
      writeFileSync(join(keysDirectory, 'hmac.key'), 'ab'.repeat(32));
      chmodSync(join(keysDirectory, 'hmac.key'), 0o640);
      const said = found().join('\n');
      assert.match(said, /^warn policy policy\.yaml: others than its owner may write it/m);
      assert.match(said, /^fail keys keys\/hmac\.key: .*only its owner may read \(chmod 600\) 3$/m);
      assert.match(said, /^warn keys keys: others than its owner may look into this directory/m);
    },
  );

  test('keys of the environment go before files, and are checked too', () => {
    const { found } = setup();
    const [, good = ''] = found({ MCP_VERDICT_HMAC_KEY: 'ab'.repeat(32) });
    assert.match(good, /^ok keys MCP_VERDICT_HMAC_KEY: key [0-9a-f]{16} for digests/);
    const [, bad = ''] = found({ MCP_VERDICT_HMAC_KEY: 'short-7c1' });
    assert.match(bad, /^fail keys MCP_VERDICT_HMAC_KEY: /);
    assert.ok(!bad.includes('short-7c1'));
  });

  test('what is stopped by hand is a warning, and a switch that cannot be read a failure', () => {
    const { cwd, found } = setup();
    const kills = [
      { server: 'stripe', reason: 'card numbers' },
      { user: 'bob', until: '2020-01-01T00:00:00Z' },
    ];
    const text = JSON.stringify({ apiVersion: 'mcp-verdict/v1', kind: 'KillSwitch', kills });
    writeFileSync(join(cwd, 'kill.json'), text);
    chmodSync(join(cwd, 'kill.json'), 0o600);
    assert.deepEqual(found().slice(3), [
      'warn kill kill.json: the kill switch is thrown for the server stripe: card numbers ',
    ]);
    writeFileSync(join(cwd, 'kill.json'), text.slice(0, 40));
    assert.match(found()[3] ?? '', /^fail kill kill\.json: .*kill\.json:1:\d+ .* 3$/);
  });

  test('keys under the spool go with it to whoever copies it', () => {
    const { cwd } = setup();
    const spool = { durability: 'sync', directory: cwd, bytesMax: 1, keepMs: 1 } as const;
    const beneath = setup({ spool, keysDirectory: join(cwd, 'keys') });
    assert.match(beneath.found().join('\n'), /^warn keys .*: the keys lie under the spool/m);
    const unspooled = setup({ spool: { ...spool, durability: 'none' }, keysDirectory: join(cwd, 'keys') });
    assert.doesNotMatch(unspooled.found().join('\n'), /under the spool/);
  });
});
