import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bodyHash } from '../../src/event/stamp.ts';
import { decodeLine, encodeLine } from '../../src/spool/line.ts';
import { recoverStream } from '../../src/spool/recovery.ts';
import { imageFiles, makeStream, pathOf, readOut, splitLines, withFile } from '../support/spool-image.ts';
import { bodyAt } from '../support/spool-image.ts';
import type { Image, MadeStream, ReadOut } from '../support/spool-image.ts';
import { SPOOL, STREAM } from '../support/spooled.ts';

/** Three small segments; the last one of two commits, the second of which nothing vouches for when it is not sealed. */
const PLAN = { segments: [[2], [1, 1], [1, 2]] } as const;
const SEALED = makeStream({ ...PLAN, sealed: true, zeros: 16 });
const OPEN = makeStream({ ...PLAN, sealed: false, zeros: 16 });
/** First sequence of the last commit. */
const LAST_COMMIT = 6;
const FIRSTS = [1, 3, 5];

interface Allowed {
  /** Sequences of which the bytes are spoiled. */
  readonly spoiled: (sequence: number) => boolean;
  /** From here on nothing was promised by the bytes that are left. */
  readonly tornFrom?: number;
}

/** Nothing wrong is right, nothing intact is lost, and what is missing is named. */
function check(made: MadeStream, image: Image, { spoiled, tornFrom = Infinity }: Allowed): ReadOut {
  const files = imageFiles(image);
  const out = readOut(files);
  assert.ok(
    out.order.every((sequence, index) => index === 0 || sequence > (out.order[index - 1] ?? 0)),
    'out of order, or twice',
  );
  for (const [sequence, body] of out.bodies) {
    assert.equal(body, made.records[sequence - 1]?.body, `a wrong record ${sequence}`);
    assert.ok(!out.damaged.has(sequence), `${sequence} is handed out and named as missing`);
  }
  for (const { sequence } of made.records) {
    if (out.bodies.has(sequence)) continue;
    assert.ok(spoiled(sequence) || sequence >= tornFrom, `the intact record ${sequence} is lost`);
    assert.ok(
      out.damaged.has(sequence) || (sequence >= tornFrom && out.recovered.tornBytes > 0),
      `the loss of ${sequence} is not named`,
    );
  }
  return out;
}

/** What a change of the bytes [from, to) of a segment spoils. */
function spoils(made: MadeStream, segment: number, [from, to]: readonly [number, number]): Allowed {
  const spoiled = (sequence: number): boolean => {
    const record = made.records[sequence - 1];
    // The LF itself is no part of what is intact.
    return record?.segment === segment && from < record.end - 1 && to > record.offset;
  };
  if (segment !== FIRSTS.at(-1)) return { spoiled };
  let promised = 0;
  let offset = 0;
  for (const line of splitLines(bytesAt(made.image, segment))) {
    const end = offset + line.length;
    const decoded = decodeLine(line.subarray(0, -1));
    if (decoded.ok && (to <= offset || from >= end - 1)) promised = Math.max(promised, decoded.durableBefore);
    offset = end;
  }
  const torn = made.records.find((record) => record.segment === segment && record.offset >= promised);
  return { spoiled, tornFrom: torn?.sequence ?? Infinity };
}

function bytesAt(image: Image, first: number): Buffer {
  return image.get(pathOf(first)) ?? assert.fail(`no segment ${first}`);
}

function changed(made: MadeStream, first: number, change: (bytes: Buffer) => Buffer | void): Image {
  const bytes = Buffer.from(bytesAt(made.image, first));
  return withFile(made.image, pathOf(first), change(bytes) ?? bytes);
}

describe('a spoiled stream', () => {
  for (const [name, made] of [
    ['a sealed stream', SEALED],
    ['a stream whose process died', OPEN],
  ] as const) {
    test(`${name} that is not spoiled is read whole, by itself and from every cursor`, () => {
      const out = check(made, made.image, { spoiled: () => false });
      assert.equal(out.order.length, made.records.length);
      assert.deepEqual(out.damages, []);
      assert.deepEqual(out.recovered.end, made.end);
      assert.equal(out.recovered.tornBytes, 0);
      for (const { sequence, segment, end } of made.records) {
        const rest = readOut(imageFiles(made.image), { from: { sequence, segment, offset: end } });
        assert.equal(rest.order.length, made.records.length - sequence);
        assert.deepEqual(rest.damages, []);
      }
    });

    test(`${name} is recovered a second time as it was the first time`, () => {
      for (let at = 0; at < bytesAt(made.image, 5).length; at += 7) {
        const files = imageFiles(
          changed(made, 5, (bytes) => void bytes.fill(0, at, Math.min(at + 3, bytes.length))),
        );
        const first = recoverStream(files, SPOOL, STREAM, []);
        assert.deepEqual(recoverStream(files, SPOOL, STREAM, []), first);
      }
    });

    test(`any bit of ${name} may flip`, () => {
      // The first two segments are the same in both streams.
      for (const first of made === SEALED ? FIRSTS : [5]) {
        for (let at = 0; at < bytesAt(made.image, first).length; at += 1) {
          for (const bit of first === 1 ? [at % 8] : [0, 1, 2, 3, 4, 5, 6, 7]) {
            const image = changed(made, first, (bytes) => {
              bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
            });
            check(made, image, spoils(made, first, [at, at + 1]));
          }
        }
      }
    });

    test(`any stretch of 64 or 512 bytes of ${name} may be zeroed`, () => {
      for (const first of FIRSTS) {
        for (const length of [64, 512]) {
          for (let from = 0; from < bytesAt(made.image, first).length; from += length / 8) {
            const image = changed(
              made,
              first,
              (bytes) => void bytes.fill(0, from, Math.min(from + length, bytes.length)),
            );
            check(made, image, spoils(made, first, [from, from + length]));
          }
        }
      }
    });
  }

  test('the last segment of a stream whose process died may end at any byte', () => {
    const bytes = bytesAt(OPEN.image, 5);
    for (let length = 0; length <= bytes.length; length += 1) {
      const kept = OPEN.records.filter(({ segment, end }) => segment < 5 || end <= length).length;
      // A whole line but for its LF is whole.
      const out = readOut(imageFiles(withFile(OPEN.image, pathOf(5), bytes.subarray(0, length))));
      for (const sequence of out.order)
        assert.equal(out.bodies.get(sequence), OPEN.records[sequence - 1]?.body);
      assert.ok(
        out.order.length === kept || out.order.length === kept + 1,
        `${out.order.length} at ${length}`,
      );
      assert.deepEqual(out.damages, []);
    }
  });

  test('a segment in the middle may be gone', () => {
    const out = check(SEALED, withFile(SEALED.image, pathOf(3), undefined), {
      spoiled: (sequence) => sequence === 3 || sequence === 4,
    });
    assert.deepEqual(out.damages, [{ stream: STREAM, from: 3, to: 4, lastHash: SEALED.records[1]?.hash }]);
  });

  test('a segment that a cursor has not passed may be gone: what it held is named', () => {
    const image = withFile(SEALED.image, pathOf(1), undefined);
    const from = { sequence: 1, segment: 1, offset: SEALED.records[0]?.end ?? 0 };
    const out = readOut(imageFiles(image), { from });
    assert.deepEqual(out.damages, [{ stream: STREAM, from: 2, to: 2, lastHash: undefined }]);
    assert.deepEqual(out.order, [3, 4, 5, 6, 7]);
  });

  test('two records may be swapped: each is handed out as itself or named', () => {
    for (const made of [SEALED, OPEN]) {
      for (const first of FIRSTS) {
        const lines = splitLines(bytesAt(made.image, first));
        for (let index = 1; index < lines.length - 1; index += 1) {
          const swapped = lines.with(index, lines[index + 1] ?? assert.fail()).with(index + 1, lines[index]!);
          const image = withFile(made.image, pathOf(first), Buffer.concat(swapped));
          check(made, image, {
            spoiled: (sequence) => made.records[sequence - 1]?.segment === first,
            ...(made === OPEN && first === 5 && { tornFrom: 5 }),
          });
        }
      }
    }
  });

  test('a record that is edited with a right CRC is not handed out, and only it is lost', () => {
    for (const [made, last] of [
      [SEALED, 7],
      [OPEN, LAST_COMMIT - 1],
    ] as const) {
      for (const { sequence, segment } of made.records.slice(0, last)) {
        for (const edit of [/"u(\d)"/, /"verdict.stream.previous_hash":"(.)/]) {
          const image = changed(made, segment, (bytes) => editLine(bytes, sequence, edit));
          const out = check(made, image, { spoiled: (lost) => lost === sequence });
          assert.deepEqual([...out.damaged], [sequence], `${sequence} ${edit}`);
        }
      }
    }
  });

  test('an edited record before a spoiled seal is not handed out: the next header knows its hash', () => {
    const image = changed(SEALED, 1, (bytes) => {
      const edited = editLine(bytes, 2, /"u(\d)"/);
      edited[edited.length - 20] = 0x21;
      return edited;
    });
    const out = check(SEALED, image, { spoiled: (sequence) => sequence === 2 });
    assert.deepEqual([...out.damaged], [2]);
  });

  test('an edited record before a spoiled header is not handed out: the seal knows its hash', () => {
    const { image: whole } = SEALED;
    const header = Buffer.from(bytesAt(whole, 3));
    header[20] = 0x21;
    const image = withFile(whole, pathOf(3), header);
    const edited = withFile(image, pathOf(1), editLine(bytesAt(whole, 1), 2, /"u(\d)"/));
    assert.deepEqual([...check(SEALED, edited, { spoiled: (sequence) => sequence === 2 }).damaged], [2]);
  });

  test('a record behind a seal is not part of the stream, even where the next segment is gone', () => {
    const content = Buffer.concat(splitLines(bytesAt(SEALED.image, 1)));
    const forged = bodyAt(3, SEALED.records[1]?.hash ?? '').replace('"u3"', '"forged"');
    const image = withFile(
      withFile(SEALED.image, pathOf(3), undefined),
      pathOf(1),
      Buffer.concat([content, encodeLine(forged, content.length)]),
    );
    const out = check(SEALED, image, { spoiled: (sequence) => sequence === 3 || sequence === 4 });
    assert.deepEqual([...out.damaged], [3, 4]);
  });

  test('a record behind the seal is not part of the stream', () => {
    const bytes = bytesAt(SEALED.image, 5);
    const content = Buffer.concat(splitLines(bytes));
    const forged = encodeLine(bodyAt(8, SEALED.end.hash), content.length);
    const out = check(SEALED, withFile(SEALED.image, pathOf(5), Buffer.concat([content, forged])), {
      spoiled: () => false,
    });
    assert.equal(out.recovered.tornBytes, forged.length);
    assert.equal(out.recovered.tornLines, 1);
    assert.deepEqual(out.recovered.end, SEALED.end);
  });

  test('a directory that was rolled back is read as far as it goes, and a cursor ahead of it waits', () => {
    const image: Image = new Map([...SEALED.image].filter(([path]) => path !== pathOf(5)));
    const from = { sequence: 6, segment: 5, offset: 900 };
    const out = readOut(imageFiles(image), { from });
    assert.deepEqual(out.order, []);
    assert.deepEqual(out.damages, []);
    assert.equal(readOut(imageFiles(image)).order.length, 4);
  });

  test('a cursor whose offset is wrong loses nothing', () => {
    for (const offset of [1, 300, 5000, SEALED.records[6]?.end ?? 0]) {
      const out = readOut(imageFiles(SEALED.image), { from: { sequence: 5, segment: 5, offset } });
      assert.deepEqual(out.order, [6, 7], `offset ${offset}`);
      assert.deepEqual(out.damages, []);
    }
  });
});

/** Changes what the pattern's group holds, and makes the CRC right again. */
function editLine(bytes: Buffer, sequence: number, pattern: RegExp): Buffer {
  const lines = splitLines(bytes).map((line) => {
    const decoded = decodeLine(line.subarray(0, -1));
    assert.ok(decoded.ok);
    if (!decoded.json.includes(`"verdict.stream.sequence":${sequence}}`)) return line;
    const edited = decoded.json.replace(
      pattern,
      (whole, group: string) =>
        whole.slice(0, -group.length - (whole.endsWith('"') ? 1 : 0)) +
        (group === 'f' ? 'e' : 'f') +
        (whole.endsWith('"') ? '"' : ''),
    );
    assert.notEqual(bodyHash(edited), bodyHash(decoded.json));
    return encodeLine(edited, decoded.durableBefore);
  });
  return Buffer.concat(lines);
}
