/** One line for us is one line for whoever reads it after us, and what is refused leaves a full record. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { hasStrayReturn } from '../../../src/proxy/stdio/line-splitter.ts';
import { oddCall } from '../../support/odd-call.ts';
import { bench, wire } from '../../support/stdio-bench.ts';
import { call, scriptedGate } from '../../support/stdio-fixtures.ts';

const SMUGGLED = JSON.stringify({ jsonrpc: '2.0', ...call(2, 'delete_all') });
const WITHIN = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":\r${SMUGGLED}\r}}}`;

const FROM_CLIENT: readonly (readonly [string, string])[] = [
  ['a call within a call', WITHIN],
  ['a call within a notification', WITHIN.replace('"id":1,', '').replace('tools/call', 'notifications/x')],
  ['a call within a response', `{"jsonrpc":"2.0","id":1,"result":\r${SMUGGLED}\r}`],
  ['a return at the start of the line', `\r${SMUGGLED}`],
  ['two returns at its end', `${SMUGGLED}\r\r`],
];
for (const [what, line] of FROM_CLIENT) {
  test(`${what} between returns, from the client: refused and recorded, and the server sees nothing`, async () => {
    const gate = scriptedGate();
    const b = bench(gate);
    await b.down({ id: 1, method: 'roots/list' });
    gate.asked.length = 0;
    await b.up(line);
    assert.deepEqual(b.upstream.got, []);
    assert.deepEqual(gate.asked, []);
    assert.partialDeepStrictEqual(gate.rejected, [{ code: 'parse_json', direction: 'to_upstream' }]);
    assert.match(b.client.got.at(-1) ?? '', /"error"/);
  });
}

const ASK = '{"jsonrpc":"2.0","id":9,"method":"sampling/createMessage","params":{}}';
const FROM_SERVER: readonly (readonly [string, string])[] = [
  ['a request within an answer', `{"jsonrpc":"2.0","id":1,"result":\r${ASK}\r}`],
  [
    'a request within a notification',
    `{"jsonrpc":"2.0","method":"notifications/message","params":{"data":\r${ASK}\r}}`,
  ],
];
for (const [what, line] of FROM_SERVER) {
  test(`${what} between returns, from the server: dropped and recorded, and the client sees nothing`, async () => {
    const gate = scriptedGate();
    const b = bench(gate);
    await b.up(call(1, 'x'));
    await b.down(line);
    assert.deepEqual(b.client.got, []);
    assert.deepEqual(gate.settled, []);
    assert.partialDeepStrictEqual(gate.rejected, [{ code: 'parse_json', direction: 'to_client' }]);
  });
}

test('a return before the line feed, and separators of Unicode within strings, pass as they are', async () => {
  const b = bench(scriptedGate());
  const odd = `${JSON.stringify({ jsonrpc: '2.0', ...call(1, 'x', { v: 'a\u2028b\u2029c\u0085d' }) })}\r`;
  await b.up(odd);
  assert.deepEqual(b.upstream.got, [`${odd}\n`]);
});

test('no line that passes is two messages to a reader with universal newlines', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[\r{}a]{0,6}$/), (text) => {
      // What Python's TextIOWrapper and Node's readline do.
      const read = `${text}\n`.split(/\r\n|\r|\n/);
      assert.equal(hasStrayReturn(Buffer.from(text)), read.length > 2);
    }),
  );
});

test('a piece between two separators of str.splitlines holds no message, whatever stands in the strings', () => {
  const part = fc.constantFrom(
    '\u2028',
    '\u0085',
    '{',
    '}',
    '"',
    ':',
    ',',
    '"method"',
    '"jsonrpc":"2.0"',
    'a',
    '1',
  );
  const text = fc.array(part, { maxLength: 12 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.array(text, { maxLength: 4 }), fc.dictionary(text, text, { maxKeys: 3 }), (list, map) => {
      for (const piece of JSON.stringify([list, map, list])
        .split(/[\u0085\u2028\u2029]/)
        .slice(1)) {
        const value: unknown = parsed(piece);
        const found =
          typeof value === 'object' && value !== null && ('method' in value || 'jsonrpc' in value);
        assert.equal(found, false, piece);
      }
    }),
    { numRuns: 2_000 },
  );
});

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

test('a call with wrong params is recorded with its tool, its trace and its direction', async () => {
  const gate = scriptedGate();
  const b = bench(gate);
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
  const params = { name: 'drop', arguments: [], _meta: { traceparent } };
  await b.up({ id: 1, method: 'tools/call', params });
  assert.partialDeepStrictEqual(gate.rejected, [
    {
      code: 'parse_params',
      direction: 'to_upstream',
      message: { method: 'tools/call', call: { tool: 'drop', traceparent } },
    },
  ]);
});

test('a server that prints without end is told of once, and counted', async () => {
  const b = bench(scriptedGate());
  await b.up(call(1, 'x'));
  await b.down('one', 'two', 'three', '{"not":"a message"}', '{"not":"another"}');
  assert.equal(b.diagnostics.lines.length, 2);
  await b.relay.breakOff('gone');
  assert.deepEqual(
    b.diagnostics.lines.slice(2).map((line) => /repeated \d+ times?$/.exec(line)?.[0]),
    ['repeated 2 times', 'repeated 1 time'],
  );
  assert.equal(
    b.client.got.some((line) => line === wire('one')),
    false,
  );
});

test('a call arrives byte for byte, for any spacing, escapes, numbers and key order', async () => {
  await fc.assert(
    fc.asyncProperty(oddCall(/^[ \t]{0,3}$/), async (line) => {
      const b = bench(scriptedGate());
      await b.up(line);
      assert.deepEqual(b.upstream.got, [`${line}\n`]);
    }),
  );
});
