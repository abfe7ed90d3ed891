import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LABEL_CHARS_MAX, LABELLED_MEMBERS_MAX, judgeLabels } from '../../src/event/labels.ts';
import type { Json } from '../../src/event/json.ts';

const cases: [object: Record<string, string>, member: string, judgement: string][] = [
  [{ name: 'DB_PASSWORD', value: 'x' }, 'value', 'secret'],
  [{ name: 'DB_PASSWORD', value: 'x' }, 'name', 'open'],
  [{ Name: 'DB_PASSWORD', Value: 'x' }, 'Value', 'secret'],
  [{ 'field-name': 'token', field_value: 'x' }, 'field_value', 'secret'],
  [{ name: 'token_id', value: 'x' }, 'value', 'about'],
  [{ name: 'city', value: 'x' }, 'value', 'open'],
  [{ element: 'Password field', text: 'x' }, 'text', 'secret'],
  [{ element: 'Password field', content: 'x' }, 'content', 'open'],
  [{ name: 'New password', value: 'x' }, 'value', 'secret'],
  [{ name: 'How to reset a password', content: 'x' }, 'content', 'open'],
  [{ key: 'New password', value: 'x' }, 'value', 'open'],
  [{ title: 'password', value: 'x' }, 'value', 'open'],
  [{ constructor: 'password', value: 'x' }, 'value', 'open'],
];
for (const [object, member, judgement] of cases) {
  test(`${member} of ${JSON.stringify(object)} is ${judgement}`, () => {
    assert.equal(judgeLabels(new Map<string, Json>(Object.entries(object)))(member), judgement);
  });
}

test('a label has 256 characters and a pair 32 members, and no more', () => {
  const label = (chars: number) => 'password'.padStart(chars, 'x-');
  const judged = (chars: number, members: number) => {
    const others = Array.from({ length: members - 2 }, (_, i) => [`m${i}`, 'x'] as const);
    return judgeLabels(new Map<string, Json>([['name', label(chars)], ['value', 'x'], ...others]))('value');
  };
  assert.equal(judged(LABEL_CHARS_MAX, LABELLED_MEMBERS_MAX), 'secret');
  assert.equal(judged(LABEL_CHARS_MAX + 1, 2), 'open');
  assert.equal(judged(8, LABELLED_MEMBERS_MAX + 1), 'open');
});
