import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_LOCK, type ToolLock } from '../../../src/proxy/pins/lock.ts';
import { lockChanges } from '../../../src/proxy/pins/lock-change.ts';
import { lockOf, pinned } from './definitions.ts';

const lines = (before: ToolLock, after: ToolLock): unknown =>
  lockChanges(before, after).map(({ server, tool, kind, difference }) => [
    kind,
    `${server}/${tool}`,
    ...difference,
  ]);

test('each tool that was added, removed or changed is told, by server and tool', () => {
  const before: ToolLock = new Map([
    ['b', new Map([['x', [pinned({ name: 'x' })]]])],
    [
      'a',
      new Map([
        ['z', [pinned({ name: 'z' })]],
        ['y', [pinned({ name: 'y' })]],
        ['same', [pinned({ name: 'same' })]],
      ]),
    ],
  ]);
  const after: ToolLock = new Map([
    [
      'a',
      new Map([
        ['y', [pinned({ name: 'y', title: 'Y' })]],
        ['same', [pinned({ name: 'same' })]],
        ['new', [pinned({ name: 'new' })]],
      ]),
    ],
  ]);
  assert.deepEqual(lines(before, after), [
    ['added', 'a/new', '/description: added "Reads a file."'],
    ['changed', 'a/y', '/title: added "Y"'],
    ['removed', 'a/z'],
    ['removed', 'b/x'],
  ]);
  assert.deepEqual(lines(before, before), []);
  assert.deepEqual(lines(NO_LOCK, NO_LOCK), []);
});

test('of several definitions each one that is new is told from the nearest before, and one that is gone', () => {
  const [one, other] = [pinned(), pinned({ title: 'Read', outputSchema: {} })];
  assert.deepEqual(lines(lockOf(one), lockOf(other, one)), [
    ['changed', 'files/read_file', '/outputSchema: added {}', '/title: added "Read"'],
  ]);
  assert.deepEqual(lines(lockOf(one, other), lockOf(one, pinned({ title: 'Read it', outputSchema: {} }))), [
    ['changed', 'files/read_file', '/title: "Read" -> "Read it"'],
  ]);
  assert.deepEqual(lines(lockOf(one, other), lockOf(one)), [
    ['changed', 'files/read_file', 'one of its 2 definitions is gone'],
  ]);
});
