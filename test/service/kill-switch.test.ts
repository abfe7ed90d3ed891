/** The kill switch as a process sees it: thrown, lifted, over, gone, broken. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { Identity } from '../../src/identity/identity.ts';
import {
  createKillSwitch,
  KILL_BYTES_MAX,
  KILL_LOOK_MS,
  KILL_SECOND_LOOK_MS,
} from '../../src/service/kill-switch.ts';
import { hear } from '../telemetry/heard.ts';

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-kill-'));
after(() => rmSync(root, { recursive: true, force: true }));

const textOf = (...kills: readonly object[]): string =>
  JSON.stringify({ apiVersion: 'mcp-verdict/v1', kind: 'KillSwitch', kills });

const NOBODY: Identity = { source: 'none' };

function open(first?: string) {
  const directory = mkdtempSync(join(root, 'd-'));
  const file = join(directory, 'kill.json');
  const put = (text: string): void => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  if (first !== undefined) put(first);
  let nowMs = Date.parse('2026-11-22T09:00:00Z');
  const records: string[] = [];
  const { diagnostics, text } = hear();
  const killSwitch = createKillSwitch({
    file,
    nowMs: () => nowMs,
    lifecycle: (state, facts) => {
      const { 'verdict.kill.scope': scope, 'verdict.kill.id': id } = facts;
      const over = facts['verdict.lifecycle.message']?.includes('over') === true ? 'over' : undefined;
      records.push([state, scope, id, over].filter((part) => part !== undefined).join(' '));
    },
    diagnostics,
  });
  let heard = 0;
  killSwitch.onKill(() => (heard += 1));
  return {
    directory,
    file,
    put,
    said: text,
    killSwitch,
    /** What was recorded since it was asked for last. */
    records: () => records.splice(0),
    heard: () => heard,
    pass: (ms: number) => (nowMs += ms),
    stops: (server: string) =>
      killSwitch.killOf({ identity: NOBODY, server: { name: server } }) !== undefined,
  };
}

describe('the kill switch', () => {
  test('stops nothing where there is no file, nor where its directory is missing', () => {
    const { killSwitch, stops, records, file, directory } = open();
    assert.equal(stops('stripe'), false);
    rmSync(directory, { recursive: true });
    killSwitch.look();
    assert.equal(stops('stripe'), false);
    assert.deepEqual(records(), [], file);
  });

  test('is in force from the start', () => {
    const { stops, records, said } = open(textOf({ server: 'stripe', reason: 'card numbers' }));
    assert.deepEqual([stops('stripe'), stops('files')], [true, false]);
    assert.deepEqual(records(), ['killed server stripe']);
    assert.match(
      said(),
      /^error the kill switch is thrown for the server stripe: card numbers \(.*kill\.json\)$/,
    );
  });

  test('is taken at the next look, and listeners hear of what is new only', () => {
    const { put, killSwitch, stops, records, heard } = open();
    put(textOf({ server: 'stripe' }));
    assert.equal(stops('stripe'), false);
    assert.equal(killSwitch.look(), KILL_LOOK_MS);
    assert.equal(stops('stripe'), true);
    killSwitch.look();
    put(textOf({ server: 'stripe' }, { all: true }));
    killSwitch.look();
    assert.deepEqual(records(), ['killed server stripe', 'killed all']);
    assert.equal(heard(), 2);
    put(textOf({ all: true }));
    killSwitch.look();
    assert.deepEqual(records(), ['lifted server stripe']);
    assert.equal(heard(), 2);
  });

  test('that is thrown again for another reason is recorded again, and was never lifted', () => {
    const { put, killSwitch, records } = open(textOf({ all: true }));
    records();
    put(textOf({ all: true, reason: 'still' }));
    killSwitch.look();
    assert.deepEqual(records(), ['killed all']);
  });

  test('whose time is over is over at once, and that is recorded at the next look', () => {
    const { killSwitch, stops, records, pass } = open(textOf({ all: true, until: '2026-11-22T09:00:01Z' }));
    records();
    pass(999);
    assert.equal(stops('x'), true);
    pass(1);
    assert.equal(stops('x'), false);
    killSwitch.look();
    assert.deepEqual(records(), ['lifted all over']);
    killSwitch.look();
    assert.deepEqual(records(), []);
  });

  test('whose file is removed is lifted', () => {
    const { file, killSwitch, stops, records } = open(textOf({ all: true }));
    rmSync(file);
    killSwitch.look();
    assert.equal(stops('x'), false);
    assert.deepEqual(records(), ['killed all', 'lifted all']);
  });
});

describe('a kill switch that cannot be read stops everything', () => {
  const broken: readonly (readonly [string, (file: string) => void])[] = [
    ['empty', (file) => writeFileSync(file, '')],
    ['half written', (file) => writeFileSync(file, textOf({ server: 'a' }).slice(0, -3))],
    ['of another kind', (file) => writeFileSync(file, '{"kind": "Policy"}')],
    ['a directory', (file) => mkdirSync(file)],
    ['a link to itself', (file) => symlinkSync(file, file)],
    ['a link that leads nowhere', (file) => symlinkSync(`${file}.gone`, file)],
    ['a pipe that nobody writes to', (file) => void execFileSync('mkfifo', [file])],
    ['too large', (file) => writeFileSync(file, `${textOf()}${' '.repeat(KILL_BYTES_MAX)}`)],
  ];
  for (const [what, make] of broken) {
    test(`${what}: at the second look, and from then on until it is good`, () => {
      const { file, put, killSwitch, stops, records, said } = open();
      make(file);
      assert.equal(killSwitch.look(), KILL_SECOND_LOOK_MS);
      assert.equal(stops('x'), false, 'an editor may be writing it');
      assert.equal(killSwitch.look(), KILL_LOOK_MS);
      assert.equal(stops('x'), true);
      for (let time = 0; time < 4; time += 1) killSwitch.look();
      assert.equal(stops('x'), true);
      assert.deepEqual(records(), ['killed all']);
      assert.match(said(), /error the kill switch is thrown for everything: .*kill\.json/);
      rmSync(file, { recursive: true });
      put(textOf());
      killSwitch.look();
      assert.equal(stops('x'), false);
      assert.deepEqual(records(), ['lifted all']);
    });
  }

  test('from the start, without a second look', () => {
    const { stops, records } = open('{');
    assert.equal(stops('x'), true);
    assert.deepEqual(records(), ['killed all']);
  });

  test('unless it was good again at the second', () => {
    const { put, killSwitch, stops, records } = open();
    put('');
    killSwitch.look();
    put(textOf({ server: 'stripe' }));
    killSwitch.look();
    assert.deepEqual([stops('stripe'), stops('x')], [true, false]);
    assert.deepEqual(records(), ['killed server stripe']);
  });

  test('because its directory cannot be reached, which ends without a change of the file', () => {
    const { directory, killSwitch, stops } = open(textOf());
    renameSync(directory, `${directory}.away`);
    writeFileSync(directory, 'not a directory');
    killSwitch.look();
    killSwitch.look();
    assert.equal(stops('x'), true);
    rmSync(directory);
    renameSync(`${directory}.away`, directory);
    killSwitch.look();
    assert.equal(stops('x'), false);
  });
});
