/** Values are found where they stand and replaced there, and no other byte changes. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { oneLine } from '../../../src/proxy/bridge/one-line.ts';
import { replaceValues, valueSpans } from '../../../src/proxy/bridge/value-spans.ts';
import { oddCall } from '../../support/odd-call.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const textOf = (value: Uint8Array): string => Buffer.from(value).toString();
const found = (text: string, ...path: readonly string[]): string[] =>
  valueSpans(bytes(text), path).map(([start, end]) => textOf(bytes(text).subarray(start, end)));

describe('the value at a path', () => {
  const CASES: readonly (readonly [
    what: string,
    text: string,
    path: readonly string[],
    values: readonly string[],
  ])[] = [
    ['a number', '{"a":1,"id":23}', ['id'], ['23']],
    ['a string with a quote in it', String.raw`{"id":"a\"b","c":1}`, ['id'], [String.raw`"a\"b"`]],
    ['a string that ends in a backslash', String.raw`{"x":"\\","id":"\\"}`, ['id'], [String.raw`"\\"`]],
    ['a container', '{"id":{"a":[1,"}"]} }', ['id'], ['{"a":[1,"}"]}']],
    [
      'one behind containers and strings full of brackets',
      '{"x":[{"y":"]}{["}],"z":{},"id":7}',
      ['id'],
      ['7'],
    ],
    ['one with an escaped name', String.raw`{"\u0069d":1}`, ['id'], ['1']],
    ['one after names of other letters', '{"é":1,"\u{1f600}":2,"id":3}', ['id'], ['3']],
    ['both where the name stands twice', '{"id":1,"id":2}', ['id'], ['1', '2']],
    ['one within', '{"params":{"_meta":{"t":"x"}}}', ['params', '_meta', 't'], ['"x"']],
    ['one within, in either of two', '{"a":{"t":1},"a":{"t":2}}', ['a', 't'], ['1', '2']],
    ['none where only a deeper one has the name', '{"params":{"id":1}}', ['id'], []],
    ['none in a list', '[{"id":1}]', ['id'], []],
    ['none where the way leads through a scalar', '{"a":"{\\"t\\":1}"}', ['a', 't'], []],
    ['none in an empty object', ' { } ', ['id'], []],
    ['one among blanks of all kinds', '{\r\n\t"id" :\n 4 \r}', ['id'], ['4']],
  ];
  for (const [what, text, path, values] of CASES) {
    test(what, () => assert.deepEqual(found(text, ...path), values));
  }

  test('what is no JSON ends the search, and does not hang', () => {
    for (const text of ['', '{', '{"id"', '{"id":', '{"id":"', '{"a":{', '{"a":1 "id":2', '{"a":}', 'x'])
      found(text, 'id');
  });
});

describe('a message on its way to a server', () => {
  test('gets another id, and no other byte of it changes', () => {
    fc.assert(
      fc.property(oddCall(/^[ \t]*$/), fc.nat(), (text, id) => {
        const [span, ...others] = valueSpans(bytes(text), ['id']);
        assert.ok(span !== undefined && others.length === 0);
        const before = bytes(text).subarray(0, span[0]);
        const after = bytes(text).subarray(span[1]);
        const expected = Buffer.concat([before, Buffer.from(String(id)), after]);
        assert.deepEqual(
          Buffer.from(replaceValues(bytes(text), [{ path: ['id'], json: String(id) }])),
          expected,
        );
        assert.equal(JSON.parse(textOf(expected)).id, id);
      }),
    );
  });

  test('is one line: a blank for each line end, and no other byte of it changes', () => {
    fc.assert(
      fc.property(oddCall(/^[ \t\r\n]*$/), (text) => {
        const line = oneLine(bytes(text));
        assert.equal(textOf(line), text.replaceAll(/[\r\n]/g, ' '));
        assert.deepEqual(JSON.parse(textOf(line)), JSON.parse(text));
      }),
    );
  });
});
