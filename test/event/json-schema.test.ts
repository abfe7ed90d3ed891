import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { eventJsonSchema } from '../../src/event/json-schema.ts';
import { firstLink, stamp } from '../../src/event/stamp.ts';
import { EVENT_NAMES, KEYS } from '../../src/event/vocabulary.ts';
import { DECISION, LIFECYCLE, OUTCOME } from './sample.ts';

const STREAM = '5b1a4f0e-8f5e-4a9b-9d39-0d9c3a6a00ff';

/** Compares with the file in test/golden; with UPDATE_GOLDEN=1 it writes the file instead. */
function assertGolden(name: string, actual: string): void {
  const file = new URL(`../golden/${name}`, import.meta.url);
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, `${actual}\n`);
  assert.equal(`${actual}\n`, readFileSync(file, 'utf8'));
}

const validate = new Ajv2020({ strict: true, allErrors: true }).compile(eventJsonSchema());

/** The bodies of one stream: start, decision, outcome. */
function bodies(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  let link = firstLink(STREAM);
  for (const record of [LIFECYCLE, DECISION, OUTCOME]) {
    const { body, next } = stamp(link, record);
    found.set(record.name.replace('verdict.', ''), body);
    link = next;
  }
  return found;
}

test('the schema is the golden one: a change here is a change for everyone who reads records', () => {
  assertGolden('event.schema.json', JSON.stringify(eventJsonSchema(), undefined, 2));
});

for (const [name, body] of bodies()) {
  test(`the body of the sample ${name} is the golden one, byte for byte, and valid`, () => {
    assertGolden(`${name}.json`, body);
    assert.ok(validate(JSON.parse(body)), JSON.stringify(validate.errors));
  });
}

test('the schema says every key of the vocabulary, where it belongs', () => {
  const { $defs } = eventJsonSchema() as {
    $defs: Record<string, { properties: Record<string, unknown>; required: string[] }>;
  };
  for (const name of EVENT_NAMES) {
    const rows = KEYS.filter((row) => row.on === 'all' || row.on.some((on) => on === name));
    assert.deepEqual(
      Object.keys($defs[name]!.properties),
      rows.map((row) => row.key),
    );
  }
});

const decision = JSON.parse(bodies().get('decision') ?? '') as Record<string, unknown>;

test('a key that this release does not know is valid', () => {
  assert.ok(validate({ ...decision, 'verdict.later.key': { a: 1 } }));
});

const invalid: [name: string, body: unknown][] = [
  ['no object', []],
  ['an unknown event', { ...decision, 'event.name': 'verdict.other' }],
  ['no event name', { ...decision, 'event.name': undefined }],
  ['a decision without an effect', { ...decision, 'verdict.decision.effect': undefined }],
  ['an effect that there is not', { ...decision, 'verdict.decision.effect': 'maybe' }],
  ['an outcome without a decision', { ...decision, 'event.name': 'verdict.outcome' }],
  ['a text where a number belongs', { ...decision, 'server.port': '443' }],
  ['a number that is not exact', { ...decision, 'verdict.arguments.size': 2 ** 53 }],
  ['a list of numbers', { ...decision, 'user.roles': [1] }],
  ['a list that is too long', { ...decision, 'user.roles': Array.from({ length: 65 }, () => 'a') }],
  ['a string that is too long', { ...decision, 'user.id': 'a'.repeat(1025) }],
  ['arguments that are too long', { ...decision, 'gen_ai.tool.call.arguments': 'a'.repeat(16_385) }],
  ['a record without a stream', { ...decision, 'verdict.stream.id': undefined }],
];

for (const [name, body] of invalid) {
  test(`the schema refuses ${name}`, () => assert.equal(validate(JSON.parse(JSON.stringify(body))), false));
}
