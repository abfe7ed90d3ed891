import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deadLetterName, writeDeadLetter } from '../../src/export/dead-letter.ts';
import type { DeadLetter } from '../../src/export/dead-letter.ts';
import type { SpoolFiles } from '../../src/spool/files.ts';
import { createSimulatedFiles, seededRandom } from '../support/simulated-files.ts';
import { STREAM } from './memory-stream.ts';

const LETTER: DeadLetter = {
  exporter: 'otlp',
  stream: STREAM,
  sequence: 7,
  hash: 'ab'.repeat(32),
  why: 'the collector refuses the data (HTTP 400)',
  at: '2026-11-22T09:00:00.000Z',
  body: '{"event.name":"verdict.decision"}',
};

const PATH = `/spool/dead-letter/otlp-${STREAM}-7.json`;

function readText(files: SpoolFiles, path: string): string {
  const file = files.open(path, 'read');
  const bytes = Buffer.alloc(file.size());
  file.read(bytes, 0);
  file.close();
  return bytes.toString();
}

function startDisk() {
  const files = createSimulatedFiles();
  files.makeDirectory('/spool');
  files.syncDirectory('/');
  return files;
}

test('a letter holds the record, why and when, in a file named after exporter, stream and sequence', () => {
  const files = startDisk();
  writeDeadLetter(files, '/spool', LETTER);
  assert.deepEqual(files.list('/spool/dead-letter'), [deadLetterName(LETTER)]);
  assert.deepEqual(JSON.parse(readText(files, PATH)), LETTER);
});

test('a letter survives a power cut once it is written', () => {
  for (let seed = 0; seed < 50; seed++) {
    const files = startDisk();
    writeDeadLetter(files, '/spool', LETTER);
    assert.deepEqual(JSON.parse(readText(files.crash(seededRandom(seed)), PATH)), LETTER);
  }
});

test('a letter is written again over one of a run that died, whole or not', () => {
  const files = startDisk();
  writeDeadLetter(files, '/spool', { ...LETTER, why: 'a longer reason than this one'.repeat(9) });
  files.open(`${PATH}.part`, 'create').close();
  writeDeadLetter(files, '/spool', LETTER);
  assert.deepEqual(JSON.parse(readText(files, PATH)), LETTER);
  assert.deepEqual(files.list('/spool/dead-letter'), [deadLetterName(LETTER)]);
});

test('short writes are carried on, and a disk that fails is told to the caller', () => {
  const short = startDisk();
  short.limits.writeBytesMax = 5;
  writeDeadLetter(short, '/spool', LETTER);
  assert.deepEqual(JSON.parse(readText(short, PATH)), LETTER);

  const broken = startDisk();
  broken.fail('sync', { code: 'EIO' });
  assert.throws(() => writeDeadLetter(broken, '/spool', LETTER), { code: 'EIO' });
  assert.ok(!broken.list('/spool/dead-letter').includes(deadLetterName(LETTER)));
});
