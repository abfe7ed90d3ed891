import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acknowledgedLists, changedMessage, createListChanges } from '../../../src/proxy/lists/changes.ts';
import { jsonArgs } from '../../policy/support.ts';

test('whoever listens hears of each change until it leaves, and of nothing that is the same as before', () => {
  const version: unknown[] = ['digest', 1];
  const changes = createListChanges(() => [...version]);
  let heard = 0;
  const hear = (): void => void (heard += 1);
  const leave = [changes.subscribe(hear), changes.subscribe(hear)] as const;
  changes.check();
  assert.equal(heard, 0);
  version[1] = 2;
  changes.check();
  changes.check();
  assert.equal(heard, 2);
  leave[0]();
  version.push('more');
  changes.check();
  assert.equal(heard, 3);
  leave[1]();
  version[0] = 'other';
  changes.check();
  assert.equal(heard, 3);
});

test('the word is a notification, which names its subscription where there is one', () => {
  assert.deepEqual(JSON.parse(changedMessage('tools')), {
    jsonrpc: '2.0',
    method: 'notifications/tools/list_changed',
  });
  const id = { json: '"listen:\\"1"', text: 'listen:"1' };
  assert.deepEqual(JSON.parse(changedMessage('resources', id)), {
    jsonrpc: '2.0',
    method: 'notifications/resources/list_changed',
    params: { _meta: { 'io.modelcontextprotocol/subscriptionId': 'listen:"1' } },
  });
});

test('a client has subscribed to what was acknowledged, and to no other list', () => {
  const lists = (text: string): readonly string[] => [...acknowledgedLists(jsonArgs(text))];
  assert.deepEqual(lists('{"notifications":{"toolsListChanged":true,"promptsListChanged":false}}'), [
    'tools',
  ]);
  assert.deepEqual(lists('{"notifications":{"resourcesListChanged":true,"resourceSubscriptions":["x"]}}'), [
    'resources',
  ]);
  for (const none of ['{}', '{"notifications":[]}', '{"notifications":{"toolsListChanged":"true"}}']) {
    assert.deepEqual(lists(none), []);
  }
});
