import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { modernHeaders, sessionHeaders } from '../../../../src/proxy/bridge/remote/message-headers.ts';
import { checkHeaders } from '../../../../src/proxy/message/header-check.ts';
import { METHODS } from '../../../../src/proxy/message/methods.ts';
import { type Message, parseMessage } from '../../../../src/proxy/message/message.ts';

const MODERN = METHODS.filter(
  ({ from, era, kind }) => from === 'client' && era !== 'legacy' && kind !== 'transport',
);

function message(method: string, params: object, id: number | undefined): Message | undefined {
  const _meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
  const text = JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta } });
  const parsed = parseMessage(Buffer.from(text));
  return parsed.ok ? parsed.message : undefined;
}

test('what is made of any message of 2026-07-28 passes the check of our own door, and node:http sends it', () => {
  const text = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom(' a', '=?base64?eA==?=', 'a\r\nb', 'é', ''),
  );
  fc.assert(
    fc.property(fc.constantFrom(...MODERN), text, ({ method, kind }, value) => {
      const subject = message(method, targetOf(method, value), kind === 'request' ? 1 : undefined);
      // Names that the parser refuses are nobody's to send.
      fc.pre(subject !== undefined && subject.kind !== 'response');
      const headers = Object.entries(modernHeaders(subject));
      assert.deepEqual(checkHeaders(headers.flat(), subject), { ok: true });
      for (const [field, sent] of headers) assert.match(`${field}${sent}`, /^[\t\x20-\x7e]+$/);
    }),
  );
});

function targetOf(method: string, value: string): object {
  if (method.startsWith('resources/')) return { uri: value };
  if (method.startsWith('tasks/')) return { taskId: value };
  if (method === 'completion/complete') return { ref: { type: 'ref/resource', uri: value }, argument: {} };
  return { name: value };
}

const NAMES: readonly (readonly [string, object, string | undefined])[] = [
  ['tools/call', { name: 'echo' }, 'echo'],
  ['prompts/get', { name: 'p' }, 'p'],
  ['resources/read', { uri: 'file:///é' }, '=?base64?ZmlsZTovLy/DqQ==?='],
  ['tasks/get', { taskId: 't' }, 't'],
  ['tasks/update', { taskId: 't', name: 'n' }, 't'],
  ['tasks/cancel', { taskId: 't' }, 't'],
  ['tools/list', { name: 'n' }, undefined],
  ['server/discover', {}, undefined],
  ['subscriptions/listen', { uri: 'x' }, undefined],
];
for (const [method, params, name] of NAMES) {
  test(`${method} is sent with its version, its method and ${name === undefined ? 'no name' : `the name ${name}`}`, () => {
    const subject = message(method, params, 1);
    assert.ok(subject !== undefined && subject.kind !== 'response');
    assert.deepEqual(modernHeaders(subject), {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(name === undefined ? {} : { 'mcp-name': name }),
    });
  });
}

test('a session is sent as far as it is known', () => {
  assert.deepEqual(sessionHeaders({ id: undefined, version: undefined }), {});
  assert.deepEqual(sessionHeaders({ id: 's', version: '2025-11-25' }), {
    'mcp-session-id': 's',
    'mcp-protocol-version': '2025-11-25',
  });
});
