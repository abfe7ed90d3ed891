/** What a client may not use is in no list that reaches it over stdio. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ALL_TOOLS,
  answerText,
  DOUBLE_TOOLS,
  listRequest,
  SHOWN_TOOLS,
  LISTED,
} from '../../support/listing.ts';
import { bench, wire } from '../../support/stdio-bench.ts';
import { call, scriptedGate } from '../../support/stdio-fixtures.ts';

const open = (openMax?: number) =>
  bench(
    scriptedGate(() => true, LISTED),
    { openMax },
  );

test('a list loses what is denied, whatever else had its id', async () => {
  const b = open();
  await b.up(listRequest(1), call(2, 'read'));
  await b.down(answerText(2, ALL_TOOLS), answerText(1, ALL_TOOLS));
  assert.deepEqual(b.client.got, [`${answerText(2, SHOWN_TOOLS)}\n`, `${answerText(1, SHOWN_TOOLS)}\n`]);
});

test('an answer to a request that is not known any more is a list where it looks like one', async () => {
  const b = open(1);
  await b.up(listRequest(1), call(2, 'read'));
  await b.down(answerText(1, ALL_TOOLS), answerText(99, ALL_TOOLS));
  assert.deepEqual(b.client.got, [`${answerText(1, SHOWN_TOOLS)}\n`, `${answerText(99, SHOWN_TOOLS)}\n`]);
});

test('a list that readers could read differently is dropped, recorded, and answered with an error', async () => {
  const gate = scriptedGate(() => true, LISTED);
  const b = bench(gate);
  await b.up(listRequest(1));
  await b.down(answerText(1, DOUBLE_TOOLS), answerText(99, DOUBLE_TOOLS));
  assert.equal(b.client.got.length, 1);
  assert.match(b.client.got[0] ?? '', /^\{"jsonrpc":"2\.0","id":1,"error":\{"code":-31502,/);
  assert.deepEqual(
    gate.rejected.map(({ code, direction }) => [code, direction]),
    [
      ['parse_duplicate_key', 'to_client'],
      ['parse_duplicate_key', 'to_client'],
    ],
  );
  assert.deepEqual(gate.settled, ['1 transport_error parse_duplicate_key']);
});

test('a carriage return at the end of a line stays, whether or not something is cut from it', async () => {
  const b = open();
  await b.up(listRequest(1), listRequest(2));
  await b.down(`${answerText(1, ALL_TOOLS)}\r`, `${answerText(2, SHOWN_TOOLS)}\r`);
  assert.deepEqual(b.client.got, [
    `${answerText(1, SHOWN_TOOLS)}\r\n`,
    wire(`${answerText(2, SHOWN_TOOLS)}\r`),
  ]);
});
