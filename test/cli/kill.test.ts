import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { runCommand } from '../../src/cli/commands.ts';
import { KILL_FOR_MS_MAX } from '../../src/cli/kill.ts';
import type { Io } from '../../src/cli/verb.ts';
import { loadKills } from '../../src/policy/kills.ts';

const root = fs.mkdtempSync(join(tmpdir(), 'mcp-verdict-kill-cli-'));
after(() => fs.rmSync(root, { recursive: true, force: true }));

/** A user whose state directory does not exist yet. */
function scene() {
  const cwd = fs.mkdtempSync(join(root, 'u-'));
  const file = join(cwd, 'state/mcp-verdict/kill.json');
  const kill = async (...args: readonly string[]) => {
    const texts = { out: '', err: '' };
    const sink = (name: 'out' | 'err'): Io['stdout'] => {
      const write = (text: string): boolean => ((texts[name] += text), true);
      // The verb writes and does nothing else with it.
      return { write } as unknown as Io['stdout'];
    };
    const env = { XDG_STATE_HOME: join(cwd, 'state') };
    const io = { stdin: process.stdin, stdout: sink('out'), stderr: sink('err'), env, cwd };
    return { code: await runCommand(['kill', ...args], io), ...texts };
  };
  const kills = () => {
    const loaded = loadKills('kill.json', fs.readFileSync(file, 'utf8'));
    assert.ok(loaded.ok);
    return loaded.kills;
  };
  return { cwd, file, kill, kills };
}

describe('kill', () => {
  test('makes the file of all proxies of a user, for that user only, and says what is stopped', async () => {
    const { file, kill, kills } = scene();
    const { code, out, err } = await kill('--server', 'stripe', '--reason', 'card numbers', '--for', '1h');
    assert.deepEqual([code, err], [0, '']);
    assert.match(
      out,
      /^Stopped the server stripe until 2\S+Z\.\nStopped now \(.*kill\.json\):\n {2}the server stripe: card numbers, since .*, until .*, by \S+\n$/,
    );
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    const [entry] = kills();
    assert.partialDeepStrictEqual(entry, { scope: 'server', id: 'stripe', reason: 'card numbers' });
    assert.equal(Date.parse(entry?.until ?? '') - Date.parse(entry?.since ?? ''), 3_600_000);
    assert.deepEqual(fs.readdirSync(join(file, '..')), ['kill.json']);
  });

  test('takes several targets, and one that is stopped already has the new reason', async () => {
    const { kill, kills } = scene();
    await kill(
      '--all',
      '--server',
      'a',
      '--server',
      'b',
      '--user',
      'u',
      '--issuer',
      'i',
      '--agent',
      'g',
      '--key',
      'k_abcd',
    );
    await kill('--server', 'a', '--reason', 'later');
    assert.deepEqual(
      kills().map(({ scope, id, issuer, reason }) => [scope, id, issuer, reason]),
      [
        ['all', undefined, undefined, undefined],
        ['server', 'b', undefined, undefined],
        ['user', 'u', 'i', undefined],
        ['agent', 'g', undefined, undefined],
        ['api_key', 'k_abcd', undefined, undefined],
        ['server', 'a', undefined, 'later'],
      ],
    );
  });

  test('lift lifts what it names and no more, and says what is left and what was never stopped', async () => {
    const { kill, kills } = scene();
    await kill('--all', '--server', 'a', '--user', 'u', '--issuer', 'i');
    const { code, out } = await kill('lift', '--all', '--user', 'u', '--server', 'b');
    assert.equal(code, 0);
    assert.match(
      out,
      /^Lifted everything\.\nthe server b was not stopped\.\nthe user u was not stopped\.\nStopped now/,
    );
    assert.deepEqual(
      kills().map(({ scope }) => scope),
      ['server', 'user'],
    );
    await kill('lift', '--server', 'a', '--user', 'u', '--issuer', 'i');
    assert.match((await kill('list')).out, /^Nothing is stopped \(.*kill\.json\)\.\n$/);
  });

  test('list says what is in force, without what is over, as text and as JSON', async () => {
    const { file, kill } = scene();
    assert.match((await kill('list')).out, /^Nothing is stopped/);
    assert.equal(fs.existsSync(file), false);
    await kill('--server', 'a');
    const entries = JSON.parse(fs.readFileSync(file, 'utf8')) as { kills: object[] };
    entries.kills.push({ user: 'u', until: '2020-01-01T00:00:00Z' });
    fs.writeFileSync(file, JSON.stringify(entries));
    const { out } = await kill('list', '--json');
    const report = JSON.parse(out) as { file: string; kills: { scope: string }[] };
    assert.equal(report.file, file);
    assert.deepEqual(
      report.kills.map(({ scope }) => scope),
      ['server'],
    );
    await kill('--server', 'b');
    assert.doesNotMatch(fs.readFileSync(file, 'utf8'), /"u"/, 'what is over goes with the next change');
  });

  test('lasts for 400 days, and no longer', async () => {
    const { kill, kills } = scene();
    assert.equal((await kill('--all', '--for', '400d')).code, 0);
    const [{ since = '', until = '' } = {}] = kills();
    assert.equal(Date.parse(until) - Date.parse(since), KILL_FOR_MS_MAX);
  });

  test('uses another file where one is named', async () => {
    const { cwd, file, kill } = scene();
    await kill('--all', '--file', 'mine.json');
    assert.ok(fs.existsSync(join(cwd, 'mine.json')));
    assert.ok(!fs.existsSync(file));
  });

  test('leaves a file that is no kill switch as it is, and says what proxies make of it', async () => {
    const { file, kill } = scene();
    await kill('--server', 'a');
    fs.writeFileSync(file, '{"kills": ');
    for (const args of [['--all'], ['lift', '--all'], ['list']]) {
      const { code, err } = await kill(...args);
      assert.equal(code, 3);
      assert.match(err, /kill\.json:1:\d+ [^]*proxies refuse everything/);
    }
    assert.equal(fs.readFileSync(file, 'utf8'), '{"kills": ');
  });

  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /kill needs one of --all/],
    [['lift'], /kill needs one of --all/],
    [['everything'], /none is called everything/],
    [['list', 'lift'], /none is called list lift/],
    [['--server', 'a', '--issuer', 'i'], /--issuer goes with --user/],
    [['--key', `k_abcd_${'s'.repeat(43)}`], /^--key must be the id of a key: k_ and 4 to 32/],
    [['--all', '--for', 'soon'], /--for must be a time/],
    [['--all', '--for', '0s'], /--for must be a time/],
    [['--all', '--for', '401d'], /--for must be a time/],
    [['--serve', 'a'], /--serve/],
  ];
  for (const [args, message] of wrong) {
    test(`${args.join(' ').slice(0, 40) || 'nothing'}: usage`, async () => {
      const { file, kill } = scene();
      const { code, err } = await kill(...args);
      assert.equal(code, 2);
      assert.match(err, message);
      assert.doesNotMatch(err, /s{43}/, 'a secret was shown');
      assert.ok(!fs.existsSync(file));
    });
  }

  test('refuses a reason that proxies could not read, rather than to stop everything by it', async () => {
    const { file, kill } = scene();
    for (const reason of ['two\nlines', 'x'.repeat(301), '']) {
      const { code, err } = await kill('--server', 'a', '--reason', reason);
      assert.equal(code, 2);
      assert.match(err, /must each stand on one line, and the reason in 300 characters/);
    }
    assert.ok(!fs.existsSync(file));
  });
});
