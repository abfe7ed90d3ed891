import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRecent } from '../../src/spool/recent.ts';

test('so many entries are remembered, and for one more the oldest goes', () => {
  const recent = createRecent<number>(3);
  for (const value of [0, 1, 2]) recent.set(`k${value}`, value);
  assert.deepEqual([recent.get('k0'), recent.get('k1'), recent.get('k2')], [0, 1, 2]);
  recent.set('k3', 3);
  assert.deepEqual([recent.get('k0'), recent.get('k1'), recent.get('k3')], [undefined, 1, 3]);
});

test('what was deleted is gone, and makes room for nobody', () => {
  const recent = createRecent<number>(2);
  recent.set('a', 1);
  recent.set('b', 2);
  assert.equal(recent.delete('a'), true);
  assert.equal(recent.delete('a'), false);
  recent.set('c', 3);
  assert.deepEqual([recent.get('a'), recent.get('b'), recent.get('c')], [undefined, 2, 3]);
  recent.set('d', 4);
  assert.deepEqual([recent.get('b'), recent.get('c'), recent.get('d')], [undefined, 3, 4]);
});

test('with room for one, the last is remembered', () => {
  const recent = createRecent<number>(1);
  for (const value of [0, 1, 2]) recent.set(`k${value}`, value);
  assert.deepEqual([recent.get('k1'), recent.get('k2')], [undefined, 2]);
});
