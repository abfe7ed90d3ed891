import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import {
  readRemote,
  TRACEPARENT_CHARS_MAX,
  TRACESTATE_CHARS_MAX,
  writeHeaders,
} from '../../src/telemetry/trace-context.ts';
import { anyCharacter } from '../support/any-text.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const GOOD = `00-${TRACE}-${SPAN}-01`;

describe('a traceparent from the other side', () => {
  for (const [traceparent, taken] of [
    [GOOD, true],
    [`00-${TRACE}-${SPAN}-00`, true],
    [`cc-${TRACE}-${SPAN}-01-what-comes-later`, true],
    [undefined, false],
    ['', false],
    [`00-${TRACE}-${SPAN}-01-more`, false],
    [`ff-${TRACE}-${SPAN}-01`, false],
    [`00-${TRACE.toUpperCase()}-${SPAN}-01`, false],
    [`00-${'0'.repeat(32)}-${SPAN}-01`, false],
    [`00-${TRACE}-${'0'.repeat(16)}-01`, false],
    [`00-${TRACE}-${SPAN}`, false],
    [`${GOOD}\r\nx-injected: 1`, false],
  ] as const) {
    test(`${JSON.stringify(traceparent)} is ${taken ? 'the parent' : 'ignored'}`, () => {
      assert.equal(readRemote({ traceparent })?.traceId, taken ? TRACE : undefined);
    });
  }

  test(`one of more than ${TRACEPARENT_CHARS_MAX} characters is ignored`, () => {
    const padded = (length: number) => `cc-${TRACE}-${SPAN}-01-`.padEnd(length, 'x');
    assert.ok(readRemote({ traceparent: padded(TRACEPARENT_CHARS_MAX) }));
    assert.equal(readRemote({ traceparent: padded(TRACEPARENT_CHARS_MAX + 1) }), undefined);
  });

  test('no text throws, and what is taken goes out well-formed', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.constant(GOOD)),
        fc.string({ unit: anyCharacter }),
        (traceparent, tracestate) => {
          const parent = readRemote({ traceparent, tracestate });
          if (parent === undefined) return;
          const out = writeHeaders(parent);
          assert.equal(out.traceparent, GOOD);
          assert.match(out.tracestate ?? '', /^[\x20-\x7e]*$/);
        },
      ),
    );
  });
});

describe('a tracestate from the other side', () => {
  const through = (tracestate: string): string | undefined => {
    const parent = readRemote({ traceparent: GOOD, tracestate });
    assert.ok(parent);
    return writeHeaders(parent).tracestate;
  };
  const member = (name: string, length: number): string => `${name}=${'x'.repeat(length - name.length - 1)}`;

  for (const [name, text, expected] of [
    ['is passed on in its order', 'a=1,b=2', 'a=1,b=2'],
    ['loses members that are malformed', 'a=1,,B\u0000=2,=3,c', 'a=1'],
    ['that is empty is left out', '', undefined],
    [
      'of 512 characters is kept whole',
      `${member('a', 256)},${member('b', 255)}`,
      `${member('a', 256)},${member('b', 255)}`,
    ],
    ['of more loses whole members', `${member('a', 256)},${member('b', 256)}`, member('a', 256)],
    [`of ${TRACESTATE_CHARS_MAX} characters is read`, `a=1,${member('b', TRACESTATE_CHARS_MAX - 4)}`, 'a=1'],
    [
      `of more than ${TRACESTATE_CHARS_MAX} characters is dropped`,
      `a=1,${member('b', TRACESTATE_CHARS_MAX - 3)}`,
      undefined,
    ],
  ] as const) {
    test(`one that ${name}`.replace('that of', 'of'), () => {
      assert.equal(through(text), expected);
    });
  }
});
