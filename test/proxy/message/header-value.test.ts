import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { decodeHeaderValue, encodeHeaderValue } from '../../../src/proxy/message/header-value.ts';
import { anyCharacter } from '../../support/any-text.ts';

/** The table of the specification, and its edges. */
const ENCODED: readonly (readonly [text: string, value: string])[] = [
  ['us-west1', 'us-west1'],
  ['a b\tc', 'a b\tc'],
  ['Hello, 世界', '=?base64?SGVsbG8sIOS4lueVjA==?='],
  [' padded ', '=?base64?IHBhZGRlZCA=?='],
  ['\tpadded', '=?base64?CXBhZGRlZA==?='],
  ['line1\nline2', '=?base64?bGluZTEKbGluZTI=?='],
  ['=?base64?literal?=', '=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?='],
  ['=?base64?open', '=?base64?open'],
  ['', '=?base64??='],
  ['\x7f', '=?base64?fw==?='],
];
for (const [text, value] of ENCODED) {
  test(`${JSON.stringify(text)} stands in a field as ${value}`, () => {
    assert.equal(encodeHeaderValue(text), value);
    assert.equal(decodeHeaderValue(value), text);
  });
}

test('any text comes back, and its value can be nothing but the value of one field', () => {
  fc.assert(
    fc.property(fc.string({ unit: anyCharacter }), (text) => {
      const value = encodeHeaderValue(text);
      assert.match(value, /^[\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?$/);
      assert.equal(decodeHeaderValue(value), text.toWellFormed());
    }),
  );
});
