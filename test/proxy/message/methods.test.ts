import assert from 'node:assert/strict';
import test from 'node:test';
import { specTypeSchemas } from '@modelcontextprotocol/server';
import { isRemoved, lookupMethod, METHODS } from '../../../src/proxy/message/methods.ts';

/** The methods of all request and notification schemas that the SDK has, of both eras. */
function sdkMethods(): { method: string; kind: 'request' | 'notification' }[] {
  const found: { method: string; kind: 'request' | 'notification' }[] = [];
  for (const [name, schema] of Object.entries(specTypeSchemas)) {
    // The SDK hides that its schemas are Zod's, and so have a shape.
    const { shape } = schema as { shape?: { method?: { value?: unknown } } };
    const method = shape?.method?.value;
    if (typeof method !== 'string') continue;
    found.push({ method, kind: name.endsWith('Notification') ? 'notification' : 'request' });
  }
  return found;
}

test('every method that the SDK knows has a row', () => {
  const methods = sdkMethods();
  assert.ok(methods.length >= 30, `${methods.length} found`);
  for (const { method, kind } of methods) {
    const row = lookupMethod(method, kind, 'to_upstream') ?? lookupMethod(method, kind, 'to_client');
    assert.ok(row, `${kind} ${method}`);
  }
});

test('no method has two rows', () => {
  const keys = METHODS.map((row) => `${row.from} ${row.kind} ${row.method}`);
  assert.deepEqual(keys, [...new Set(keys)]);
});

test('only what is governed waits, and everything governed does', () => {
  for (const row of METHODS) assert.equal(row.record === 'wait', row.class === 'governed', row.method);
});

test('only a tool call is refused with a tool result', () => {
  const methods = METHODS.filter((row) => row.resultChannel === 'tool_result').map((row) => row.method);
  assert.deepEqual(methods, ['tools/call']);
});

test('unrecorded are ping, cancelled, progress and logging, and nothing else', () => {
  const methods = new Set(METHODS.filter((row) => row.record === 'none').map((row) => row.method));
  assert.deepEqual([...methods].sort(), [
    'logging/setLevel',
    'notifications/cancelled',
    'notifications/message',
    'notifications/progress',
    'ping',
  ]);
});

test('every request of a server but ping is governed', () => {
  for (const row of METHODS) {
    if (row.from !== 'server' || row.kind !== 'request') continue;
    assert.equal(row.class, row.method === 'ping' ? 'protocol' : 'governed', row.method);
  }
});

test('what carries data or acts is governed', () => {
  for (const method of [
    'tools/call',
    'prompts/get',
    'resources/read',
    'resources/subscribe',
    'resources/unsubscribe',
    'completion/complete',
    'subscriptions/listen',
    'tasks/get',
    'tasks/result',
    'tasks/list',
    'tasks/cancel',
    'tasks/update',
  ]) {
    assert.equal(lookupMethod(method, 'request', 'to_upstream')?.class, 'governed', method);
  }
});

test('2026-07-28 has no longer what it says it has removed', () => {
  const removed = METHODS.filter(({ method, from }) => from === 'client' && isRemoved(method));
  assert.deepEqual(removed.map(({ method }) => method).toSorted(), [
    'initialize',
    'logging/setLevel',
    'ping',
    'resources/subscribe',
    'resources/unsubscribe',
    'tasks/list',
    'tasks/result',
  ]);
});

const UNKNOWN = [
  ['tools/delete', 'request', 'to_upstream'],
  ['Tools/call', 'request', 'to_upstream'],
  ['tools/call ', 'request', 'to_upstream'],
  ['tools/call', 'notification', 'to_upstream'],
  ['tools/call', 'request', 'to_client'],
  ['initialize', 'notification', 'to_upstream'],
  ['notifications/initialized', 'request', 'to_upstream'],
  ['notifications/initialized', 'notification', 'to_client'],
  ['sampling/createMessage', 'request', 'to_upstream'],
  ['notifications/message', 'notification', 'to_upstream'],
  ['constructor', 'request', 'to_upstream'],
] as const;

for (const [method, kind, direction] of UNKNOWN) {
  test(`${JSON.stringify(method)} as a ${kind} ${direction} is unknown`, () => {
    assert.equal(lookupMethod(method, kind, direction), undefined);
  });
}
