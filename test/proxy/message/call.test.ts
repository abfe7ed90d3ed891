import assert from 'node:assert/strict';
import test from 'node:test';
import { type Call, parseMessage } from '../../../src/proxy/message/message.ts';

function callOf(method: string, params: unknown): Call | string {
  const result = parseMessage(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })));
  if (!result.ok) return result.code;
  assert.ok(result.message.kind === 'request');
  return result.message.call;
}

/** Without what is undefined. */
function seen(call: Call | string): unknown {
  return typeof call === 'string' ? call : JSON.parse(JSON.stringify(call));
}

const VERSION = 'io.modelcontextprotocol/protocolVersion';
const CLIENT = 'io.modelcontextprotocol/clientInfo';

const WRONG: readonly [method: string, params: unknown][] = [
  ['tools/call', {}],
  ['tools/call', { name: 5 }],
  ['tools/call', { name: null }],
  ['tools/call', { name: ['a'] }],
  ['tools/call', { Name: 'a' }],
  ['tools/call', { name: '' }],
  ['tools/call', { name: 'a ' }],
  ['tools/call', { name: 'a\u200b' }],
  ['tools/call', { name: 'a\ud800' }],
  ['tools/call', { name: 'ａ' }],
  ['tools/call', { name: 'é'.repeat(257) }],
  ['tools/call', { name: 'a', Arguments: {} }],
  ['tools/call', { name: 'a', argumentſ: {} }],
  ['tools/call', { name: 'a', _META: {} }],
  ['tools/call', { name: 'a', _meta: { [VERSION.toUpperCase()]: '2026-07-28' } }],
  ['prompts/get', { name: 'p\n' }],
  ['completion/complete', { ref: { type: 'ref/prompt', name: 'p\u0000' }, argument: {} }],
  ['completion/complete', { ref: { type: 'ref/prompt', name: 'p', Uri: 'u' }, argument: {} }],
  ['made/up', { _Meta: {} }],
  ['tools/call', { name: 'a', arguments: [] }],
  ['tools/call', { name: 'a', arguments: null }],
  ['tools/call', { name: 'a', arguments: '{}' }],
  ['prompts/get', {}],
  ['prompts/get', { name: 'p', arguments: [] }],
  ['resources/read', {}],
  ['resources/read', { uri: 5 }],
  ['resources/subscribe', { uri: null }],
  ['resources/unsubscribe', { uri: {} }],
  ['completion/complete', { argument: {} }],
  ['completion/complete', { ref: 'ref/prompt', argument: {} }],
  ['completion/complete', { ref: { type: 'ref/prompt' }, argument: {} }],
  ['completion/complete', { ref: { type: 'ref/resource', name: 'x' }, argument: {} }],
  ['completion/complete', { ref: { type: 'ref/tool', name: 'x' }, argument: {} }],
  ['completion/complete', { ref: { type: 'ref/prompt', name: 'x' } }],
  ['tasks/get', {}],
  ['tasks/result', { taskId: 1 }],
  ['tasks/cancel', { taskId: null }],
  ['tasks/update', { taskId: [] }],
  ['initialize', { protocolVersion: 20251125 }],
  ['initialize', { clientInfo: 'me' }],
  ['ping', { _meta: [] }],
  ['ping', { _meta: null }],
  ['tools/list', { _meta: 'x' }],
  ['tools/list', { _meta: { [VERSION]: 1 } }],
  ['made/up', { _meta: 1 }],
];

for (const [method, params] of WRONG) {
  test(`refuses ${method} with ${JSON.stringify(params)}`, () => {
    assert.equal(callOf(method, params), 'parse_params');
  });
}

const READ: readonly [method: string, params: unknown, call: unknown][] = [
  ['tools/call', { name: 'a' }, { tool: 'a', modern: false }],
  [
    'tools/call',
    { name: 'a/b c', arguments: { x: 1 } },
    { tool: 'a/b c', args: {}, argsBytes: 7, modern: false },
  ],
  ['tools/call', { name: '検索 ツール' }, { tool: '検索 ツール', modern: false }],
  ['tools/call', { name: 'a', task: {}, Uri: 'x' }, { tool: 'a', modern: false }],
  ['prompts/get', { name: 'p', arguments: {} }, { prompt: 'p', args: {}, argsBytes: 2, modern: false }],
  ['resources/read', { uri: 'file:///a' }, { uri: 'file:///a', modern: false }],
  ['resources/subscribe', { uri: 'u' }, { uri: 'u', modern: false }],
  ['resources/unsubscribe', { uri: 'u' }, { uri: 'u', modern: false }],
  [
    'completion/complete',
    { ref: { type: 'ref/prompt', name: 'p' }, argument: {} },
    { prompt: 'p', modern: false },
  ],
  [
    'completion/complete',
    { ref: { type: 'ref/resource', uri: 'u' }, argument: {} },
    { uri: 'u', modern: false },
  ],
  ['tasks/get', { taskId: 't' }, { modern: false }],
  ['ping', undefined, { modern: false }],
  ['made/up', { name: 5, uri: [], arguments: 'x' }, { modern: false }],
  [
    'initialize',
    { protocolVersion: '2025-11-25', clientInfo: { name: 'c', version: '1' } },
    { protocolVersion: '2025-11-25', clientName: 'c', clientVersion: '1', modern: false },
  ],
  ['initialize', { clientInfo: { name: 5 } }, { modern: false }],
  ['tools/list', { protocolVersion: '2025-11-25', clientInfo: { name: 'c' } }, { modern: false }],
  [
    'initialize',
    { protocolVersion: '2025-11-25', clientInfo: { name: 'p' }, _meta: { [VERSION]: '2026-07-28' } },
    { protocolVersion: '2026-07-28', modern: true },
  ],
  [
    'tools/call',
    { name: 'a', _meta: { [VERSION]: '2026-07-28', [CLIENT]: { name: 'c', version: '2' } } },
    { tool: 'a', protocolVersion: '2026-07-28', modern: true, clientName: 'c', clientVersion: '2' },
  ],
  [
    'ping',
    { _meta: { traceparent: '00-x', tracestate: 'a=b' } },
    { traceparent: '00-x', tracestate: 'a=b', modern: false },
  ],
  ['ping', { _meta: { traceparent: 5, tracestate: {} } }, { modern: false }],
];

for (const [method, params, call] of READ) {
  test(`reads ${method} with ${JSON.stringify(params)}`, () => {
    assert.deepEqual(seen(callOf(method, params)), call);
  });
}
