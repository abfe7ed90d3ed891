import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { cutText } from '../../src/event/text.ts';
import { anyCharacter } from '../support/any-text.ts';

const cases: [name: string, text: string, bytesMax: number, expected: string, cut: boolean][] = [
  ['shorter than the cap stays', 'abc', 10, 'abc', false],
  ['exactly at the cap stays', 'a'.repeat(1024), 1024, 'a'.repeat(1024), false],
  ['one byte over the cap ends in an ellipsis within it', 'a'.repeat(11), 10, `${'a'.repeat(7)}…`, true],
  ['multi-byte characters count by bytes, not units', 'éééé', 8, 'éééé', false],
  ['a two-byte character that does not fit goes whole', 'ééééé', 9, 'ééé…', true],
  ['a surrogate pair is never split', '😀😀😀', 11, '😀😀…', true],
  ['a pair across the border goes whole', 'aaaa😀aaaa', 8, 'aaaa…', true],
  ['a lone surrogate becomes U+FFFD and is no cut', 'a\ud800b', 10, 'a\ufffdb', false],
  ['a lone surrogate in a cut text too', '\udc00'.repeat(10), 9, '\ufffd\ufffd…', true],
  ['U+FFFD counts three bytes', '\ud800\ud800', 5, '…', true],
  ['NUL and U+2028 pass', '\0\u2028', 10, '\0\u2028', false],
  ['a cap below an ellipsis cuts without one', 'abcd', 2, 'ab', true],
  ['a cap of nothing leaves nothing', 'abcd', 0, '', true],
  ['no text is no cut', '', 0, '', false],
];

for (const [name, text, bytesMax, expected, cut] of cases) {
  test(name, () => assert.deepEqual(cutText(text, bytesMax), { text: expected, cut }));
}

test('a megabyte is cut to the cap', () => {
  assert.equal(Buffer.byteLength(cutText('😀'.repeat(250_000), 1024).text), 1023);
});

test('whatever the text, the result is well-formed, within the cap, and a prefix when it is cut', () => {
  fc.assert(
    fc.property(fc.string({ unit: anyCharacter, maxLength: 60 }), fc.nat(70), (text, bytesMax) => {
      const result = cutText(text, bytesMax);
      assert.ok(result.text.isWellFormed());
      assert.ok(Buffer.byteLength(result.text) <= bytesMax);
      const whole = text.toWellFormed();
      if (result.cut)
        assert.ok(Buffer.byteLength(whole) > bytesMax && whole.startsWith(result.text.replace(/…$/, '')));
      else assert.equal(result.text, whole);
    }),
  );
});
