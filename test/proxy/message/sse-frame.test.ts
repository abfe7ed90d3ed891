import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { frameEvent, isAmbiguous } from '../../../src/proxy/message/sse-frame.ts';
import { createSseSplitter } from '../../../src/proxy/message/sse.ts';

function framed(stream: string | Uint8Array): string {
  const splitter = createSseSplitter({ eventBytesMax: 1_000_000 });
  const events = [...splitter.push(Buffer.from(stream)), ...splitter.end()];
  return Buffer.concat(events.map((event) => frameEvent(event) ?? new Uint8Array())).toString();
}

/** Where Python's `str.splitlines` ends a line. */
const SPLITLINES = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/;
const LENIENT_ENDS = ['\v', '\f', '\x1c', '\x1d', '\x1e', '\x85', '\u2028', '\u2029'];

describe('events in the form that a client gets', () => {
  const cases: [why: string, stream: string, expected: string][] = [
    ['data', 'data: {"a":1}\n\n', 'data: {"a":1}\n\n'],
    ['data without a space', 'data:{}\r\r', 'data: {}\n\n'],
    ['data on several lines', 'data: {\ndata:\ndata:  1}\n\n', 'data: {\ndata: \ndata:  1}\n\n'],
    ['id, name and retry', 'retry: 5\r\nevent: e\r\nid: 7\r\n\r\n', 'id: 7\nevent: e\nretry: 5\n\n'],
    ['an id that is empty, which takes back the last', 'id\n\n', 'id: \n\n'],
    ['a comment', ': ping - 12:00\n\n', ':\n\n'],
    ['a comment beside data', ': x\ndata: 1\n\n', 'data: 1\n\n'],
    ['an unknown field', 'foo: bar\n\n', ':\n\n'],
    ['blank lines', '\n\n\n', ''],
    ['an event that the end of the stream cuts off', 'data: {}', 'data: {}\n'],
    ['an id that is no ASCII', 'id: \u00e9\ndata: 1\n\n', 'data: 1\n\n'],
    ['a name that is no ASCII', 'event: mess\u2028age\ndata: 1\n\n', 'event: mess?age\ndata: 1\n\n'],
  ];
  for (const [why, stream, expected] of cases) {
    test(why, () => assert.equal(framed(stream), expected));
  }

  test('bytes that are no UTF-8 become what every client makes of them', () => {
    assert.equal(framed(Buffer.from('data: "\x85"\n\n', 'latin1')), 'data: "\ufffd"\n\n');
  });

  test('a client reads the same events as from the upstream', () => {
    const line = fc.constantFrom(
      'data: a',
      'data:  é',
      'data',
      ': c',
      'event: e',
      'id: 1',
      'retry: 9',
      'x',
      '',
    );
    const end = fc.constantFrom('\n', '\r', '\r\n');
    const read = (stream: string) => {
      const splitter = createSseSplitter({ eventBytesMax: 1_000_000 });
      return [...splitter.push(Buffer.from(stream)), ...splitter.end()]
        .map(({ data, event, id, retry }) => ({ data, event, id, retry }))
        .filter((fields) => Object.values(fields).some((value) => value !== undefined));
    };
    fc.assert(
      fc.property(fc.array(fc.tuple(line, end), { maxLength: 30 }), (lines) => {
        const stream = lines.flat().join('');
        assert.deepEqual(read(framed(stream)), read(stream));
      }),
    );
  });

  test('outside of data there is nothing that str.splitlines would split', () => {
    const field = fc.constantFrom('id: ', 'event: ', 'retry: ', ': ', 'x: ', 'id', 'data: {}');
    const value = fc.array(fc.constantFrom(...LENIENT_ENDS, 'data: {}', 'a', '1'), { maxLength: 4 });
    fc.assert(
      fc.property(fc.array(fc.tuple(field, value), { maxLength: 5 }), (fields) => {
        const stream = fields.map(([name, parts]) => `${name}${name === 'data: {}' ? '' : parts.join('')}\n`);
        const out = framed(`${stream.join('')}\n`);
        assert.deepEqual(out.split(SPLITLINES), out.split('\n'));
        const sent = fields.filter(([name]) => name === 'data: {}').length;
        assert.equal(out.split(SPLITLINES).filter((line) => line.startsWith('data')).length, sent);
      }),
    );
  });
});

describe('data that can be split in two ways', () => {
  for (const end of LENIENT_ENDS) {
    const name = `U+${end.charCodeAt(0).toString(16).padStart(4, '0')}`;
    test(`a field behind ${name} is found, words behind it are not`, () => {
      for (const field of [
        'data: x',
        'data:',
        'data',
        'event: x',
        'id:1',
        'retry: 1',
        '\ufeffdata: x',
        ' Data : x',
      ])
        assert.equal(isAmbiguous(`{"a":"b${end}${field}${end}c"}`), true, field);
      for (const words of ['', 'database: x', 'the id: 1', 'x', `${end}x`])
        assert.equal(isAmbiguous(`{"a":"b${end}${words}${end}c"}`), false, words);
    });
  }

  test('without a separator nothing is, whatever the words', () => {
    assert.equal(isAmbiguous('{"a":"data: x",\n"data":\n"id: 1"}'), false);
  });
});
