/** A change of a golden file is a change for everyone who reads the format: UPDATE_GOLDEN=1 writes them. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { EVENT_NAMES } from '../../src/event/vocabulary.ts';
import { FORMATS } from '../../src/format/formats.ts';
import { RECORDS } from './samples.ts';

test('there is a sample of every kind of event', () => {
  const kinds = new Set(RECORDS.map(({ record }) => record.content.eventName));
  assert.deepEqual(
    EVENT_NAMES.filter((name) => !kinds.has(name)),
    [],
  );
});

for (const format of FORMATS) {
  const file = new URL(`../golden/records.${format.name}`, import.meta.url);
  const lines = RECORDS.map(({ record }) => format.encode(record));
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, `${lines.join('\n')}\n`);
  const golden = readFileSync(file, 'utf8').split('\n');

  for (const [index, { name }] of RECORDS.entries()) {
    test(`${format.name}: ${name} is the golden line`, () => assert.equal(lines[index], golden[index]));
  }

  test(`${format.name}: the golden file ends there`, () => {
    assert.deepEqual(golden.slice(RECORDS.length), ['']);
  });
}
