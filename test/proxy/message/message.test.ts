import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import type { ErrorCode } from '../../../src/errors.ts';
import { JSON_DEPTH_MAX } from '../../../src/proxy/message/strict-json.ts';
import { MESSAGE_BYTES_MAX, METHOD_BYTES_MAX, parseMessage } from '../../../src/proxy/message/message.ts';

const parse = (text: string, limits = {}) => parseMessage(Buffer.from(text), limits);
const call = (params: string, rest = '') =>
  `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":${params}${rest}}`;

function refusal(bytes: Uint8Array): { code: ErrorCode | 'accepted'; id: string | undefined } {
  const result = parseMessage(bytes);
  return result.ok ? { code: 'accepted', id: undefined } : { code: result.code, id: result.id?.json };
}

/** Name, text or bytes, code, and the id that the answer may carry. */
const HOSTILE: readonly [why: string, input: string | readonly number[], code: ErrorCode, id?: string][] = [
  ['bytes that are not UTF-8', [0x22, 0xff, 0x22], 'parse_utf8'],
  ['an overlong encoding', [0x22, 0xc0, 0xaf, 0x22], 'parse_utf8'],
  ['an encoded surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22], 'parse_utf8'],
  ['a cut sequence', [0x22, 0xe2, 0x82], 'parse_utf8'],
  ['a byte order mark', '\ufeff{"jsonrpc":"2.0","id":1,"method":"ping"}', 'parse_json'],
  ['nothing', '', 'parse_json'],
  ['NaN', call('{"name":"a","arguments":{"x":NaN}}'), 'parse_json'],
  [
    'two messages',
    '{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}',
    'parse_json',
  ],
  ['a tool named twice', call('{"name":"safe","name":"danger"}'), 'parse_duplicate_key'],
  ['two ids', '{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', 'parse_duplicate_key'],
  ['Name beside name', call('{"name":"safe","Name":"danger"}'), 'parse_duplicate_key'],
  [
    'a method in two cases',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","Method":"ping"}',
    'parse_duplicate_key',
  ],
  ['params with a long s', call('{"name":"a"}', ',"param\u017f":{}'), 'parse_duplicate_key'],
  [
    'K as the Kelvin sign in arguments',
    call('{"name":"a","arguments":{"k":1,"\u212a":2}}'),
    'parse_duplicate_key',
  ],
  ['name with a trailing NUL', call('{"name":"a","name\\u0000":"b"}'), 'parse_duplicate_key'],
  [
    'path and Path in nested arguments',
    call('{"name":"a","arguments":{"o":[{"path":1,"Path":2}]}}'),
    'parse_duplicate_key',
  ],
  ['ten thousand levels', call(`{"name":"a","arguments":{"x":${'['.repeat(10_000)}`), 'parse_depth'],
  ['a batch', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', 'parse_batch'],
  ['an empty batch', '[]', 'parse_batch'],
  ['a string', '"ping"', 'parse_envelope'],
  ['null', 'null', 'parse_envelope'],
  ['no jsonrpc', '{"id":1,"method":"ping"}', 'parse_envelope', '1'],
  ['jsonrpc 1.0', '{"jsonrpc":"1.0","id":1,"method":"ping"}', 'parse_envelope', '1'],
  ['jsonrpc as a number', '{"jsonrpc":2.0,"id":1,"method":"ping"}', 'parse_envelope', '1'],
  ['an unknown member', '{"jsonrpc":"2.0","id":1,"method":"ping","extra":1}', 'parse_envelope', '1'],
  ['Method alone', '{"jsonrpc":"2.0","id":1,"Method":"ping"}', 'parse_envelope'],
  [
    'Params beside a method',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","Params":{"name":"a"}}',
    'parse_envelope',
    '1',
  ],
  ['__proto__ as a member', '{"jsonrpc":"2.0","id":1,"method":"ping","__proto__":{}}', 'parse_envelope', '1'],
  ['id null', '{"jsonrpc":"2.0","id":null,"method":"ping"}', 'parse_envelope'],
  ['a fractional id', '{"jsonrpc":"2.0","id":1.5,"method":"ping"}', 'parse_envelope'],
  ['an id with an exponent', '{"jsonrpc":"2.0","id":1e2,"method":"ping"}', 'parse_envelope'],
  ['a boolean id', '{"jsonrpc":"2.0","id":true,"method":"ping"}', 'parse_envelope'],
  ['an object as id', '{"jsonrpc":"2.0","id":{},"method":"ping"}', 'parse_envelope'],
  ['an empty method', '{"jsonrpc":"2.0","id":1,"method":""}', 'parse_envelope', '1'],
  ['a method that is a number', '{"jsonrpc":"2.0","id":1,"method":5}', 'parse_envelope', '1'],
  ['method null', '{"jsonrpc":"2.0","id":1,"method":null}', 'parse_envelope', '1'],
  ['a request with a result', '{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}', 'parse_envelope', '1'],
  ['a request with an error', '{"jsonrpc":"2.0","id":1,"method":"ping","error":null}', 'parse_envelope', '1'],
  ['params null', call('null'), 'parse_params', '7'],
  ['params as an array', call('["a"]'), 'parse_params', '7'],
  ['params as a string', call('"a"'), 'parse_params', '7'],
  [
    'params of a notification as an array',
    '{"jsonrpc":"2.0","method":"notifications/initialized","params":[]}',
    'parse_params',
  ],
  ['name as a number', call('{"name":5}'), 'parse_params', '7'],
  ['arguments as an array', call('{"name":"a","arguments":[]}'), 'parse_params', '7'],
  ['neither method nor result', '{"jsonrpc":"2.0","id":1}', 'parse_envelope'],
  [
    'result and error',
    '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"m"}}',
    'parse_envelope',
  ],
  ['a result with params', '{"jsonrpc":"2.0","id":1,"result":{},"params":{}}', 'parse_envelope'],
  ['a result without id', '{"jsonrpc":"2.0","result":{}}', 'parse_envelope'],
  ['a result with id null', '{"jsonrpc":"2.0","id":null,"result":{}}', 'parse_envelope'],
  [
    'an error with a fractional id',
    '{"jsonrpc":"2.0","id":0.5,"error":{"code":1,"message":"m"}}',
    'parse_envelope',
  ],
  ['an error that is a string', '{"jsonrpc":"2.0","id":1,"error":"no"}', 'parse_envelope'],
  [
    'an error with a text as code',
    '{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":"m"}}',
    'parse_envelope',
  ],
  [
    'an error with a fraction as code',
    '{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":"m"}}',
    'parse_envelope',
  ],
  ['an error without a message', '{"jsonrpc":"2.0","id":1,"error":{"code":1}}', 'parse_envelope'],
];

for (const [why, input, code, id] of HOSTILE) {
  test(`refuses ${why} as ${code}${id === undefined ? '' : ', with the id'}`, () => {
    const bytes = typeof input === 'string' ? Buffer.from(input) : Uint8Array.from(input);
    assert.deepEqual(refusal(bytes), { code, id });
  });
}

test('a request keeps its bytes, its numbers and its hostile keys', () => {
  const bytes = Buffer.from(
    ' {"params" : {"arguments":{"__proto__":1e400,"n":9007199254740993,"s":"\\ud800"}, "name":"é"},"method":"tools/call","id":-0,"jsonrpc":"2.0"}\r\n',
  );
  const result = parseMessage(bytes);
  assert.ok(result.ok && result.message.kind === 'request');
  const { message } = result;
  assert.equal(message.bytes, bytes);
  assert.deepEqual(message.id, { json: '0', text: '0' });
  assert.equal(message.call.tool, 'é');
  assert.deepEqual([...(message.call.args?.keys() ?? [])], ['__proto__', 'n', 's']);
});

test('the size of the arguments is counted in the bytes that were sent', () => {
  for (const args of ['{}', '{"a" : 1}', '{"é":"€\\u00e9"}', `{"s":"${'x'.repeat(1_000_000)}"}`]) {
    const result = parse(call(`{"é":{"y":{}},"name":"a","arguments": ${args} }`));
    assert.ok(result.ok && result.message.kind === 'request');
    assert.equal(result.message.call.argsBytes, Buffer.byteLength(args));
  }
});

test('ids are strings or integers of any width, and come back as they were written', () => {
  for (const [json, text] of [
    ['1', '1'],
    ['-5', '-5'],
    ['9007199254740993', '9007199254740993'],
    ['"a\\"b"', 'a"b'],
    ['""', ''],
  ]) {
    const result = parse(`{"jsonrpc":"2.0","id":${json},"method":"ping"}`);
    assert.ok(result.ok && result.message.kind === 'request');
    assert.deepEqual(result.message.id, { json, text });
  }
});

test('an id has one form however it was escaped', () => {
  const result = parse('{"jsonrpc":"2.0","id":"\\u0061\\/","method":"ping"}');
  assert.ok(result.ok && result.message.kind === 'request');
  assert.equal(result.message.id.json, '"a/"');
});

test('without an id it is a notification, and params may be missing', () => {
  const result = parse('{"jsonrpc":"2.0","method":"notifications/initialized"}');
  assert.ok(result.ok && result.message.kind === 'notification');
  assert.equal(result.message.params.size, 0);
});

test('responses are read, errors also with id null or without one', () => {
  for (const [text, id] of [
    ['{"jsonrpc":"2.0","id":1,"result":{}}', '1'],
    ['{"jsonrpc":"2.0","id":"x","error":{"code":-32600,"message":"m","data":[]}}', '"x"'],
    ['{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}', undefined],
    ['{"jsonrpc":"2.0","error":{"code":1,"message":"m"}}', undefined],
  ] as const) {
    const result = parse(text);
    assert.ok(result.ok && result.message.kind === 'response', text);
    assert.equal(result.message.id?.json, id);
  }
});

test('a method may have as many bytes as the limit says, and no more', () => {
  const text = (method: string) => `{"jsonrpc":"2.0","id":1,"method":"${method}"}`;
  assert.ok(parse(text('é'.repeat(METHOD_BYTES_MAX / 2))).ok);
  assert.ok(!parse(text(`${'é'.repeat(METHOD_BYTES_MAX / 2)}x`)).ok);
});

test('size is refused above the default and above an own limit, before anything is read', () => {
  const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
  assert.ok(parse(ping.padEnd(MESSAGE_BYTES_MAX.default)).ok);
  assert.deepEqual(parse(ping.padEnd(MESSAGE_BYTES_MAX.default + 1)), {
    ok: false,
    code: 'parse_size',
    details: { max: MESSAGE_BYTES_MAX.default },
    id: null,
  });
  assert.ok(parse(ping, { bytesMax: ping.length }).ok);
  assert.ok(!parse(ping, { bytesMax: ping.length - 1 }).ok);
});

test('a limit above its maximum counts as the maximum', () => {
  const result = parseMessage(new Uint8Array(MESSAGE_BYTES_MAX.maximum + 1), { bytesMax: Infinity });
  assert.ok(!result.ok && result.details['max'] === MESSAGE_BYTES_MAX.maximum);
});

test('the depth limit can be set', () => {
  const text = call(`{"name":"a","arguments":{"x":${'['.repeat(61)}${']'.repeat(61)}}}`);
  assert.ok(parse(text).ok, `${JSON_DEPTH_MAX.default} levels`);
  assert.ok(!parse(text, { depthMax: 63 }).ok);
});

test('whatever one byte is changed to, parsing never throws', () => {
  const bytes = Buffer.from(
    call('{"name":"é","arguments":{"a":[1,{"b":null}]},"_meta":{"traceparent":"00-a"}}'),
  );
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), fc.nat(bytes.length), (at, byte, end) => {
      const changed = Buffer.from(bytes);
      changed[at] = byte;
      parseMessage(changed);
      parseMessage(changed.subarray(0, end));
    }),
    { numRuns: 2_000 },
  );
});
