/**
 * Any character, for the `unit` of a string: what fast-check's own `unit: 'binary'` makes. That one keeps a table of all
 * 1.1 million of them, which takes more time to fill than most files of tests take, and slows down those that come after.
 */
import * as fc from 'fast-check';

const SURROGATES_FROM = 0xd800;
const SURROGATES = 0x800;

export const anyCharacter: fc.Arbitrary<string> = fc.nat(0x10ffff - SURROGATES).map(
  (index) => String.fromCodePoint(index < SURROGATES_FROM ? index : index + SURROGATES),
  // With a way back, the strings that break programs ("__proto__", "constructor" and such) are made as well.
  (character) => {
    const codePoint = typeof character === 'string' ? character.codePointAt(0) : undefined;
    if (codePoint === undefined || String.fromCodePoint(codePoint) !== character) {
      throw new Error('not one character');
    }
    return codePoint < SURROGATES_FROM ? codePoint : codePoint - SURROGATES;
  },
);
