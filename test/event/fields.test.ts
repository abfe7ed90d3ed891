import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toAttributes } from '../../src/event/fields.ts';
import type { Fields } from '../../src/event/vocabulary.ts';

/** What the types forbid but a caller may still hand over. */
const untyped = (fields: Record<string, unknown>): Fields => fields;

test('known fields of the right type pass', () => {
  const fields: Fields = {
    'gen_ai.tool.name': 'read_file',
    'verdict.decision.enforced': true,
    'server.port': 443,
    'user.roles': ['a', 'b'],
  };
  assert.deepEqual(toAttributes(fields), fields);
});

const dropped: [name: string, fields: Record<string, unknown>][] = [
  ['undefined', { 'user.id': undefined }],
  ['null', { 'user.id': null }],
  ['an unknown key', { 'verdict.unheard.of': 'x' }],
  ['an inherited name', { constructor: 'x', toString: 'y' }],
  ['an own __proto__', JSON.parse('{"__proto__": "x"}') as Record<string, unknown>],
  ['a key that only the body carries', { 'event.name': 'verdict.decision', trace_id: 'x' }],
  ['a number where a string belongs', { 'user.id': 7 }],
  ['a string where a number belongs', { 'server.port': '443' }],
  ['an object where a string belongs', { 'user.id': { toString: () => 'x' } }],
  ['a string where a list belongs', { 'user.roles': 'admin' }],
  ['an integer beyond the safe ones', { 'verdict.arguments.size': 2 ** 53 }],
  ['a fraction', { 'server.port': 1.5 }],
  ['NaN', { 'server.port': Number.NaN }],
  ['Infinity', { 'server.port': Number.POSITIVE_INFINITY }],
];

for (const [name, fields] of dropped) {
  test(`left out: ${name}`, () => assert.deepEqual(toAttributes(untyped(fields)), {}));
}

test('the largest safe integer passes, and -0 is 0', () => {
  const attributes = toAttributes({ 'verdict.arguments.size': Number.MAX_SAFE_INTEGER, 'server.port': -0 });
  assert.deepEqual(attributes, { 'verdict.arguments.size': Number.MAX_SAFE_INTEGER, 'server.port': 0 });
});

const caps: [key: string, bytesMax: number][] = [
  ['user.id', 1024],
  ['gen_ai.tool.name', 256],
  ['gen_ai.tool.call.arguments', 16_384],
];

for (const [key, bytesMax] of caps) {
  test(`${key} holds ${bytesMax} bytes and no more`, () => {
    const at = 'a'.repeat(bytesMax);
    assert.equal(toAttributes(untyped({ [key]: at }))[key], at);
    assert.equal(toAttributes(untyped({ [key]: `${at}a` }))[key], `${at.slice(3)}…`);
  });
}

test('a list holds 64 elements and no more, each cut and well-formed, strings only', () => {
  const roles = Array.from({ length: 64 }, (_, index) => String(index));
  assert.deepEqual(toAttributes({ 'user.roles': roles })['user.roles'], roles);
  assert.deepEqual(toAttributes({ 'user.roles': [...roles, 'more'] })['user.roles'], roles);
  const odd = untyped({ 'user.roles': ['\ud800', 7, null, 'a'.repeat(1_000_000)] });
  assert.deepEqual(toAttributes(odd)['user.roles'], ['\ufffd', `${'a'.repeat(1021)}…`]);
});
