import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decodeLine, encodeLine } from '../../src/spool/line.ts';
import { createScanner, readLine, SCAN_BYTES } from '../../src/spool/scanner.ts';
import type { ScannedLine } from '../../src/spool/scanner.ts';
import { imageFiles } from '../support/spool-image.ts';

function scan(bytes: Buffer, limit = bytes.length): ScannedLine[] {
  const scanner = createScanner(imageFiles(new Map([['/f', bytes]])).open('/f', 'read'), 0);
  const lines: ScannedLine[] = [];
  for (let line = scanner.next(limit); line !== undefined; line = scanner.next(limit)) lines.push(line);
  assert.equal(scanner.offset(), Math.min(limit, bytes.length));
  return lines;
}

const json = fc
  .record({ a: fc.string({ unit: 'grapheme', maxLength: 40 }) })
  .map((value) => JSON.stringify(value));
const line = fc.tuple(json, fc.nat(1e9)).map(([text, durable]) => encodeLine(text, durable));

function good(lines: readonly ScannedLine[]): (string | undefined)[] {
  return lines.map((found) => found.json).filter((text) => text !== undefined);
}

describe('the scanner', () => {
  test('says of a line what decodeLine says, whatever has become of it', () => {
    fc.assert(
      fc.property(line, fc.nat(), fc.nat(255), (bytes, place, mask) => {
        const changed = Buffer.from(bytes.subarray(0, -1));
        const at = place % changed.length;
        changed[at] = (changed[at] ?? 0) ^ mask;
        const decoded = decodeLine(changed);
        const read = readLine(Buffer.concat([changed, Buffer.from('\n')]), 0, changed.length);
        if (decoded.ok) assert.deepEqual({ ok: true, ...read }, decoded);
        else assert.equal(read, undefined);
      }),
      { numRuns: 2000 },
    );
  });

  test('leaves out no byte, and finds every whole line between any rubbish', () => {
    const rubbish = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.array(fc.oneof(line, rubbish, fc.constant(Buffer.alloc(700)))), (parts) => {
        const lines = scan(Buffer.concat(parts));
        let end = 0;
        for (const found of lines) {
          assert.equal(found.offset, end);
          assert.ok(found.end > end);
          end = found.end;
        }
        assert.equal(end, Buffer.concat(parts).length);
        const written = parts.flatMap((part) => {
          const decoded = part.at(-1) === 0x0a ? decodeLine(part.subarray(0, -1)) : { ok: false as const };
          return decoded.ok ? [decoded.json] : [];
        });
        assert.deepEqual(good(lines), written);
      }),
    );
  });

  test('finds both lines when the line end between them is spoiled', () => {
    const [first, second] = [encodeLine('{"a":1}', 0), encodeLine('{"b":2}', 0)];
    const bytes = Buffer.concat([first, second, second]);
    bytes[first.length - 1] = 0x4a;
    assert.deepEqual(good(scan(bytes)), ['{"a":1}', '{"b":2}', '{"b":2}']);
  });

  test('finds a line behind megabytes without a line end, of zeros or not', () => {
    const long = encodeLine(`{"a":"${'x'.repeat(1_000_000)}"}`, 7);
    for (const filling of [0, 0x7b]) {
      const bytes = Buffer.concat([Buffer.alloc(3 * 1024 * 1024 + 11, filling), long, long]);
      assert.equal(good(scan(bytes)).length, 2);
    }
  });

  test('ends at its limit and goes on behind it', () => {
    const lines = Array.from({ length: 4000 }, (_, index) => encodeLine(`{"n":${index}}`, 0));
    const bytes = Buffer.concat(lines);
    const scanner = createScanner(imageFiles(new Map([['/f', bytes]])).open('/f', 'read'), 0);
    let limit = 0;
    for (const [index, text] of lines.entries()) {
      assert.equal(scanner.next(limit), undefined);
      limit += text.length;
      assert.equal(scanner.next(limit)?.json, `{"n":${index}}`);
    }
    assert.ok(scan(bytes).length === lines.length && SCAN_BYTES > 0);
  });

  test('is not held up by rubbish that is made to look like the beginnings of lines', () => {
    const bytes = Buffer.from('{"'.repeat(400_000) + '\t1\t00000000\n');
    assert.equal(good(scan(bytes)).length, 0);
  });
});
