/** Records as an attacker, a later version or another program would have them. */
import fc from 'fast-check';
import { EVENT_NAMES, KEYS } from '../../src/event/vocabulary.ts';
import type { Event, Scalar } from '../../src/event/vocabulary.ts';
import type { FormattedRecord } from '../../src/format/record.ts';
import { anyCharacter } from '../support/any-text.ts';
import { chainOf, NASTY } from './samples.ts';

/** Pieces that are syntax to some format, line end to some reader, or a forgery to some eye. */
const PIECES = [
  '|', '=', '\\', '\\\\', '\\=', '\\|', '\\n', '\n', '\r', '\r\n', '\t', '\u0000', '\u001b[2J', '\u007f', '\u0085', '\u009b1m',
  '\u00ad', '\u200b', '\u200e', '\u200f', '\u2028', '\u2029', '\u202e', '\u2066', '\ufeff', '\u{e0041}', '\ud800', '\udfff', '"', "'",
  ' ', '  ', ' act=allow', ' src=10.0.0.1', ' cs1Label=x', 'CEF:0|a|b|c|d|e|9|', '{"', '}', '\\u0041', '\\u', '…', 'é', '😀', 'a', 'Z9',
] as const; // prettier-ignore

export const nastyText: fc.Arbitrary<string> = fc.oneof(
  fc.array(fc.constantFrom(...PIECES), { maxLength: 12 }).map((pieces) => pieces.join('')),
  fc.string({ unit: anyCharacter, maxLength: 40 }),
  fc.constantFrom(
    '',
    ' ',
    NASTY,
    'x'.repeat(1024),
    'é='.repeat(2500),
    '\u001b'.repeat(1500),
    '__proto__',
    'constructor',
  ),
);

const anyScalar: fc.Arbitrary<Scalar> = fc.oneof(
  nastyText,
  fc.boolean(),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.array(nastyText, { maxLength: 4 }),
);

/** What the schema lets a key hold, and now and then something else. */
function valueOf(row: (typeof KEYS)[number]): fc.Arbitrary<Scalar> {
  const own: fc.Arbitrary<Scalar> =
    'values' in row
      ? fc.constantFrom(...row.values)
      : {
          string: nastyText,
          int: fc.oneof(fc.nat(), fc.maxSafeInteger()),
          boolean: fc.boolean(),
          strings: fc.array(nastyText, { maxLength: 4 }),
        }[row.type];
  return fc.oneof({ weight: 9, arbitrary: own }, { weight: 1, arbitrary: anyScalar });
}

/** Set by who records, not by the drafts: what these hold makes a record one at all. */
const PLACED = new Set([
  'verdict.time',
  'verdict.stream.id',
  'verdict.stream.sequence',
  'verdict.stream.previous_hash',
]);

const fields = fc.record(
  Object.fromEntries(
    KEYS.filter((row) => !('bodyOnly' in row) && !PLACED.has(row.key)).map(
      (row) => [row.key, valueOf(row)] as const,
    ),
  ),
  { requiredKeys: [] },
);

const later = fc.dictionary(
  fc
    .oneof(fc.constantFrom('verdict.later', 'act', 'mcpVerdictCut', 'toString', '__proto__'), nastyText)
    .filter(
      // A body has one of each, and these are taken.
      (key) => !KEYS.some((row) => row.key === key.toWellFormed()),
    ),
  anyScalar,
  { maxKeys: 4 },
);

export const hostileRecord: fc.Arbitrary<FormattedRecord> = fc
  .record({
    eventName: fc.oneof({ weight: 9, arbitrary: fc.constantFrom<string>(...EVENT_NAMES) }, nastyText),
    severity: fc.constantFrom(0, 1, 9, 10, 13, 17, 21, 24),
    traced: fc.boolean(),
    fields,
    later,
  })
  .map(({ eventName, severity, traced, fields: known, later: unknown }) => {
    // A key that was left out is not there, rather than undefined.
    const attributes = { ...unknown, ...known } as Event;
    const [made] = chainOf([{ name: 'hostile', eventName, severity, attributes, traced }]);
    if (made === undefined) throw new Error('no record');
    return made.record;
  });
