import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { VerdictError } from '../../../src/errors.ts';
import { Lane, STDIO_PENDING_BYTES_MAX, STDIO_PENDING_MAX } from '../../../src/proxy/stdio/lane.ts';
import { type Limit, limitOf } from '../../../src/proxy/limit.ts';
import { CHILD_EXIT_GRACE_MS, CHILD_TERM_GRACE_MS } from '../../../src/proxy/stdio/child.ts';
import { LINE_BYTES_MAX, type Line, createLineSplitter } from '../../../src/proxy/stdio/line-splitter.ts';
import { createLineWriter, frame, readLines } from '../../../src/proxy/stdio/line-stream.ts';
import { STDIO_OPEN_MAX } from '../../../src/proxy/stdio/open-requests.ts';

function split(chunks: readonly Uint8Array[], lineBytesMax = 1000): Line[] {
  const splitter = createLineSplitter(lineBytesMax);
  return [...chunks.flatMap((chunk) => splitter.push(chunk)), ...splitter.end()];
}

function shown(lines: readonly Line[]): string[] {
  return lines.map((line) => (line.kind === 'line' ? Buffer.from(line.framed).toString() : 'OVERSIZE'));
}

/** Cuts bytes at the given places. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const borders = [
    0,
    ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b),
    bytes.length,
  ];
  return borders.slice(1).map((border, at) => bytes.subarray(borders[at], border));
}

test('lines keep their bytes however the stream is cut into chunks', () => {
  const content = fc
    .uint8Array({ minLength: 1, maxLength: 20 })
    .map((bytes) => bytes.map((byte) => (byte === 10 ? 11 : byte)));
  fc.assert(
    fc.property(
      fc.array(content, { maxLength: 10 }),
      fc.array(fc.nat(300), { maxLength: 10 }),
      (contents, places) => {
        const filled = contents.map((bytes) => Buffer.concat([Buffer.from('x'), bytes]));
        const stream = Buffer.concat(filled.map((bytes) => frame(bytes)));
        const lines = split(cut(stream, places));
        assert.deepEqual(
          lines.map((line) => (line.kind === 'line' ? Buffer.from(line.content) : line.kind)),
          filled,
        );
      },
    ),
  );
});

const SPLITS: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['a character cut in two is whole again', ['€', '\n'], ['€\n']],
  ['empty and blank lines are left out', ['\n\r\n \t\r\n{}\n\n'], ['{}\n']],
  ['a CR before the LF stays', ['{}\r\n'], ['{}\r\n']],
  ['a last line without its LF gets it', ['{}\n[1', '23]'], ['{}\n', '[123]\n']],
  ['a CR or U+2028 alone is no line end', ['a\rb\u2028c\n'], ['a\rb\u2028c\n']],
  ['nothing gives no line', [], []],
];
for (const [title, chunks, lines] of SPLITS) {
  test(`splitter: ${title}`, () => {
    const bytes = chunks.flatMap((chunk) => [...Buffer.from(chunk)].map((byte) => Uint8Array.of(byte)));
    assert.deepEqual(shown(split(bytes)), lines);
    assert.deepEqual(shown(split(chunks.map((chunk) => Buffer.from(chunk)))), lines);
  });
}

for (const max of [1, 8, LINE_BYTES_MAX.default]) {
  test(`a line of ${max} bytes passes where ${max} are allowed, one byte more is reported once and skipped`, () => {
    const long = 'a'.repeat(max);
    for (const size of [64 * 1024, max + 1]) {
      const chunks = (bytes: Buffer): Uint8Array[] =>
        Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
          bytes.subarray(at * size, (at + 1) * size),
        );
      const at = split(chunks(Buffer.from(`${long}\nb\n`)), max);
      assert.deepEqual(
        at.map((line) => (line.kind === 'line' ? line.content.length : line.kind)),
        [max, 1],
      );
      const over = split(chunks(Buffer.from(`${long}a\nb\n`)), max);
      assert.deepEqual(shown(over), ['OVERSIZE', 'b\n']);
    }
  });
}

test('an endless line does not grow in memory and is reported before it ends', () => {
  const splitter = createLineSplitter(4);
  assert.deepEqual(shown(splitter.push(Buffer.from('12345'))), ['OVERSIZE']);
  assert.deepEqual(splitter.push(Buffer.from('67890')), []);
  assert.deepEqual(shown(splitter.push(Buffer.from('1\n{}\n'))), ['{}\n']);
});

const LIMITS: Readonly<Record<string, Limit>> = {
  LINE_BYTES_MAX,
  STDIO_PENDING_MAX,
  STDIO_PENDING_BYTES_MAX,
  STDIO_OPEN_MAX,
  CHILD_EXIT_GRACE_MS,
  CHILD_TERM_GRACE_MS,
};
for (const [name, limit] of Object.entries(LIMITS)) {
  test(`${name} has a default, can be set up to its maximum, and no further`, () => {
    assert.equal(limitOf(name, limit, undefined), limit.default);
    assert.equal(limitOf(name, limit, 1), 1);
    assert.equal(limitOf(name, limit, limit.maximum), limit.maximum);
    for (const value of [0, -1, 1.5, Number.NaN, Infinity, limit.maximum + 1]) {
      assert.throws(() => limitOf(name, limit, value), VerdictError);
    }
  });
}

test('a lane acts in the order of arrival, whatever order the decisions come in', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(20), { maxLength: 30 }), async (ranks) => {
      const lane = new Lane({}, () => assert.fail());
      const decisions = ranks.map(() => Promise.withResolvers<() => undefined>());
      const acted: number[] = [];
      decisions.forEach(({ promise }) => lane.push(1, promise));
      const order = ranks.map((rank, at) => ({ rank, at })).sort((a, b) => a.rank - b.rank);
      for (const { at } of order) decisions[at]?.resolve(() => void acted.push(at));
      await lane.idle();
      assert.deepEqual(acted, [...ranks.keys()]);
    }),
    { numRuns: 50 },
  );
});

for (const [title, limits, bytes, lines] of [
  ['lines', { pendingMax: 3 }, 1, 3],
  ['bytes', { pendingBytesMax: 10 }, 4, 3],
  ['default lines', {}, 1, STDIO_PENDING_MAX.default],
] as const) {
  test(`a lane that is full by ${title} has room again when one has had its turn`, async () => {
    const lane = new Lane(limits, () => assert.fail());
    const first = Promise.withResolvers<() => undefined>();
    for (let at = 0; at < lines; at += 1) {
      assert.equal(lane.room(), undefined);
      lane.push(bytes, first.promise);
    }
    const room = lane.room();
    assert.notEqual(room, undefined);
    first.resolve(() => undefined);
    await room;
    assert.equal(lane.room(), undefined);
  });
}

test('a turn that fails is told and does not stop the lane', async () => {
  const errors: unknown[] = [];
  const lane = new Lane({}, (error) => errors.push(error));
  let acted = false;
  lane.push(1, Promise.reject(new Error('one')));
  lane.push(
    1,
    Promise.resolve(() => Promise.reject(new Error('two'))),
  );
  lane.push(
    1,
    Promise.resolve(() => {
      acted = true;
      return undefined;
    }),
  );
  await lane.idle();
  assert.deepEqual(errors.map(String), ['Error: one', 'Error: two']);
  assert.ok(acted);
});

test('reading pauses while there is no room and goes on after', async () => {
  const source = new PassThrough();
  const taken: string[] = [];
  const room = Promise.withResolvers<void>();
  const paused = Promise.withResolvers<void>();
  source.once('pause', () => paused.resolve());
  const reader = readLines(source, createLineSplitter(100), (line) => {
    taken.push(...shown([line]));
    return taken.length === 2 ? room.promise : undefined;
  });
  source.write('1\n2\n3\n');
  source.end('4\n');
  await paused.promise;
  assert.deepEqual(taken, ['1\n', '2\n']);
  assert.ok(reader.waiting);
  room.resolve();
  await reader.done;
  assert.deepEqual(taken, ['1\n', '2\n', '3\n', '4\n']);
});

test('a stopped reader takes nothing more', async () => {
  const source = new PassThrough();
  const taken: string[] = [];
  const reader = readLines(source, createLineSplitter(100), (line) => {
    taken.push(...shown([line]));
    reader.stop();
    return Promise.resolve();
  });
  source.end('1\n2\n');
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(taken, ['1\n']);
  assert.ok(source.isPaused());
});

test('a writer waits for a slow reader, and says false once the other end has gone', async () => {
  const target = new PassThrough({ highWaterMark: 4 });
  const errors: Error[] = [];
  const writer = createLineWriter(target, (error) => errors.push(error));
  let roomy = false;
  const first = writer.write(Buffer.from('12345\n')).then((ok) => {
    roomy = true;
    return ok;
  });
  const second = writer.write(Buffer.from('6\n'));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(roomy, false);
  target.resume();
  assert.deepEqual(await Promise.all([first, second]), [true, true]);
  await writer.flush();
  assert.equal(writer.flushed, 2);
  target.pause();
  const stuck = writer.write(Buffer.from('12345\n'));
  const flush = writer.flush();
  target.destroy(new Error('EPIPE'));
  assert.equal(await stuck, false);
  await flush;
  assert.equal(await writer.write(Buffer.from('x\n')), false);
  await writer.flush();
  assert.deepEqual(
    errors.map((error) => error.message),
    ['EPIPE'],
  );
});
