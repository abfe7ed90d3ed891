import assert from 'node:assert/strict';
import { readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { rotatedPath } from '../../../src/export/file/rotation.ts';
import { eventually } from '../../support/eventually.ts';
import { chainOf } from '../memory-stream.ts';
import { send } from '../records.ts';
import { linesOf, startFileScene, systemError } from './file-scene.ts';

const BODIES = chainOf(12);
const [A = '', B = '', C = ''] = BODIES;
const LINE_BYTES = Buffer.byteLength(A) + 1;
/** Room for three, whatever their sequence. */
const FULL_BYTES = 3 * (LINE_BYTES + 2);
const HOUR_MS = 3_600_000;

const GZIPPED = /^decisions-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z\.jsonl\.gz$/;

describe('a file that grows', () => {
  test('is rotated before it gets too large, gzipped, and all of it is still there, in order', async (t) => {
    const { exporter, names, lines, path, directory } = startFileScene(t, {
      bytes: FULL_BYTES,
      compression: 'gzip',
    });
    for (const body of BODIES) await send(exporter, [body]);
    await eventually('gzipped', () => names().filter((name) => GZIPPED.test(name)).length === 3);
    await exporter.shutdown();
    assert.equal(names().length, 4);
    assert.deepEqual(lines(), BODIES);
    assert.ok(statSync(path).size <= FULL_BYTES);
    for (const name of names()) assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600);
  });

  test('takes a batch larger than itself', async (t) => {
    const { exporter, path } = startFileScene(t, { bytes: LINE_BYTES, compression: 'none' });
    await send(exporter, BODIES);
    assert.deepEqual(linesOf(path), BODIES);
  });

  test('stays plain where it is to be, and the oldest go', async (t) => {
    const { exporter, names, lines } = startFileScene(t, { bytes: LINE_BYTES, compression: 'none', keep: 2 });
    for (const body of BODIES) await send(exporter, [body]);
    await eventually('removed', () => names().length === 3);
    await exporter.shutdown();
    assert.deepEqual(lines(), BODIES.slice(-3));
  });

  test('leaves what others put beside it', async (t) => {
    const scene = startFileScene(t, { bytes: LINE_BYTES, compression: 'gzip', keep: 0 });
    const foreign = ['decisions-old.jsonl', 'decisions-2026.jsonl.gz', 'other.jsonl', 'decisions.jsonl.1'];
    for (const name of foreign) writeFileSync(join(scene.directory, name), 'x');
    for (const body of BODIES.slice(0, 3)) await send(scene.exporter, [body]);
    await eventually('all removed', () => scene.names().length === foreign.length + 1);
    await scene.exporter.shutdown();
    assert.deepEqual(scene.names(), [...foreign, 'decisions.jsonl'].toSorted());
  });

  test('keeps its order when the clock stands still, goes back or restarts', async (t) => {
    const { exporter, make, lines, clock } = startFileScene(t, { bytes: LINE_BYTES, compression: 'none' });
    for (const body of BODIES.slice(0, 6)) await send(exporter, [body]);
    await exporter.shutdown();
    clock.nowMs -= HOUR_MS;
    const next = make();
    for (const body of BODIES.slice(6)) await send(next, [body]);
    assert.deepEqual(lines(), BODIES);
  });
});

describe('a file of an hour that is over', () => {
  const HOURLY = { everyMs: HOUR_MS, compression: 'none' } as const;
  const FIVE_TO_MS = Date.UTC(2026, 10, 26, 19, 55);

  test('is rotated with the first batch of the next hour, also after a restart', async (t) => {
    const { exporter, clock, names, path, make } = startFileScene(t, HOURLY);
    const at = (ms: number): void => {
      clock.nowMs = ms;
      utimesSync(path, ms / 1000, ms / 1000);
    };
    await send(exporter, [A]);
    at(FIVE_TO_MS);
    await send(exporter, [B]);
    at(FIVE_TO_MS + 60_000);
    assert.deepEqual(names(), ['decisions.jsonl']);
    await exporter.shutdown();
    clock.nowMs = FIVE_TO_MS + 300_000;
    await send(make(), [C]);
    assert.deepEqual(names(), ['decisions-2026-11-26T20-00-00.000Z.jsonl', 'decisions.jsonl']);
    assert.deepEqual(linesOf(path), [C]);
  });

  test('that is empty stays', async (t) => {
    const { exporter, clock, names, path } = startFileScene(t, HOURLY);
    writeFileSync(path, '');
    utimesSync(path, 0, 0);
    clock.nowMs = FIVE_TO_MS;
    await send(exporter, [A]);
    assert.deepEqual(names(), ['decisions.jsonl']);
  });
});

describe('a kill while a rotated file is gzipped', () => {
  const ROTATE = { bytes: 100 * LINE_BYTES, compression: 'gzip' } as const;
  const NAME = 'decisions-2026-11-26T20-00-00.000Z.jsonl';

  test('in the middle leaves a half that is thrown away and done again', async (t) => {
    const { exporter, directory, names } = startFileScene(t, ROTATE);
    writeFileSync(join(directory, NAME), `${A}\n${B}\n`);
    writeFileSync(join(directory, `${NAME}.gz.tmp`), gzipSync(A).subarray(0, 50));
    await send(exporter, [C]);
    await eventually('done again', () => names().includes(`${NAME}.gz`) && names().length === 2);
    assert.deepEqual(linesOf(join(directory, `${NAME}.gz`)), [A, B]);
  });

  test('before the plain one was removed leaves both, and the plain one goes', async (t) => {
    const { exporter, directory, names } = startFileScene(t, ROTATE);
    writeFileSync(join(directory, NAME), `${A}\n${B}\n`);
    const whole = gzipSync(`${A}\n${B}\n`);
    writeFileSync(join(directory, `${NAME}.gz`), whole);
    await send(exporter, [C]);
    await eventually('one is left', () => names().length === 2);
    assert.deepEqual(readFileSync(join(directory, `${NAME}.gz`)), whole);
  });
});

describe('gzipping', () => {
  test('on a full disk leaves the plain file, says so, and delivery goes on', async (t) => {
    const { exporter, faults, heard, lines, names } = startFileScene(t, {
      bytes: LINE_BYTES,
      compression: 'gzip',
    });
    faults.compress = () => {
      throw systemError('ENOSPC');
    };
    for (const body of [A, B]) await send(exporter, [body]);
    await eventually('said', () => heard.text().includes('could not be gzipped'));
    assert.equal(names().filter((name) => name.endsWith('.gz')).length, 0);
    assert.deepEqual(lines(), [A, B]);
    delete faults.compress;
    await send(exporter, [C]);
    await eventually(
      'both are, and their plain ones gone',
      () => names().filter((name) => name.endsWith('.gz')).length === 2 && names().length === 3,
    );
    assert.deepEqual(lines(), [A, B, C]);
  });

  test('is broken off by a stop, and what was half done is done by the next process', async (t) => {
    const { exporter, names, lines, make, directory } = startFileScene(t, {
      bytes: LINE_BYTES,
      compression: 'gzip',
    });
    await send(exporter, [A]);
    writeFileSync(join(directory, 'decisions-2020-01-01T00-00-00.000Z.jsonl'), `${A}\n`.repeat(2_000));
    await send(exporter, [B]);
    await exporter.shutdown();
    await send(make(), [C]);
    await eventually('all gzipped', () => names().filter((name) => name.endsWith('.gz')).length === 3);
    await eventually('no half is left', () => names().length === 4);
    assert.equal(lines().length, 2_003);
  });
});

test('rotated names sort by time and are file names everywhere', () => {
  const name = rotatedPath('/var/log/a.b.jsonl', Date.UTC(2026, 0, 2, 3, 4, 5, 6));
  assert.equal(name, '/var/log/a.b-2026-01-02T03-04-05.006Z.jsonl');
  assert.equal(rotatedPath('x', 0), 'x-1970-01-01T00-00-00.000Z');
});
