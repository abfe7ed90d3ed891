import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bodyToLogRecord } from '../../src/event/log-record.ts';
import { firstLink, stamp } from '../../src/event/stamp.ts';
import { LIFECYCLE } from './sample.ts';

const { body, event } = stamp(firstLink('s'), LIFECYCLE);

const withMember = (member: string) => `${body.slice(0, -1)},${member}}`;

const future: [name: string, json: string, attribute: unknown][] = [
  ['a string', '"x"', 'x'],
  ['a fraction', '1.5', 1.5],
  ['a list of strings', '["a"]', ['a']],
  ['a list of numbers, as text', '[1,2]', '[1,2]'],
  ['an object, as text', '{"constructor":1}', '{"constructor":1}'],
  ['null, as text', 'null', 'null'],
  ['an integer that no exporter takes, as text', '18446744073709551616', '18446744073709552000'],
];

for (const [name, json, attribute] of future) {
  test(`a key of a later schema is kept: ${name}`, () => {
    const { attributes } = bodyToLogRecord(withMember(`"later.key":${json}`));
    assert.deepEqual(attributes, { ...event, 'later.key': attribute });
  });
}

const broken: [name: string, body: string, error: typeof TypeError | typeof SyntaxError][] = [
  ['nothing', '', SyntaxError],
  ['half a body', body.slice(0, 40), SyntaxError],
  ['a list', '[]', TypeError],
  ['null', 'null', TypeError],
  ['a string', '"x"', TypeError],
  ['an object without a name', '{}', TypeError],
  ['a body without a time', body.replace('verdict.time', 'verdict.when'), TypeError],
  ['a body with another time', body.replace(/\.\d{9}Z/, 'Z'), TypeError],
  ['a severity that is text', body.replace('"severity.number":9', '"severity.number":"9"'), TypeError],
];

for (const [name, text, error] of broken) {
  test(`not the body of a record: ${name}`, () => assert.throws(() => bodyToLogRecord(text), error));
}

test('a member called __proto__ is an attribute like any other', () => {
  const body =
    '{"__proto__":"p","event.name":"verdict.gap","severity.number":9,"verdict.time":"2026-11-22T09:00:00.000000001Z"}';
  const { attributes } = bodyToLogRecord(body);
  assert.deepEqual(Object.entries(attributes), [
    ['__proto__', 'p'],
    ['verdict.time', '2026-11-22T09:00:00.000000001Z'],
  ]);
  assert.equal(Object.getPrototypeOf(attributes), Object.prototype);
});
