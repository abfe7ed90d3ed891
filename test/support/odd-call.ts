/** Messages that every byte of must arrive. */
import * as fc from 'fast-check';

const number = fc.constantFrom('9007199254740993', '1.0', '-0', '1e400', '1E+2', '0.1e-7');
const text = fc.oneof(
  fc.string({ unit: 'grapheme' }).map((value) => JSON.stringify(value)),
  fc.constantFrom('"\\u0041\\/\\u00e9"', '"\\ud800"', '"\u2028"', '"\\u0000"'),
);

/**
 * A tools/call as odd as the grammar allows: spacing, escapes, numbers beyond doubles, members in any order.
 * @param space what may stand between two tokens
 */
export const oddCall = (space: RegExp): fc.Arbitrary<string> =>
  fc
    .record({
      gap: fc.stringMatching(space),
      id: fc.oneof(fc.integer().map(String), fc.constantFrom('9007199254740993', '"a\\u0062"')),
      values: fc.array(fc.oneof(number, text, fc.constantFrom('{}', '[ ]', 'null', 'true')), {
        maxLength: 5,
      }),
      order: fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }),
    })
    .map(({ gap, id, values, order }) => {
      const args = values.map((value, at) => `${gap}"k${at}"${gap}:${gap}${value}`).join(',');
      const members = [
        '"jsonrpc":"2.0"',
        `"id"${gap}:${gap}${id}`,
        `"method":${gap}"tools\\/call"`,
        `"params":${gap}{"arguments":{${args}}${gap},"name":"re\\u0061d"}`,
      ];
      return `${gap}{${gap}${order.map((at) => members[at]).join(`${gap},${gap}`)}${gap}}${gap}`;
    });
