import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { newApiKey } from '../../src/identity/api-keys.ts';
import { readBearer, TOKEN_CHARS_MAX } from '../../src/identity/bearer.ts';

describe('the value of an Authorization header', () => {
  test('is a key or a JWT by its form alone', () => {
    const { key } = newApiKey({});
    assert.deepEqual(readBearer(`Bearer ${key}`), { ok: true, form: 'key', token: key });
    assert.deepEqual(readBearer('bEARER   a.b.c  '), { ok: true, form: 'jwt', token: 'a.b.c' });
  });

  const bad: readonly (readonly [string, string])[] = [
    ['nothing', ''],
    ['no token', 'Bearer '],
    ['another scheme', 'Basic YTpi'],
    ['no blank after the scheme', 'Bearera.b.c'],
    ['a scheme before the scheme', 'Basic Bearer a.b.c'],
    ['a tab for a blank', 'Bearer\ta.b.c'],
    ['two tokens', 'Bearer a.b.c d.e.f'],
    ['two tokens with a comma', 'Bearer a.b.c,d.e.f'],
    ['parameters', 'Bearer token="a.b.c"'],
    ['a quote', 'Bearer "a.b.c"'],
    ['a line end', 'Bearer a.b.c\nX: y'],
    ['a NUL', 'Bearer a.b.c\0'],
    ['padding inside', 'Bearer a=.b.c'],
    ['a letter that is no ASCII', 'Bearer \u00e9.b.c'],
  ];
  for (const [what, value] of bad) {
    test(`with ${what} is refused`, () => assert.equal(readBearer(value).ok, false));
  }

  test('may hold a token up to the limit', () => {
    assert.equal(readBearer(`Bearer ${'a'.repeat(TOKEN_CHARS_MAX)}`).ok, true);
    assert.equal(readBearer(`Bearer ${'a'.repeat(TOKEN_CHARS_MAX + 1)}`).ok, false);
  });

  test('is read as another reader of the same rule reads it, whatever it is', () => {
    const piece = fc.constantFrom(
      'Bearer',
      'bearer',
      ' ',
      '  ',
      '\t',
      'a.b.c',
      'k_1',
      '=',
      ',',
      '"',
      '\n',
      'é',
    );
    const value = fc.oneof(
      fc.array(piece, { maxLength: 8 }).map((all) => all.join('')),
      fc.string(),
    );
    fc.assert(
      fc.property(value, (text) => {
        const read = readBearer(text);
        const words = text.split(' ').filter((word) => word !== '');
        const [scheme = '', token = '', ...rest] = words;
        const letters = token.replace(/=+$/, '').split('');
        const expected =
          !text.startsWith(' ') &&
          scheme.toLowerCase() === 'bearer' &&
          rest.length === 0 &&
          letters.length > 0 &&
          letters.every((letter) => /^[\w.~+/-]$/.test(letter));
        assert.equal(read.ok, expected, JSON.stringify(text));
        if (read.ok) assert.equal(read.token, token);
      }),
      { numRuns: 2000 },
    );
  });
});
