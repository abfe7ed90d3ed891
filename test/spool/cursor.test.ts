import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import {
  CURSOR_SLOT_BYTES,
  cursorName,
  exporterOfCursor,
  openCursor,
  readCursor,
} from '../../src/spool/cursor.ts';
import type { CursorPosition } from '../../src/spool/position.ts';
import { createSimulatedFiles, seededRandom } from '../support/simulated-files.ts';
import type { SimulatedFiles } from '../support/simulated-files.ts';

const DIRECTORY = '/spool/stream';
const PATH = `${DIRECTORY}/cursor.otlp`;

function disk(): SimulatedFiles {
  const files = createSimulatedFiles();
  files.makeDirectory(DIRECTORY);
  return files;
}

function at(sequence: number): CursorPosition {
  return { sequence, segment: 1, offset: sequence * 100 };
}

/** A disk on which these sequences were flushed, one after the other. */
function flushed(...sequences: readonly number[]): SimulatedFiles {
  const files = disk();
  const cursor = openCursor(files, DIRECTORY, 'otlp', () => 1700);
  for (const sequence of sequences) {
    cursor.advance(at(sequence));
    cursor.flush();
  }
  cursor.close();
  return files;
}

describe('a cursor', () => {
  test('is nowhere before the first acknowledgement, and makes no file until then', () => {
    const files = disk();
    const cursor = openCursor(files, DIRECTORY, 'otlp');
    assert.equal(cursor.position(), undefined);
    cursor.flush();
    assert.deepEqual(files.list(DIRECTORY), []);
  });

  test('is where it was flushed, for the next process too', () => {
    for (const count of [1, 2, 3, 4]) {
      const files = flushed(...[1, 5, 9, 70].slice(0, count));
      assert.deepEqual(readCursor(files, DIRECTORY, 'otlp')?.position, at([1, 5, 9, 70][count - 1] ?? 0));
    }
  });

  test('says when it was written, unless an older version wrote it', () => {
    const files = flushed(1);
    assert.equal(readCursor(files, DIRECTORY, 'otlp')?.timeMs, 1700);
    const json = '{"generation":9,"sequence":7,"segment":1,"offset":700}';
    files.unlink(PATH);
    files.plant(PATH, Buffer.from(`${json}\t${crc32(json).toString(16).padStart(8, '0')}\n`));
    assert.deepEqual(readCursor(files, DIRECTORY, 'otlp'), { position: at(7), timeMs: undefined });
  });

  test('does not go back', () => {
    const cursor = openCursor(flushed(9), DIRECTORY, 'otlp');
    cursor.advance(at(3));
    assert.deepEqual(cursor.position(), at(9));
  });

  test('is one line of JSON with a CRC in each of two slots', () => {
    const bytes = flushed(1, 2).bytes(PATH);
    assert.equal(bytes.length, 2 * CURSOR_SLOT_BYTES);
    assert.match(
      bytes.toString('latin1', CURSOR_SLOT_BYTES),
      /^\{"generation":2,"sequence":2,"segment":1,"offset":200,"time":1700\}\t[0-9a-f]{8}\n\0+$/,
    );
  });

  test('is written once for many acknowledgements, and not at all for none', () => {
    const files = flushed(1);
    const cursor = openCursor(files, DIRECTORY, 'otlp');
    cursor.flush();
    for (let sequence = 2; sequence < 100; sequence += 1) cursor.advance(at(sequence));
    const before = files.operations.length;
    cursor.flush();
    cursor.flush();
    const names = files.operations.slice(before).map(({ name }) => name);
    assert.deepEqual(names, ['open', 'write', 'sync', 'syncDirectory']);
  });

  test('falls back to the older slot when any bit of the newer one flips', () => {
    const whole = flushed(1, 2).bytes(PATH);
    const length = whole.indexOf(0, CURSOR_SLOT_BYTES) - CURSOR_SLOT_BYTES;
    for (let bit = 0; bit < length * 8; bit += 1) {
      const bytes = Buffer.from(whole);
      const byte = CURSOR_SLOT_BYTES + (bit >> 3);
      bytes[byte] = (bytes[byte] ?? 0) ^ (1 << (bit & 7));
      const files = disk();
      files.plant(PATH, bytes);
      assert.deepEqual(readCursor(files, DIRECTORY, 'otlp')?.position, at(1), `bit ${bit}`);
    }
  });

  test('starts over when neither slot can be read, and can be written again', () => {
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(700, 'x'), Buffer.alloc(1024)]) {
      const files = disk();
      files.plant(PATH, bytes);
      const cursor = openCursor(files, DIRECTORY, 'otlp');
      assert.equal(cursor.position(), undefined);
      cursor.advance(at(4));
      cursor.flush();
      assert.deepEqual(readCursor(files, DIRECTORY, 'otlp')?.position, at(4));
    }
  });

  test('is after a power cut where it was flushed last, or where it was being flushed', () => {
    let torn = 0;
    for (let seed = 1; seed <= 40; seed += 1) {
      for (let operations = 1; operations <= 8; operations += 1) {
        const files = disk();
        const cursor = openCursor(files, DIRECTORY, 'otlp');
        let durable = 0;
        let tried = 0;
        files.cutAt(operations);
        try {
          for (const sequence of [10, 20, 30, 40]) {
            cursor.advance(at(sequence));
            tried = sequence;
            cursor.flush();
            durable = sequence;
          }
        } catch {
          torn += 1;
        }
        const found = readCursor(files.crash(seededRandom(seed)), DIRECTORY, 'otlp')?.position.sequence ?? 0;
        assert.ok(found === durable || found === tried, `${found} and not ${durable} or ${tried}`);
      }
    }
    assert.ok(torn > 0);
  });

  test('keeps its durable slot when a flush fails, and flushes later', () => {
    for (const name of ['write', 'sync'] as const) {
      const files = flushed(1, 2);
      const cursor = openCursor(files, DIRECTORY, 'otlp');
      files.fail(name, { code: 'EIO' });
      cursor.advance(at(3));
      assert.throws(() => cursor.flush(), { code: 'EIO' });
      assert.ok([2, 3].includes(readCursor(files, DIRECTORY, 'otlp')?.position.sequence ?? 0));
      cursor.flush();
      assert.deepEqual(readCursor(files.crash(seededRandom(1)), DIRECTORY, 'otlp')?.position, at(3));
    }
  });

  test('takes short writes', () => {
    const files = disk();
    files.limits.writeBytesMax = 10;
    const cursor = openCursor(files, DIRECTORY, 'otlp');
    cursor.advance(at(7));
    cursor.flush();
    assert.deepEqual(readCursor(files, DIRECTORY, 'otlp')?.position, at(7));
  });

  test('has an exporter whose name is safe in a file name', () => {
    for (const name of ['', '../x', 'A', 'a.b', 'a/b', 'a'.repeat(65), 'é']) {
      assert.throws(() => cursorName(name), RangeError);
      assert.equal(exporterOfCursor(`cursor.${name}`), undefined);
    }
    for (const name of ['otlp', 'a_b-1', 'a'.repeat(64)])
      assert.equal(exporterOfCursor(cursorName(name)), name);
  });
});
