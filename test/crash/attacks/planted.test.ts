/** What another program of the same user may put into a spool: nothing of it hides a record or ends the service. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { ADOPT_INTERVAL_MS } from '../../../src/export/spool.ts';
import type { Adoption } from '../../../src/spool/adoption.ts';
import { createCommitter } from '../../../src/spool/committer.ts';
import { createKeeper, type Keeper } from '../../../src/spool/keeper.ts';
import { nodeFiles } from '../../../src/spool/node-files.ts';
import { surveySpool } from '../../../src/spool/survey.ts';
import { entry, IDENTITY } from '../../support/spooled.ts';
import { deny, open, verify } from './spool-scene.ts';

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-planted-'));
after(() => rmSync(root, { recursive: true, force: true }));

const VICTIM = '019aaaaa-0000-7000-8000-00000000000a';
/** Sorts before it. */
const EARLIER = '018aaaaa-0000-7000-8000-00000000000a';
const OTHER = '019bbbbb-0000-7000-8000-00000000000b';
const RECORDS = 5;

interface Place {
  /** Of the spool. */
  readonly directory: string;
  /** Of the victim's stream. */
  readonly victim: string;
}

/** A spool with one stream that its process has left. */
function makePlace(): Place {
  const directory = join(mkdtempSync(join(root, 'spool-')), 'spool');
  const committer = createCommitter({
    files: nodeFiles,
    directory,
    streamId: VICTIM,
    identityOfStream: IDENTITY,
  });
  const batch = Array.from({ length: RECORDS }, (_, index) => entry(`r${index}`));
  assert.ok(committer.commit(batch).ok);
  committer.close();
  committer.release();
  return { directory, victim: join(directory, VICTIM) };
}

function makeKeeper(directory: string): Keeper {
  return createKeeper({
    files: nodeFiles,
    directory,
    exporters: [{ name: 'otlp', required: true }],
    keepMs: 0,
    bytesMax: 1,
    nowMs: () => Date.now() + 1e9,
    onGap: async () => assert.fail('nothing may be given up'),
    onFreed: () => {},
  });
}

function marked(mark: unknown): string {
  const json = JSON.stringify(mark);
  return `${json}\t${crc32(json).toString(16).padStart(8, '0')}\n`;
}

const pipe = (path: string): void => void execFileSync('mkfifo', [path]);
const HASH = 'ab'.repeat(32);

/** Whatever is there, the whole stream is taken over for the exporter that has had nothing of it. */
const HIDING: Readonly<Record<string, (place: Place) => void>> = {
  nothing: () => {},
  'a file with the name of a stream': ({ directory }) => writeFileSync(join(directory, OTHER), 'x'),
  'a pipe with the name of a stream': ({ directory }) => pipe(join(directory, OTHER)),
  'a link to nothing with the name of a stream': ({ directory }) =>
    symlinkSync('/nonexistent', join(directory, OTHER)),
  'a link to itself with the name of a stream': ({ directory }) => symlinkSync(OTHER, join(directory, OTHER)),
  'a second way to the same stream': ({ directory, victim }) => symlinkSync(victim, join(directory, OTHER)),
  'a second way to the same stream, which is tried first': ({ directory, victim }) =>
    symlinkSync(victim, join(directory, EARLIER)),
  'a directory without anything in it': ({ directory }) => mkdirSync(join(directory, OTHER)),
  'a pipe as the cursor': ({ victim }) => pipe(join(victim, 'cursor.otlp')),
  'a directory as the cursor': ({ victim }) => mkdirSync(join(victim, 'cursor.otlp')),
  'a link as the cursor': ({ victim }) => symlinkSync('/etc/passwd', join(victim, 'cursor.otlp')),
  'a megabyte as the cursor': ({ victim }) => writeFileSync(join(victim, 'cursor.otlp'), 'a'.repeat(1e6)),
  'an empty cursor': ({ victim }) => writeFileSync(join(victim, 'cursor.otlp'), ''),
  'a pipe as the mark': ({ victim }) => pipe(join(victim, 'adopted.json')),
  'a directory as the mark': ({ victim }) => mkdirSync(join(victim, 'adopted.json')),
  'a link as the mark': ({ victim }) => symlinkSync('/etc/passwd', join(victim, 'adopted.json')),
  'a mark that says nothing': ({ victim }) => writeFileSync(join(victim, 'adopted.json'), marked({})),
  'a mark that is null': ({ victim }) => writeFileSync(join(victim, 'adopted.json'), marked(null)),
  'a mark that is no JSON': ({ victim }) =>
    writeFileSync(join(victim, 'adopted.json'), `{\t${crc32('{').toString(16).padStart(8, '0')}\n`),
  'a mark without a sequence': ({ victim }) =>
    writeFileSync(join(victim, 'adopted.json'), marked({ end: { stream: VICTIM, hash: HASH }, segment: 1 })),
  'a mark with a sequence that is none': ({ victim }) =>
    writeFileSync(
      join(victim, 'adopted.json'),
      marked({ end: { stream: VICTIM, sequence: '0', hash: HASH }, segment: 1, offset: 0 }),
    ),
  'a mark of another stream': ({ victim }) =>
    writeFileSync(
      join(victim, 'adopted.json'),
      marked({ end: { stream: OTHER, sequence: 0, hash: HASH }, segment: 1, offset: 0 }),
    ),
};

describe('what is put beside or into a stream that nobody owns', () => {
  for (const [name, plant] of Object.entries(HIDING)) {
    test(`${name} hides none of its records, and nothing of it is freed`, async () => {
      const place = makePlace();
      plant(place);
      const keeper = makeKeeper(place.directory);
      const { adopted } = keeper.adopt();
      assert.equal(endOf(adopted), RECORDS);
      await keeper.retain();
      assert.ok(readdirSync(place.victim).some((file) => file.endsWith('.log')));
      keeper.release();
    });
  }

  /** What cannot be got round is said, and stays. */
  const LOUD: Readonly<Record<string, (place: Place) => void>> = {
    'a lock that is no lock': ({ victim }) => writeFileSync(join(victim, 'lock.sqlite'), 'z'.repeat(8192)),
    'a pipe as the lock'({ victim }) {
      unlinkSync(join(victim, 'lock.sqlite'));
      pipe(join(victim, 'lock.sqlite'));
    },
    'a link as the lock'({ victim }) {
      unlinkSync(join(victim, 'lock.sqlite'));
      symlinkSync('/etc/passwd', join(victim, 'lock.sqlite'));
    },
    'a pipe as a segment': ({ victim }) => pipe(join(victim, '00000000000000000004.log')),
    'a directory as a segment': ({ victim }) => mkdirSync(join(victim, '00000000000000000004.log')),
  };
  for (const [name, plant] of Object.entries(LOUD)) {
    test(`${name} keeps the stream from being taken over, which is said; it stays`, async () => {
      const place = makePlace();
      plant(place);
      const keeper = makeKeeper(place.directory);
      const { adopted, failed } = keeper.adopt();
      assert.deepEqual(adopted, []);
      assert.deepEqual(
        failed.map(({ stream }) => stream),
        [VICTIM],
      );
      await keeper.retain();
      assert.ok(readdirSync(place.victim).includes('00000000000000000001.log'));
      keeper.release();
    });
  }

  test('what keeps streams from being looked at leaves none of them locked', () => {
    const { directory } = makePlace();
    const broken = {
      ...nodeFiles,
      list(path: string): string[] {
        if (path.endsWith(VICTIM)) throw Object.assign(new Error('EMFILE'), { code: 'EMFILE' });
        return nodeFiles.list(path);
      },
    };
    const options = {
      directory,
      exporters: [],
      keepMs: 0,
      bytesMax: 1e9,
      nowMs: Date.now,
      onGap: async () => {},
      onFreed: () => {},
    };
    const keeper = createKeeper({ ...options, files: broken });
    assert.throws(() => keeper.adopt(), { code: 'EMFILE' });
    const next = makeKeeper(directory);
    assert.equal(endOf(next.adopt().adopted), RECORDS);
    next.release();
  });
});

describe('an auditor and a survey of a spool in which something was put', () => {
  const planted: Readonly<Record<string, (place: Place) => void>> = {
    'a file with the name of a stream': ({ directory }) => writeFileSync(join(directory, OTHER), 'x'),
    'a pipe with the name of a stream': ({ directory }) => pipe(join(directory, OTHER)),
    'a pipe as a segment': ({ victim }) => pipe(join(victim, '00000000000000000004.log')),
    'a link as a segment': ({ victim }) =>
      symlinkSync('/etc/passwd', join(victim, '00000000000000000004.log')),
  };
  for (const [name, plant] of Object.entries(planted)) {
    test(`${name} holds up neither, and does not pass for a proof`, async () => {
      const place = makePlace();
      plant(place);
      // The one throws what it cannot read, the other exits with 4: neither says that all is well.
      const ended = await verify(place.directory).then(
        ({ exit }) => exit,
        () => 4,
      );
      assert.notEqual(ended, 0);
      const survey = (): unknown =>
        surveySpool({ files: nodeFiles, directory: place.directory, exporters: [] });
      if (name.endsWith('segment')) assert.doesNotThrow(survey);
      else assert.equal((survey() as readonly unknown[]).length, 1);
    });
  }
});

function endOf(adopted: Adoption['adopted']): number | undefined {
  return adopted.find(({ stream }) => stream === VICTIM)?.end.sequence;
}

test('a directory that cannot be looked at for a while ends nothing: it is looked at again', async (t) => {
  const directory = join(mkdtempSync(join(root, 'away-')), 'spool');
  t.mock.timers.enable({ apis: ['setInterval'] });
  const lines: string[] = [];
  const say = (text: string): void => void lines.push(text);
  const spool = await open(directory, { diagnostics: { error: say, warn: say, info: say, debug: say } });
  t.after(() => spool.stop(1000));
  await deny(spool, 1);
  renameSync(directory, `${directory}.away`);
  writeFileSync(directory, '');
  t.mock.timers.tick(ADOPT_INTERVAL_MS);
  assert.ok(lines.some((line) => line.includes('streams without an owner cannot be looked for')));
  unlinkSync(directory);
  renameSync(`${directory}.away`, directory);
  t.mock.timers.tick(ADOPT_INTERVAL_MS);
});
