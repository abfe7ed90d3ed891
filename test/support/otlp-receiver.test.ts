import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { startOtlpReceiver } from './otlp-receiver.ts';

const LOGS = {
  resourceLogs: [
    {
      resource: { attributes: [{ key: 'service.name', value: { stringValue: 'a' } }] },
      scopeLogs: [
        {
          scope: { name: 'mcp-verdict', version: '1' },
          schemaUrl: 'https://example/1',
          logRecords: [
            {
              timeUnixNano: '5',
              severityNumber: 9,
              eventName: 'verdict.decision',
              body: { stringValue: '{}' },
              attributes: [
                { key: 'text', value: { stringValue: '' } },
                { key: 'int', value: { intValue: '7' } },
                { key: 'flag', value: { boolValue: false } },
                { key: 'list', value: { arrayValue: { values: [{ stringValue: 'x' }] } } },
              ],
            },
          ],
        },
      ],
    },
  ],
};

test('a log record comes out flat, with its resource and scope', async (t) => {
  const receiver = await startOtlpReceiver();
  t.after(receiver.close);
  const response = await fetch(`${receiver.url}/v1/logs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    body: gzipSync(JSON.stringify(LOGS)),
  });
  assert.equal(response.status, 200);
  assert.equal(await response.text(), '{}');
  const [log] = receiver.logs();
  assert.deepEqual(log?.attributes, { text: '', int: 7, flag: false, list: ['x'] });
  assert.deepEqual(log?.resource, { 'service.name': 'a' });
  assert.deepEqual(log?.scope, { name: 'mcp-verdict', version: '1', schemaUrl: 'https://example/1' });
  assert.equal(log?.body, '{}');
});

test('an answer can be scripted by request', async (t) => {
  const receiver = await startOtlpReceiver();
  t.after(receiver.close);
  receiver.answerWith((_, index) =>
    index === 0 ? { status: 503, headers: { 'retry-after': '9' } } : { body: 'ok' },
  );
  const first = await fetch(receiver.url, { method: 'POST', body: 'raw' });
  assert.equal(first.status, 503);
  assert.equal(first.headers.get('retry-after'), '9');
  assert.equal(await (await fetch(receiver.url)).text(), 'ok');
  assert.equal(receiver.requests[0]?.body.toString(), 'raw');
});

test('a hanging answer ends when the receiver is closed', async () => {
  const receiver = await startOtlpReceiver();
  receiver.answerWith(() => ({ hang: true }));
  const asked = assert.rejects(fetch(receiver.url));
  await receiver.received(1);
  await receiver.close();
  await asked;
});
