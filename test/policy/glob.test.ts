import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { coversGlob, matchesGlob, parseToolGlob } from '../../src/policy/glob.ts';

const patterns = fc
  .array(fc.constantFrom('a', 'b', '/', '*', '?', '.'), { maxLength: 8 })
  .map((parts) => parts.join(''));
const texts = fc
  .array(fc.constantFrom('a', 'b', '/', '.', 'A'), { maxLength: 8 })
  .map((parts) => parts.join(''));

/** The definition, with no thought of time. */
function naive(pattern: string, text: string): boolean {
  if (pattern === '') return text === '';
  if (pattern.startsWith('*'))
    return naive(pattern.slice(1), text) || (text !== '' && naive(pattern, text.slice(1)));
  return (
    text !== '' && (pattern[0] === '?' || pattern[0] === text[0]) && naive(pattern.slice(1), text.slice(1))
  );
}

describe('a glob', () => {
  const cases: readonly (readonly [pattern: string, text: string, matches: boolean])[] = [
    ['delete_*', 'delete_all', true],
    ['delete_*', 'delete_', true],
    ['delete_*', 'Delete_all', false],
    ['*', '', true],
    ['*', 'a/b', true],
    ['read_?', 'read_1', true],
    ['read_?', 'read_', false],
    ['a.b', 'axb', false],
    ['[ab]', 'a', false],
    ['resources/*', 'resources/templates/list', true],
  ];
  for (const [pattern, text, matches] of cases) {
    test(`${pattern} ${matches ? 'matches' : 'does not match'} ${JSON.stringify(text)}`, () => {
      assert.equal(matchesGlob(pattern, text), matches);
    });
  }

  test('matches what its definition says', () => {
    fc.assert(
      fc.property(patterns, texts, (pattern, text) => {
        assert.equal(matchesGlob(pattern, text), naive(pattern, text));
      }),
      { numRuns: 2000 },
    );
  });

  test('takes no more than pattern times text, where backtracking would never end', () => {
    assert.equal(matchesGlob(`${'*a'.repeat(60)}b`, 'a'.repeat(20_000)), false);
  });

  test('covers another only if it matches all that the other matches', () => {
    fc.assert(
      fc.property(patterns, patterns, texts, (wider, pattern, text) => {
        const kept = !coversGlob(wider, pattern) || !matchesGlob(pattern, text) || matchesGlob(wider, text);
        assert.ok(kept, `${wider} was said to cover ${pattern}`);
      }),
      { numRuns: 5000 },
    );
    assert.deepEqual(
      [
        ['*', 'a*'],
        ['a*', 'a?b'],
        ['a*', '*'],
        ['?', '*'],
        ['ab', 'ab'],
      ].map(([a, b]) => coversGlob(a!, b!)),
      [true, true, false, false, true],
    );
  });
});

describe('a tool glob', () => {
  const cases: readonly (readonly [string, unknown])[] = [
    ['stripe/create_refund', { server: 'stripe', tool: 'create_refund' }],
    ['*/a/b', { server: '*', tool: 'a/b' }],
    ['read_file', undefined],
    ['/read_file', undefined],
    ['files/', undefined],
    ['*', undefined],
  ];
  for (const [text, glob] of cases) {
    test(text, () => {
      assert.deepEqual(parseToolGlob(text), glob);
    });
  }
});
