import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { JsonNumber, type Json } from '../../../src/event/json.ts';
import {
  foldKey,
  JSON_DEPTH_MAX,
  MARKS_LENGTH_MAX,
  parseStrictJson,
} from '../../../src/proxy/message/strict-json.ts';
import { anyCharacter } from '../../support/any-text.ts';

const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);

/** What JSON.parse would have made of it. */
function plain(value: Json): unknown {
  if (value instanceof JsonNumber) return value.value;
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([key, member]) => [key, plain(member)]));
  return Array.isArray(value) ? value.map(plain) : value;
}

function native(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

function assertLikeNative(text: string): void {
  const ours = parseStrictJson(text);
  const theirs = native(text);
  if (ours.ok) assert.deepEqual(plain(ours.value), theirs?.value, text);
  else if (ours.code === 'parse_json') assert.equal(theirs, undefined, text);
  else assert.ok(ours.code === 'parse_duplicate_key' || ours.code === 'parse_depth', ours.code);
}

test('every JSON value comes out as JSON.parse reads it', () => {
  const json = fc.jsonValue({ maxDepth: 6 }).map((value) => JSON.stringify(value));
  fc.assert(fc.property(json, assertLikeNative));
});

test('text that is almost JSON is accepted exactly when JSON.parse accepts it, and nothing throws', () => {
  const spice = fc.constantFrom(
    ...Array.from('{}[]",:\\ \t\n\r\0\u001f\ufeff\u00a0eE+-.0179tfnu/x\ud800'),
    '\\u12',
    '"a"',
    'null',
    '1.',
  );
  const mutated = fc
    .tuple(fc.jsonValue({ maxDepth: 3 }), fc.array(fc.tuple(fc.nat(), fc.nat(3), spice), { maxLength: 4 }))
    .map(([value, edits]) => {
      let text = JSON.stringify(value, null, edits.length % 2);
      for (const [where, cut, insert] of edits) {
        const at = where % (text.length + 1);
        text = text.slice(0, at) + insert + text.slice(at + cut);
      }
      return text;
    });
  fc.assert(fc.property(mutated, assertLikeNative), { numRuns: 1_000 });
});

test('text made of JSON tokens in any order never throws', () => {
  const token = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"a"',
    '"A"',
    '"',
    '\\',
    '1',
    '-',
    '1e400',
    'true',
    'nul',
    ' ',
  );
  fc.assert(
    fc.property(
      fc.array(token).map((tokens) => tokens.join('')),
      assertLikeNative,
    ),
    { numRuns: 1_000 },
  );
});

const REFUSED: readonly [why: string, text: string][] = [
  ['nothing', ''],
  ['white space only', ' \n'],
  ['a byte order mark', '\ufeff{}'],
  ['trailing garbage', '{}x'],
  ['a second value', '{} {}'],
  ['NUL after the value', '{}\0'],
  ['NaN', '{"a":NaN}'],
  ['Infinity', '-Infinity'],
  ['a leading zero', '01'],
  ['a bare minus', '-'],
  ['a point without digits', '1.'],
  ['a leading plus', '+1'],
  ['hexadecimal', '0x10'],
  ['a trailing comma in an object', '{"a":1,}'],
  ['a trailing comma in an array', '[1,]'],
  ['a leading comma', '[,1]'],
  ['a missing colon', '{"a" 1}'],
  ['a key without quotes', '{a:1}'],
  ['single quotes', "{'a':1}"],
  ['a comment', '{/**/}'],
  ['a closing bracket of the wrong kind', '{"a":[1}}'],
  ['an object that does not end', '{"a":1'],
  ['a string that does not end', '"abc'],
  ['a string that ends in a backslash', '"abc\\'],
  ['a raw line end in a string', '"a\nb"'],
  ['a raw line end after an escape', '"\\n\n"'],
  ['an escaped line end', '"a\\\nb"'],
  ['an unknown escape', '"\\x41"'],
  ['a short unicode escape', '"\\u12"'],
  ['a no-break space between tokens', '{\u00a0}'],
];

for (const [why, text] of REFUSED) {
  test(`refuses ${why}`, () => {
    const result = parseStrictJson(text);
    assert.equal(result.ok ? 'accepted' : result.code, 'parse_json');
  });
}

const COLLIDING: readonly [why: string, first: string, second: string][] = [
  ['twice the same', 'name', 'name'],
  ['twice the same, once escaped', 'name', 'n\\u0061me'],
  ['upper case', 'name', 'Name'],
  ['long s U+017F', 'params', 'param\u017f'],
  ['Kelvin sign U+212A', 'k', '\u212a'],
  ['a trailing NUL', 'name', 'name\\u0000'],
  ['a NUL inside', 'method', 'me\\u0000thod'],
  ['a zero-width space', 'uri', 'u\u200bri'],
  ['a word joiner', 'uri', 'uri\u2060'],
  ['a soft hyphen', 'uri', 'u\u00adri'],
  ['a byte order mark', 'uri', '\ufeffuri'],
  ['full width', 'name', '\uff4e\uff41\uff4d\uff45'],
  ['a ligature', 'file', '\ufb01le'],
  ['composed and decomposed', '\u00e9', 'e\u0301'],
  ['dotless i', 'id', '\u0131d'],
  ['final sigma', '\u03a3', '\u03c2'],
  ['sharp s', 'gro\u00df', 'GROSS'],
];

for (const [why, first, second] of COLLIDING) {
  for (const [where, wrap] of [
    ['at the root', (object: string) => object],
    ['in an array, four levels down', (object: string) => `{"a":[{"b":[${object}]}]}`],
  ] as const) {
    test(`refuses keys that collide by ${why}, ${where}`, () => {
      for (const [one, other] of [
        [first, second],
        [second, first],
      ]) {
        const result = parseStrictJson(wrap(`{"${one}":1,"between":{},"${other}":2}`));
        assert.equal(result.ok ? 'accepted' : result.code, 'parse_duplicate_key');
      }
    });
  }
}

test('keys that only look alike stay apart', () => {
  for (const [one, other] of [
    ['a', 'b'],
    ['name', 'name2'],
    ['e', '\u00e9'],
    ['a', '\u0430'],
    ['a ', 'a'],
    ['', ' '],
  ]) {
    assert.ok(parseStrictJson(`{"${one}":1,"${other}":2}`).ok, `${one} ${other}`);
  }
});

test('the same key in different objects is no duplicate', () => {
  assert.ok(parseStrictJson('{"a":{"a":1},"b":[{"a":1},{"A":1}]}').ok);
});

test('folding ignores every change of case, and comes to rest', () => {
  fc.assert(
    fc.property(fc.string({ unit: anyCharacter }), (key) => {
      const folded = foldKey(key);
      assert.equal(foldKey(key.toUpperCase()), folded);
      assert.equal(foldKey(key.toLowerCase()), folded);
      assert.equal(foldKey(key.normalize('NFD')), folded);
      assert.equal(foldKey(`${key}\0`), folded);
    }),
  );
});

test('a key with combining marks up to the limit in a row is read, one more is refused', () => {
  const text = (marks: number) => `{"a":1,"x${'\u0315\u0300'.repeat(marks).slice(0, marks)}":2}`;
  assert.ok(parseStrictJson(text(MARKS_LENGTH_MAX)).ok);
  const over = parseStrictJson(text(MARKS_LENGTH_MAX + 1));
  assert.equal(over.ok ? 'accepted' : over.code, 'parse_json');
});

test('a byte order mark is named in the error, since nobody can see it', () => {
  const result = parseStrictJson('\ufeff1');
  assert.match(result.ok ? '' : String(result.details['detail']), /byte order mark/);
});

test('a long key does not come back whole in the error', () => {
  const key = 'k'.repeat(100_000);
  const result = parseStrictJson(`{"${key}":1,"${key}":2}`);
  assert.ok(!result.ok && String(result.details['key']).length < 100);
});

test('depth is refused above the default, above an own limit, and above the maximum whatever is asked for', () => {
  for (const [limit, max] of [
    [undefined, JSON_DEPTH_MAX.default],
    [3, 3],
    [JSON_DEPTH_MAX.maximum, JSON_DEPTH_MAX.maximum],
    [100_000, JSON_DEPTH_MAX.maximum],
  ] as const) {
    const limits = limit === undefined ? {} : { depthMax: limit };
    assert.ok(parseStrictJson(nested(max), limits).ok, `at ${max}`);
    const over = parseStrictJson(nested(max + 1), limits);
    assert.deepEqual(over, { ok: false, code: 'parse_depth', details: { max } });
  }
});

test('objects count as depth as arrays do, and what was closed does not', () => {
  assert.ok(!parseStrictJson('{"a":{"a":{}}}', { depthMax: 2 }).ok);
  assert.ok(parseStrictJson('[[],[],[[]]]', { depthMax: 3 }).ok);
});

test('ten thousand levels and a million are refused alike, without a stack', () => {
  for (const levels of [10_000, 1_000_000]) {
    for (const text of ['['.repeat(levels), '{"a":'.repeat(levels), nested(levels)]) {
      const result = parseStrictJson(text, { depthMax: JSON_DEPTH_MAX.maximum });
      assert.equal(result.ok ? 'accepted' : result.code, 'parse_depth');
    }
  }
});

test('numbers keep their text', () => {
  for (const text of ['9007199254740993', '1e400', '-0', '1.0', '1E+2', '0.1e-7', '9'.repeat(10_000)]) {
    const result = parseStrictJson(text);
    assert.ok(result.ok && result.value instanceof JsonNumber);
    assert.equal(result.value.text, text);
  }
});

test('keys that name parts of every object are keys like others', () => {
  const result = parseStrictJson('{"__proto__":{"constructor":1},"toString":2}');
  assert.ok(result.ok && result.value instanceof Map);
  assert.deepEqual([...result.value.keys()], ['__proto__', 'toString']);
});

test('lone surrogates are legal JSON as escapes', () => {
  const result = parseStrictJson('"\\ud800x"');
  assert.ok(result.ok);
  assert.equal(result.value, '\ud800x');
});

test('a string of a megabyte and a hundred thousand keys are read', () => {
  const long = 'x'.repeat(1_000_000);
  assert.deepEqual(parseStrictJson(`"${long}"`).ok, true);
  assert.deepEqual(parseStrictJson(JSON.stringify('\n"\\'.repeat(100_000))).ok, true);
  const members = Array.from({ length: 100_000 }, (_, at) => `"Key${at}":${at}`).join();
  const result = parseStrictJson(`{${members}}`);
  assert.ok(result.ok && result.value instanceof Map);
  assert.equal(result.value.size, 100_000);
  assert.ok(!parseStrictJson(`{${members},"KEY7":0}`).ok);
});

test('spans of containers down to two levels below the root are where they stand', () => {
  const text = ' {"p": {"a" : {"x":[1, {}]} , "b":[]}}';
  const result = parseStrictJson(text);
  assert.ok(result.ok);
  const spans = [...result.spans.values()].map(([start, end]) => text.slice(start, end));
  assert.deepEqual(
    spans.sort(),
    ['[]', '{"p": {"a" : {"x":[1, {}]} , "b":[]}}', '{"a" : {"x":[1, {}]} , "b":[]}', '{"x":[1, {}]}'].sort(),
  );
});
