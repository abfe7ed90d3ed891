import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { VerdictError } from '../../../src/errors.ts';
import { createSseSplitter, type SseEvent } from '../../../src/proxy/message/sse.ts';

const MAX = { eventBytesMax: 1_000_000 };

function split(...chunks: readonly (string | Uint8Array)[]): SseEvent[] {
  const splitter = createSseSplitter(MAX);
  const events = chunks.flatMap((chunk) => splitter.push(Buffer.from(chunk)));
  return [...events, ...splitter.end()];
}

const fields = ({ data, event, id, retry }: SseEvent) => ({ data, event, id, retry });
const data = (events: readonly SseEvent[]) => events.map((event) => event.data);
/** What a client would see: events with data only. */
const seen = (events: readonly SseEvent[]) => events.filter(({ data }) => data !== undefined).map(fields);

const FIELDS: readonly [why: string, stream: string, expected: Partial<SseEvent>][] = [
  ['one line of data', 'data: a\n\n', { data: 'a' }],
  ['no space after the colon', 'data:a\n\n', { data: 'a' }],
  ['one space only is taken away', 'data:  a \n\n', { data: ' a ' }],
  ['lines of data are joined', 'data: a\ndata:\ndata: b\n\n', { data: 'a\n\nb' }],
  ['a field without a colon', 'data\n\n', { data: '' }],
  ['a comment is no data', ': data: a\n\n', {}],
  ['a field in another case is unknown', 'Data: a\n\n', {}],
  ['a field behind a space is unknown', ' data: a\n\n', {}],
  ['retry alone', 'retry: 5\n\n', { retry: '5' }],
  ['retry that is no number', 'retry: 5s\n\n', {}],
  ['event and id', 'event: message\nid: 7\ndata: {}\n\n', { data: '{}', event: 'message', id: '7' }],
  ['an id with NUL is ignored', 'id: a\0\ndata: x\n\n', { data: 'x' }],
  ['the last event name counts', 'event: a\nevent: b\ndata: x\n\n', { data: 'x', event: 'b' }],
  ['CR', 'event: e\rdata: a\r\r', { data: 'a', event: 'e' }],
  ['CRLF', 'event: e\r\ndata: a\r\n\r\n', { data: 'a', event: 'e' }],
  ['a byte order mark at the start', '\ufeffdata: a\n\n', { data: 'a' }],
  ['a line separator is no line end', 'data: a\u2028data: b\n\n', { data: 'a\u2028data: b' }],
  ['the end of the stream', 'data: a', { data: 'a' }],
];

for (const [why, stream, expected] of FIELDS) {
  test(`fields: ${why}`, () => {
    const [event, ...more] = split(stream);
    assert.ok(event);
    assert.deepEqual(more, []);
    const none = { data: undefined, event: undefined, id: undefined, retry: undefined };
    assert.deepEqual(fields(event), { ...none, ...expected });
    assert.deepEqual([event.filled, event.ended], [true, stream !== 'data: a']);
  });
}

test('a byte order mark later on belongs to the field', () => {
  assert.deepEqual(split('data: a\n\n', '\ufeffdata: b\n\n')[1]?.data, undefined);
});

test('events and comments come out one by one, and a blank line is an event of nothing', () => {
  const parts = [': hello\n\n', 'retry: 3\r\ndata: a\r\n\r\n', '\n', 'data: b\n\n', 'data: c'];
  assert.deepEqual(
    split(parts.join('')).map(({ data, filled, ended }) => [data, filled, ended]),
    [
      [undefined, true, true],
      ['a', true, true],
      [undefined, false, true],
      ['b', true, true],
      ['c', true, false],
    ],
  );
});

test('an event is out as soon as its blank line is there, even when only its CR is', () => {
  const splitter = createSseSplitter(MAX);
  assert.deepEqual(splitter.push(Buffer.from('data: a\r\n')), []);
  assert.deepEqual(data(splitter.push(Buffer.from('\r'))), ['a']);
  assert.deepEqual(data(splitter.push(Buffer.from('\n'))), [undefined]);
  assert.deepEqual(data(splitter.push(Buffer.from('data: b\r'))), []);
  assert.deepEqual(data(splitter.push(Buffer.from('\n\n'))), ['b']);
  assert.deepEqual(splitter.end(), []);
});

test('however the stream is cut, the same events come out', () => {
  const line = fc.constantFrom('data: a', 'data:é', 'data', ': c', 'event: e', 'id: 1', 'x', '', '', '');
  const end = fc.constantFrom('\n', '\r', '\r\n');
  const stream = fc
    .array(fc.tuple(line, end), { maxLength: 30 })
    .map((lines) => Buffer.from(lines.flat().join('')));
  fc.assert(
    fc.property(stream, fc.array(fc.nat(200), { maxLength: 12 }), (bytes, cuts) => {
      const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
      const events = split(...at.slice(1).map((to, index) => bytes.subarray(at[index], to)));
      assert.deepEqual(seen(events), seen(split(bytes)));
      assert.deepEqual(seen(events), seen(split(...Array.from(bytes, (byte) => Uint8Array.of(byte)))));
    }),
    { numRuns: 500 },
  );
});

test('no bytes at all make it throw', () => {
  fc.assert(fc.property(fc.array(fc.uint8Array()), (chunks) => void split(...chunks)));
});

test('an event at the limit passes, one byte more is refused for good', () => {
  const isTooLarge = (error: unknown) => error instanceof VerdictError && error.code === 'parse_size';
  for (const chunks of [['data: abc\n\n'], ['data: ', 'abc\n', '\n']]) {
    const at = createSseSplitter({ eventBytesMax: 11 });
    assert.equal(chunks.flatMap((chunk) => at.push(Buffer.from(chunk))).length, 1);
    const over = createSseSplitter({ eventBytesMax: 10 });
    assert.throws(() => chunks.flatMap((chunk) => over.push(Buffer.from(chunk))), isTooLarge);
    assert.throws(() => over.push(Buffer.from('\n')), isTooLarge);
    assert.throws(() => over.end(), isTooLarge);
  }
});

test('events before one that is too large still come out', () => {
  const splitter = createSseSplitter({ eventBytesMax: 10 });
  assert.deepEqual(data(splitter.push(Buffer.from('data: a\n\ndata: abcdefgh'))), ['a']);
  assert.throws(() => splitter.end(), VerdictError);
  assert.throws(() => splitter.push(new Uint8Array()), VerdictError);
});
