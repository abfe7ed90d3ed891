import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { canonicalEvent, canonicalJson } from '../../src/event/canonical.ts';
import { JsonNumber } from '../../src/event/json.ts';
import type { Json } from '../../src/event/json.ts';
import { anyCharacter } from '../support/any-text.ts';

const object = (...members: [string, Json][]): Json => new Map(members);

const numbers: [text: string, canonical: string][] = [
  ['0', '0'],
  ['-0', '0'],
  ['-0.0', '0'],
  ['-1', '-1'],
  ['1.0', '1'],
  ['1e2', '100'],
  ['1E400', '1e400'],
  ['-1e+400', '-1e+400'],
  ['1e-400', '0'],
  ['0.1', '0.1'],
  ['1e21', '1e+21'],
  ['9007199254740993', '9007199254740993'],
  ['-18446744073709551617', '-18446744073709551617'],
  ['333333333.33333329', '333333333.3333333'],
  ['4.50', '4.5'],
  ['2e-3', '0.002'],
  ['0.000000000000000000000000001', '1e-27'],
];

for (const [text, canonical] of numbers) {
  test(`the number ${text} is written ${canonical}`, () => {
    assert.equal(canonicalJson(new JsonNumber(text)), canonical);
  });
}

test('an integer of a million digits keeps them all', () => {
  const text = '7'.repeat(1_000_000);
  assert.equal(canonicalJson(new JsonNumber(text)), text);
});

test('names are sorted by UTF-16 code units (RFC 8785, section 3.2.3)', () => {
  const names = ['\u20ac', '\r', '\ufb33', '1', '😀', '\u0080', '\u00f6'];
  const sorted = ['\r', '1', '\u0080', '\u00f6', '\u20ac', '😀', '\ufb33'];
  const value = new Map(names.map((name) => [name, null]));
  assert.deepEqual(
    Object.keys(JSON.parse(canonicalJson(value)) as object).filter((key) => key !== '1'),
    sorted.filter((key) => key !== '1'),
  );
  assert.equal(canonicalJson(value), `{${sorted.map((name) => `${JSON.stringify(name)}:null`).join(',')}}`);
});

test('strings are escaped as RFC 8785, section 3.2.2.2, has it', () => {
  const text = '\u20ac$\u000f\nA\'B"\\\\"/\u0000\u007f\u2028';
  assert.equal(canonicalJson(text), '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\\u0000\u007f\u2028"');
});

test('lone surrogates become U+FFFD, in names before they are sorted', () => {
  const value = object(['\ud800', true], ['\ue000', false]);
  assert.equal(canonicalJson(value), '{"\ue000":false,"\ufffd":true}');
});

test('keys that objects inherit are keys like all others', () => {
  const value = object(['constructor', 'c'], ['__proto__', object(['toString', null])]);
  assert.equal(canonicalJson(value), '{"__proto__":{"toString":null},"constructor":"c"}');
});

test('empty containers, literals and nesting keep their form', () => {
  const value = object(['b', [[], new Map(), [true, false, null]]], ['a', object(['x', 's'])]);
  assert.equal(canonicalJson(value), '{"a":{"x":"s"},"b":[[],{},[true,false,null]]}');
});

test('a nesting of 10,000 levels does not overflow the stack', () => {
  let array: Json = [];
  let map: Json = new Map();
  for (let level = 1; level < 10_000; level += 1) {
    array = [array];
    map = object(['a', map]);
  }
  assert.equal(canonicalJson(array), '['.repeat(10_000) + ']'.repeat(10_000));
  assert.equal(canonicalJson(map).length, 9_999 * 6 + 2);
});

const json = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.string({ unit: 'grapheme' }),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => new JsonNumber(JSON.stringify(value))),
    fc.array(tie('value')),
    fc.array(fc.tuple(fc.string(), tie('value'))).map((members) => new Map(members)),
  ),
})).value;

const plain = (value: Json): unknown => {
  if (value instanceof JsonNumber) return value.value + 0;
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, plain(item)]));
  return Array.isArray(value) ? value.map(plain) : value;
};

const read = (value: unknown): Json => {
  if (Array.isArray(value)) return value.map(read);
  if (typeof value === 'number') return new JsonNumber(String(value));
  if (typeof value !== 'object' || value === null) return value as Json;
  return new Map(Object.entries(value).map(([key, item]) => [key, read(item)]));
};

test('canonical JSON is JSON of the same value, and canonical again', () => {
  fc.assert(
    fc.property(json, (value) => {
      const text = canonicalJson(value);
      const back = read(JSON.parse(text));
      assert.deepEqual(plain(back), plain(value));
      assert.equal(canonicalJson(back), text);
    }),
    { examples: [[new Map([['__proto__', [new JsonNumber('-0')]]])]] },
  );
});

test('the order in which members were sent does not show', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ unit: anyCharacter }), { selector: (key) => key.toWellFormed() }),
      (keys) => {
        const forth = new Map(keys.map((key) => [key, key]));
        const back = new Map(keys.toReversed().map((key) => [key, key]));
        assert.equal(canonicalJson(forth), canonicalJson(back));
      },
    ),
  );
});

test('an event is one line with sorted keys', () => {
  const event = { b: 'x\ny\u2028', a: [' ', '\ud800'], d: true, c: 12, ['__proto__']: 'p' };
  assert.equal(
    canonicalEvent(event),
    '{"__proto__":"p","a":[" ","\ufffd"],"b":"x\\ny\u2028","c":12,"d":true}',
  );
});
