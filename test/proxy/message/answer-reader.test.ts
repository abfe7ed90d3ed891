import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { readAnswer } from '../../../src/proxy/message/answer-reader.ts';
import { parseMessage } from '../../../src/proxy/message/message.ts';
import { anyCharacter } from '../../support/any-text.ts';

const read = (text: string) => readAnswer(Buffer.from(text));
const ONE = { json: '1', text: '1' };

const RESPONSES: readonly [why: string, text: string, outcome: object][] = [
  ['a result', '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}', { status: 'ok' }],
  ['a result that is no object', '{"jsonrpc":"2.0","id":1,"result":null}', { status: 'ok' }],
  [
    'a tool error',
    '{"jsonrpc":"2.0","id":1,"result":{"isError":true}}',
    { status: 'tool_error', errorType: 'tool_error' },
  ],
  ['isError false', '{"jsonrpc":"2.0","id":1,"result":{"isError":false}}', { status: 'ok' }],
  ['isError as a text', '{"jsonrpc":"2.0","id":1,"result":{"isError":"true"}}', { status: 'ok' }],
  [
    'keys in two cases and twice inside the result',
    '{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"a":1,"A":2,"a":3}}}',
    { status: 'ok' },
  ],
  [
    'an error',
    '{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"m"}}',
    { status: 'rpc_error', errorType: '-32602', rpcCode: '-32602' },
  ],
  [
    'an error without a code',
    '{"jsonrpc":"2.0","id":1,"error":"boom"}',
    { status: 'rpc_error', errorType: '_OTHER' },
  ],
  ['an error null', '{"jsonrpc":"2.0","id":1,"error":null}', { status: 'rpc_error', errorType: '_OTHER' }],
  [
    'an error with a fraction as code',
    '{"jsonrpc":"2.0","id":1,"error":{"code":1.5}}',
    { status: 'rpc_error', errorType: '_OTHER' },
  ],
  ['an id with a fraction of zero', '{"jsonrpc":"2.0","id":1.0,"result":{}}', { status: 'ok' }],
  ['a byte order mark', '\ufeff{"jsonrpc":"2.0","id":1,"result":{}}', { status: 'ok' }],
  ['no jsonrpc', '{"id":1,"result":{}}', { status: 'ok' }],
];

for (const [why, text, outcome] of RESPONSES) {
  test(`a response with ${why} is read`, () => {
    assert.deepEqual(read(text), { kind: 'response', id: ONE, outcome });
  });
}

test('bytes that are not UTF-8 in a result do not stop it', () => {
  const bytes = Buffer.concat([Buffer.from('{"id":1,"result":"'), Buffer.of(0xff), Buffer.from('"}')]);
  assert.equal(readAnswer(bytes).kind, 'response');
});

test('an error may answer nobody, a result may not', () => {
  for (const id of ['', '"id":null,']) {
    const error = read(`{"jsonrpc":"2.0",${id}"error":{"code":-32700,"message":"m"}}`);
    assert.ok(error.kind === 'response' && error.id === null);
    assert.equal(read(`{"jsonrpc":"2.0",${id}"result":{}}`).kind, 'refused');
  }
});

const REFUSED: readonly [why: string, text: string, code: string][] = [
  ['nothing', '', 'parse_json'],
  ['HTML', '<html>', 'parse_json'],
  ['NaN', '{"id":1,"result":NaN}', 'parse_json'],
  ['a batch of responses', '[{"jsonrpc":"2.0","id":1,"result":{}}]', 'parse_batch'],
  ['a text', '"x"', 'parse_envelope'],
  ['null', 'null', 'parse_envelope'],
  [
    'Method, which some clients take for method',
    '{"jsonrpc":"2.0","id":1,"Method":"sampling/createMessage","result":{}}',
    'parse_envelope',
  ],
  [
    'method with a trailing NUL',
    '{"jsonrpc":"2.0","id":1,"method\\u0000":"x","result":{}}',
    'parse_envelope',
  ],
  ['__proto__', '{"jsonrpc":"2.0","id":1,"result":{},"__proto__":{"method":"x"}}', 'parse_envelope'],
  ['neither result nor error', '{"jsonrpc":"2.0","id":1}', 'parse_envelope'],
  ['result and error', '{"jsonrpc":"2.0","id":1,"result":{},"error":{}}', 'parse_envelope'],
  ['an id that is a list', '{"jsonrpc":"2.0","id":[],"result":{}}', 'parse_envelope'],
  ['an id that is a fraction', '{"jsonrpc":"2.0","id":1.5,"result":{}}', 'parse_envelope'],
  ['an id beyond all numbers', '{"jsonrpc":"2.0","id":1e400,"result":{}}', 'parse_envelope'],
  ['a method and a result', '{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}', 'parse_envelope'],
  [
    'a method twice',
    '{"jsonrpc":"2.0","id":1,"method":"ping","method":"sampling/createMessage"}',
    'parse_duplicate_key',
  ],
  [
    'a request whose params collide',
    '{"jsonrpc":"2.0","id":1,"method":"roots/list","params":{"a":1,"A":2}}',
    'parse_duplicate_key',
  ],
  ['a request behind a byte order mark', '\ufeff{"jsonrpc":"2.0","id":1,"method":"ping"}', 'parse_json'],
  ['a request with params null', '{"jsonrpc":"2.0","id":1,"method":"ping","params":null}', 'parse_params'],
];

for (const [why, text, code] of REFUSED) {
  test(`refuses ${why}`, () => {
    const answer = read(text);
    assert.equal(answer.kind === 'refused' ? answer.code : answer.kind, code);
  });
}

test('requests and notifications come out as a client’s would, limits included', () => {
  for (const text of [
    '{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{}}',
    '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}',
  ]) {
    const answer = read(text);
    const message = answer.kind === 'message' ? answer.message : undefined;
    const parsed = parseMessage(Buffer.from(text));
    assert.deepEqual(message, parsed.ok && parsed.message);
    assert.equal(readAnswer(Buffer.from(text), { bytesMax: text.length - 1 }).kind, 'refused');
  }
});

test('the id of an answer is the id of its request', () => {
  const ids = fc.oneof(
    fc.string({ unit: anyCharacter }),
    fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }),
    fc.constant(-0),
  );
  fc.assert(
    fc.property(ids, (id) => {
      const json = typeof id === 'string' ? JSON.stringify(id) : Object.is(id, -0) ? '-0' : String(id);
      const request = parseMessage(Buffer.from(`{"jsonrpc":"2.0","id":${json},"method":"ping"}`));
      assert.ok(request.ok && request.message.kind === 'request');
      const other = typeof id === 'bigint' ? id + 1n : 7n;
      const answer = read(`{"jsonrpc":"2.0","id":${json},"result":{"id":${other},"x":[{"id":${other}}]}}`);
      assert.deepEqual(answer.kind === 'response' && answer.id, request.message.id);
    }),
  );
});

test('a wide id in exponent form is the whole number it stands for', () => {
  const answer = read('{"jsonrpc":"2.0","id":1e20,"result":{}}');
  assert.equal(answer.kind === 'response' && answer.id?.json, '100000000000000000000');
});

test('nesting never throws, with a wide id neither', () => {
  for (const levels of [10_000, 100_000]) {
    for (const id of ['1', '9007199254740993']) {
      const answer = read(`{"id":${id},"result":${'['.repeat(levels)}${']'.repeat(levels)}}`);
      assert.ok(answer.kind === 'response' || answer.kind === 'refused');
    }
  }
});

test('whatever bytes come back, reading never throws', () => {
  const token = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"id"',
    '"result"',
    '"error"',
    '"method"',
    '"jsonrpc"',
    '"2.0"',
    '1',
    '1e99',
  );
  fc.assert(
    fc.property(fc.array(token), (tokens) => void read(tokens.join(''))),
    { numRuns: 1_000 },
  );
  fc.assert(fc.property(fc.uint8Array(), (bytes) => void readAnswer(bytes)));
});
