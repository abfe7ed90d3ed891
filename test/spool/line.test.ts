import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import * as fc from 'fast-check';
import { decodeLine, encodeLine, LINE_BYTES_MAX } from '../../src/spool/line.ts';

const json = fc
  .oneof(
    fc.jsonValue().map((value) => JSON.stringify(value)),
    fc.string({ unit: 'grapheme' }),
  )
  .map((text) => text.replace(/[\0-\u001f]/g, ' '))
  .filter((text) => text !== '');

/** A line as anybody could make it, with a right CRC. */
function forged(covered: string | Uint8Array): Buffer {
  const crc = crc32(covered).toString(16).padStart(8, '0');
  return Buffer.concat([Buffer.from(covered), Buffer.from(`\t${crc}`)]);
}

test('what is encoded comes back', () => {
  fc.assert(
    fc.property(json, fc.maxSafeNat(), (text, durableBefore) => {
      const line = encodeLine(text, durableBefore);
      assert.equal(line.at(-1), 0x0a);
      assert.equal(line.indexOf(0x0a), line.length - 1);
      assert.deepEqual(decodeLine(line.subarray(0, -1)), { ok: true, json: text, durableBefore });
    }),
  );
});

test('a line reads as cut(1) would cut it', () => {
  const [body, offset, crc] = encodeLine('{"a":1}', 42).toString().trimEnd().split('\t');
  assert.deepEqual([body, offset], ['{"a":1}', '42']);
  assert.match(crc ?? '', /^[0-9a-f]{8}$/);
});

test('each flipped bit is noticed, the line end’s too', () => {
  fc.assert(
    fc.property(json, fc.nat(), (text, durableBefore) => {
      const line = encodeLine(text, durableBefore);
      for (let bit = 0; bit < line.length * 8; bit += 1) {
        const flipped = Buffer.from(line);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const lines = splitLines(Buffer.concat([flipped, encodeLine('{}', 0)]));
        for (const part of lines.slice(0, -1)) assert.deepEqual(decodeLine(part), { ok: false });
        assert.ok(lines.length >= 1);
      }
    }),
    { numRuns: 20 },
  );
});

test('each cut-off line is noticed', () => {
  const line = encodeLine('{"event.name":"verdict.decision","é":"😀"}', 123_456);
  for (let length = 0; length < line.length - 1; length += 1) {
    assert.deepEqual(decodeLine(line.subarray(0, length)), { ok: false }, `${length} bytes`);
  }
});

test('decoding anything never throws', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => !decodeLine(bytes).ok));
});

const BAD: readonly [name: string, covered: string | Uint8Array][] = [
  ['no JSON', '\t7'],
  ['no offset', '{}\t'],
  ['no tab', '{}7'],
  ['three fields', '{}\t1\t7'],
  ['a leading zero', '{}\t07'],
  ['a sign', '{}\t+7'],
  ['a fraction', '{}\t7.0'],
  ['an offset beyond the safe integers', '{}\t9007199254740992'],
  ['an offset of a hundred digits', `{}\t${'1'.repeat(100)}`],
  ['bytes that are not UTF-8', Buffer.concat([Buffer.from([0x22, 0xff, 0x22]), Buffer.from('\t7')])],
];

for (const [name, covered] of BAD) {
  test(`refused, though its CRC is right: ${name}`, () => {
    assert.deepEqual(decodeLine(forged(covered)), { ok: false });
  });
}

test('a CRC in capitals is refused', () => {
  const line = forged('{"n":1}\t7').toString();
  assert.deepEqual(decodeLine(Buffer.from(line)).ok, true);
  assert.deepEqual(
    decodeLine(Buffer.from(line.replace(/[0-9a-f]{8}$/, (crc) => crc.toUpperCase()))).ok,
    false,
  );
});

test('a line of LINE_BYTES_MAX is encoded and read, a longer one is neither', () => {
  const overhead = encodeLine('x', 0).length - 1;
  const longest = 'x'.repeat(LINE_BYTES_MAX - overhead);
  const line = encodeLine(longest, 0);
  assert.equal(line.length, LINE_BYTES_MAX);
  assert.deepEqual(decodeLine(line.subarray(0, -1)), { ok: true, json: longest, durableBefore: 0 });
  assert.throws(() => encodeLine(`${longest}x`, 0), RangeError);
  assert.deepEqual(decodeLine(forged(`${longest}x\t0`)), { ok: false });
});

for (const text of ['', '{\n}', '{\t}', '"\0"', '\u001f']) {
  test(`not written, because it would not come back: ${JSON.stringify(text)}`, () => {
    assert.throws(() => encodeLine(text, 0), RangeError);
  });
}

for (const offset of [-1, 0.5, Number.NaN, 2 ** 53]) {
  test(`no offset: ${offset}`, () => assert.throws(() => encodeLine('{}', offset), RangeError));
}

function splitLines(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  let at = 0;
  for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a, at)) {
    lines.push(bytes.subarray(at, end));
    at = end + 1;
  }
  return lines;
}
