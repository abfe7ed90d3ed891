import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { checkHeaders } from '../../../src/proxy/message/header-check.ts';
import { type Message, parseMessage } from '../../../src/proxy/message/message.ts';

const VERSION = '2026-07-28';
const MODERN = { _meta: { 'io.modelcontextprotocol/protocolVersion': VERSION } };

function message(members: object): Message {
  const result = parseMessage(Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...members })));
  assert.ok(result.ok);
  return result.message;
}

const request = (method: string, params: object = {}) => message({ id: 1, method, params });
const modern = (method: string, params: object = {}) => request(method, { ...params, ...MODERN });
const base64 = (text: string) => `=?base64?${Buffer.from(text).toString('base64')}?=`;

function check(headers: string, subject: Message): string {
  const raw = headers.split('; ').flatMap((header) => (header === '' ? [] : header.split(': ')));
  const result = checkHeaders(['Host', 'x', ...raw], subject);
  return result.ok ? 'ok' : result.header;
}

const toolCall = modern('tools/call', { name: 'echo' });
const ALL = `MCP-Protocol-Version: ${VERSION}; Mcp-Method: tools/call; Mcp-Name: echo`;

const CASES: readonly [why: string, headers: string, subject: Message, expected: string][] = [
  ['a modern call with all three', ALL, toolCall, 'ok'],
  ['names of headers in any case', ALL.replaceAll('Mcp-', 'mCP-'), toolCall, 'ok'],
  [
    'a modern call without a version',
    'Mcp-Method: tools/call; Mcp-Name: echo',
    toolCall,
    'MCP-Protocol-Version',
  ],
  [
    'a modern call without a method',
    `MCP-Protocol-Version: ${VERSION}; Mcp-Name: echo`,
    toolCall,
    'Mcp-Method',
  ],
  [
    'a modern call without a name',
    `MCP-Protocol-Version: ${VERSION}; Mcp-Method: tools/call`,
    toolCall,
    'Mcp-Name',
  ],
  ['another version', ALL.replace(VERSION, '2025-11-25'), toolCall, 'MCP-Protocol-Version'],
  ['another method', ALL.replace('tools/call', 'tools/list'), toolCall, 'Mcp-Method'],
  ['another case of the method', ALL.replace('tools/call', 'tools/Call'), toolCall, 'Mcp-Method'],
  ['another name', ALL.replace('echo', 'safe'), toolCall, 'Mcp-Name'],
  ['another case of the name', ALL.replace('echo', 'Echo'), toolCall, 'Mcp-Name'],
  ['two methods, equal', `${ALL}; mcp-method: tools/call`, toolCall, 'Mcp-Method'],
  ['two names', `${ALL}; Mcp-Name: echo`, toolCall, 'Mcp-Name'],
  ['two versions', `${ALL}; MCP-Protocol-Version: ${VERSION}`, toolCall, 'MCP-Protocol-Version'],
  ['a value that is the name of a header', `X-A: Mcp-Method; X-B: Mcp-Name; ${ALL}`, toolCall, 'ok'],
  ['a name in base64', ALL.replace('echo', base64('echo')), toolCall, 'ok'],
  ['another name in base64', ALL.replace('echo', base64('safe')), toolCall, 'Mcp-Name'],
  ['base64 with a stray character', ALL.replace('echo', '=?base64?ZWN!bw==?='), toolCall, 'Mcp-Name'],
  ['base64 without padding', ALL.replace('echo', '=?base64?ZWNobw?='), toolCall, 'Mcp-Name'],
  ['base64 of bytes that are not UTF-8', ALL.replace('echo', '=?base64?/w==?='), toolCall, 'Mcp-Name'],
  ['a sentinel that does not end', ALL.replace('echo', '=?base64?ZWNobw=='), toolCall, 'Mcp-Name'],
  [
    'a list needs no name',
    ALL.replace('call', 'list').replace('; Mcp-Name: echo', ''),
    modern('tools/list'),
    'ok',
  ],
  ['a name where the body has none', ALL.replace('call', 'list'), modern('tools/list'), 'Mcp-Name'],
  [
    'a resource by its uri',
    ALL.replace('tools/call', 'resources/read').replace('echo', 'f:///a'),
    modern('resources/read', { uri: 'f:///a' }),
    'ok',
  ],
  [
    'a resource by another uri',
    ALL.replace('tools/call', 'resources/read'),
    modern('resources/read', { uri: 'f:///a' }),
    'Mcp-Name',
  ],
  ['a task by its id', ALL.replace('tools/call', 'tasks/get'), modern('tasks/get', { taskId: 'echo' }), 'ok'],
  ['another task', ALL.replace('tools/call', 'tasks/get'), modern('tasks/get', { taskId: 't' }), 'Mcp-Name'],
  ['a legacy call without any', '', request('tools/call', { name: 'echo' }), 'ok'],
  [
    'a legacy call with the negotiated version',
    'MCP-Protocol-Version: 2025-11-25',
    request('tools/call', { name: 'echo' }),
    'ok',
  ],
  [
    'a legacy call under a modern header',
    `MCP-Protocol-Version: ${VERSION}`,
    request('tools/call', { name: 'echo' }),
    'MCP-Protocol-Version',
  ],
  [
    'a legacy call under a header of the future',
    'MCP-Protocol-Version: 2031-01-01',
    request('ping'),
    'MCP-Protocol-Version',
  ],
  [
    'a legacy call that names another method',
    'Mcp-Method: tools/list',
    request('tools/call', { name: 'echo' }),
    'Mcp-Method',
  ],
  [
    'a legacy call that names another tool',
    'Mcp-Name: safe',
    request('tools/call', { name: 'echo' }),
    'Mcp-Name',
  ],
  [
    'a notification of a modern client',
    `MCP-Protocol-Version: ${VERSION}`,
    message({ method: 'notifications/cancelled' }),
    'ok',
  ],
  [
    'a notification with the envelope alone',
    '',
    message({ method: 'notifications/cancelled', params: MODERN }),
    'ok',
  ],
  [
    'a notification that names another method',
    'Mcp-Method: ping',
    message({ method: 'notifications/cancelled' }),
    'Mcp-Method',
  ],
  [
    'a notification of another version',
    'MCP-Protocol-Version: 2025-11-25',
    message({ method: 'notifications/x', params: MODERN }),
    'MCP-Protocol-Version',
  ],
  ['a response', 'MCP-Protocol-Version: 2025-11-25', message({ id: 1, result: {} }), 'ok'],
  ['a response that names a method', 'Mcp-Method: tools/call', message({ id: 1, result: {} }), 'Mcp-Method'],
  ['a response that names a tool', 'Mcp-Name: echo', message({ id: 1, result: {} }), 'Mcp-Name'],
];

for (const [why, headers, subject, expected] of CASES) {
  test(`${why}: ${expected}`, () => assert.equal(check(headers, subject), expected));
}

test('a header that wants an envelope, over a body without one, is told from one that contradicts it', () => {
  const why = (version: string, subject: Message): unknown => {
    const result = checkHeaders(['MCP-Protocol-Version', version], subject);
    return result.ok ? 'ok' : result.why;
  };
  assert.equal(why(VERSION, request('tools/list')), 'no_envelope');
  assert.equal(why('2025-11-25', toolCall), 'mismatch');
});

test('any name in base64 agrees with itself and with no other', () => {
  const name = fc.string({ unit: 'grapheme' });
  fc.assert(
    fc.property(name, name, (one, other) => {
      const subject = modern('resources/read', { uri: one });
      const raw = (text: string) => [
        'mcp-protocol-version',
        VERSION,
        'mcp-method',
        'resources/read',
        'mcp-name',
        base64(text),
      ];
      assert.equal(checkHeaders(raw(one), subject).ok, true);
      assert.equal(checkHeaders(raw(other), subject).ok, one === other);
    }),
  );
});
