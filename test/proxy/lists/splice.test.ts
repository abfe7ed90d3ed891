import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isObject, type Json } from '../../../src/event/json.ts';
import { elementSpans, memberSpans, removals, spliced } from '../../../src/proxy/lists/splice.ts';
import { parseStrictJson } from '../../../src/proxy/message/strict-json.ts';

function read(text: string) {
  // Keys that look alike are refused elsewhere.
  const json = parseStrictJson(text, { spanLevels: 1, foldLevels: -1 });
  assert.ok(json.ok, text);
  return { text, spans: json.spans, value: json.value };
}

/** The text of an array without some of its elements. */
function without(text: string, keeps: (value: Json) => boolean): string {
  const { value, ...rest } = read(text);
  assert.ok(Array.isArray(value));
  return spliced(text, removals(elementSpans(rest, value), value.map(keeps)));
}

describe('elements that go', () => {
  const cases: readonly (readonly [text: string, left: string])[] = [
    ['[1, 2 ,3]', '[1, 2 ,3]'],
    ['[ "x" , 1,2]', '[ 1,2]'],
    ['[1 , "x",\n 2]', '[1,\n 2]'],
    ['[1,2 , "x" ]', '[1,2 ]'],
    ['[1 , "x" , "x",2]', '[1,2]'],
    ['["x",1 , "x", 2,"x"]', '[1, 2]'],
    ['[ "x" ,"x" ]', '[  ]'],
    ['["x"]', '[]'],
    ['[]', '[]'],
    ['["\\"],[\\\\",1]', '["\\"],[\\\\",1]'],
  ];
  for (const [text, left] of cases) {
    test(`${text} leaves ${left}`, () => {
      assert.equal(
        without(text, (value) => value !== 'x'),
        left,
      );
    });
  }

  test('leave the others as they are, in order, and every kept byte with them', () => {
    const blank = fc.constantFrom('', ' ', '\n', '\t ');
    const element = fc.tuple(blank, fc.jsonValue({ maxDepth: 1 }), blank, fc.boolean());
    fc.assert(
      fc.property(fc.array(element), (elements) => {
        const written = elements.map(([before, value, after]) => `${before}${JSON.stringify(value)}${after}`);
        const text = `[${written.join(',')}]`;
        const flags = elements.map(([, , , keep]) => keep);
        const left = without(text, () => flags.shift() ?? false);
        const kept = elements.filter(([, , , keep]) => keep);
        assert.deepEqual(
          JSON.parse(left),
          kept.map(([, value]) => JSON.parse(JSON.stringify(value))),
        );
        // Whatever is left stood there in the same order.
        let at = 0;
        for (const char of left) at = text.indexOf(char, at) + 1;
        assert.ok(kept.length < elements.length || left === text);
      }),
    );
  });
});

test('members are found where they stand, whatever is in their keys and values', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 1 })),
      fc.constantFrom(0, 2),
      (object, indent) => {
        const text = JSON.stringify(object, null, indent);
        const { value, ...rest } = read(text);
        assert.ok(isObject(value));
        const spans = memberSpans(rest, value);
        assert.equal(spans.size, value.size);
        for (const [key, [start, end]] of spans) {
          assert.deepEqual(JSON.parse(text.slice(start, end)), JSON.parse(text)[key]);
        }
      },
    ),
  );
});
