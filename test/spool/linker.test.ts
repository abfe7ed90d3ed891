import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createLinker } from '../../src/spool/linker.ts';
import type { Candidate } from '../../src/spool/linker.ts';

/** Written `5` for the fifth record, `5!` for a forged one that cites the fourth, `5?` for one that cites nothing. */
function candidate(text: string): Candidate {
  const sequence = Number.parseInt(text, 10);
  const previousHash = text.endsWith('?') ? 'nothing' : `h${sequence - 1}`;
  return { sequence, previousHash, hash: /\d$/.test(text) ? `h${sequence}` : `forged${text}` };
}

/** What comes of candidates: `5` handed out, `-6` or `-6..8` missing. */
function linked(texts: readonly string[], last: number | undefined): string[] {
  const out: string[] = [];
  const linker = createLinker<Candidate>(
    { sequence: 0, hash: 'h0' },
    {
      release: ({ sequence, hash }) => void out.push(hash === `h${sequence}` ? String(sequence) : hash),
      missing: (from, to) => void out.push(from === to ? `-${from}` : `-${from}..${to}`),
    },
  );
  for (const text of texts) linker.push(candidate(text));
  if (last === undefined) linker.finish();
  else linker.anchor({ sequence: last, hash: `h${last}` });
  return out;
}

const ROWS: readonly (readonly [given: string, last: number | undefined, out: string])[] = [
  ['1 2 3', 3, '1 2 3'],
  ['1 2 3', undefined, '1 2 3'],
  ['', 2, '-1..2'],
  ['1 3', 3, '1 -2 3'],
  ['2 3', 3, '-1 2 3'],
  ['1 2', 4, '1 2 -3..4'],
  ['1 2! 3', 3, '1 -2 3'],
  ['1 2? 3', 3, '1 -2 3'],
  ['1 2 3!', 3, '1 2 -3'],
  ['1 2 3?', 3, '1 2 -3'],
  ['1 3 2 4', 4, '1 2 -3 4'],
  ['1 2 2 3', 3, '1 2 3'],
  ['1 2 3 2 3 4', 4, '1 2 3 4'],
  ['1 900! 2 3', 3, '1 2 3'],
  ['1 3 5 7', 7, '1 -2 3 -4 5 -6 7'],
  ['1 2 3 4!', 3, '1 2 3'],
  ['1 2 3 9!', 3, '1 2 3'],
];

describe('the linker', () => {
  for (const [given, last, out] of ROWS) {
    test(`makes ${out} of ${given === '' ? 'nothing' : given}${last === undefined ? '' : ` up to ${last}`}`, () => {
      assert.deepEqual(linked(given.split(' ').filter(Boolean), last), out.split(' '));
    });
  }

  test('hands out each true record that is left when others are lost, and names each lost one', () => {
    const total = 12;
    const all = Array.from({ length: total }, (_, index) => String(index + 1));
    fc.assert(
      fc.property(fc.subarray(all), (kept) => {
        const out = linked(kept, total);
        assert.deepEqual(
          out.filter((text) => !text.startsWith('-')),
          kept,
        );
        const missing = out.filter((text) => text.startsWith('-')).flatMap(range);
        assert.deepEqual(
          missing,
          all.filter((text) => !kept.includes(text)),
        );
      }),
    );
  });

  test('hands out no forged record whose successor is there', () => {
    const all = Array.from({ length: 12 }, (_, index) => String(index + 1));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 11 }), fc.constantFrom('!', '?'), (at, mark) => {
        const out = linked(all.with(at, `${at + 1}${mark}`), 12);
        assert.deepEqual(out, all.with(at, `-${at + 1}`));
      }),
    );
  });
});

function range(text: string): string[] {
  const [from = 0, to = from] = text.slice(1).split('..').map(Number);
  return Array.from({ length: to - from + 1 }, (_, index) => String(from + index));
}
