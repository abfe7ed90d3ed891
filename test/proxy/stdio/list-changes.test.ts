/** A client over stdio hears when other policy may show it other lists. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerText, changingLists, listRequest } from '../../support/listing.ts';
import { bench, wire } from '../../support/stdio-bench.ts';
import { scriptedGate } from '../../support/stdio-fixtures.ts';

const word = (name: string, params?: object): string =>
  wire({ method: `notifications/${name}/list_changed`, params });

function opened() {
  const { lists, change } = changingLists();
  const b = bench(scriptedGate(() => true, lists));
  const changed = async (): Promise<string[]> => {
    const before = b.client.got.length;
    change();
    await b.relay.idle('to_client');
    return b.client.got.slice(before);
  };
  return { b, changed, change };
}

const listen = (id: string) => ({ id, method: 'subscriptions/listen', params: { notifications: {} } });
const acknowledged = (id: string, notifications: object) => ({
  method: 'notifications/subscriptions/acknowledged',
  params: { _meta: { 'io.modelcontextprotocol/subscriptionId': id }, notifications },
});
const tagged = (id: string) => ({ _meta: { 'io.modelcontextprotocol/subscriptionId': id } });

test('a client of older revisions is told, of each list that the server has, once it has begun', async () => {
  const { b, changed } = opened();
  await b.up(listRequest(1, 'initialize'));
  assert.deepEqual(await changed(), []);
  await b.down(answerText(1, '{"protocolVersion":"2025-11-25","capabilities":{"prompts":{}}}'));
  assert.match(b.client.got[0] ?? '', /"prompts":\{"listChanged":true\}/);
  assert.deepEqual(await changed(), [word('prompts')]);
  await b.up(listRequest(2));
  await b.down(answerText(2, '{"tools":[]}'));
  assert.deepEqual(await changed(), [word('prompts'), word('tools')]);
});

test('a client of 2026-07-28 is told on its subscriptions, of what they were acknowledged for, while they last', async () => {
  const { b, changed } = opened();
  await b.up(listRequest(1), listen('a'), listen('b'), listen('c'));
  await b.down(answerText(1, '{"tools":[]}'));
  assert.deepEqual(await changed(), []);
  await b.down(
    acknowledged('a', { toolsListChanged: true }),
    acknowledged('b', { toolsListChanged: true, resourcesListChanged: true }),
    acknowledged('unknown', { toolsListChanged: true }),
  );
  const all = [word('tools', tagged('a')), word('tools', tagged('b')), word('resources', tagged('b'))];
  assert.deepEqual(await changed(), all);
  await b.up({ method: 'notifications/cancelled', params: { requestId: 'b' } });
  assert.deepEqual(await changed(), all.slice(0, 1));
  await b.down({ id: 'a', result: {} });
  assert.deepEqual(await changed(), []);
});

test('a client that does not read is told once of many changes, and nothing after the end', async () => {
  const { b, change, changed } = opened();
  await b.up(listRequest(1, 'initialize'), listRequest(2));
  await b.down(answerText(1, '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}}}'));
  const gone = Promise.withResolvers<void>();
  b.client.hold = gone.promise;
  const read = b.down({ method: 'notifications/message', params: {} });
  for (let times = 0; times < 100; times += 1) change();
  gone.resolve();
  await read;
  await b.relay.idle('to_client');
  assert.deepEqual(b.client.got.filter((line) => line === word('tools')).length, 1);
  await b.relay.breakOff('over');
  assert.deepEqual(await changed(), []);
});
