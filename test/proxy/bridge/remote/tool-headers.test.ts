/** Arguments that a tool wants repeated in the headers of its call (MCP 2026-07-28, x-mcp-header). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readHeaderSchema } from '../../../../src/proxy/bridge/remote/header-schema.ts';
import { ToolHeaders } from '../../../../src/proxy/bridge/remote/tool-headers.ts';
import { parseMessage, type Call } from '../../../../src/proxy/message/message.ts';

const marked = (name: unknown, type = 'string') => ({ type, 'x-mcp-header': name });
const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more });

describe('a definition that marks arguments', () => {
  test('names each by its path, at any depth', () => {
    const schema = object({
      region: marked('Region'),
      deep: object({ er: object({ 'a.b': marked('Deep', 'integer') }) }),
      flag: marked('flag', 'boolean'),
      plain: { type: 'string' },
    });
    assert.deepEqual(readHeaderSchema(schema), {
      ok: true,
      parameters: [
        { name: 'Region', path: ['region'] },
        { name: 'Deep', path: ['deep', 'er', 'a.b'] },
        { name: 'flag', path: ['flag'] },
      ],
    });
  });

  test('may name an argument after the mark itself, or hold it as a value', () => {
    const schema = object(
      { 'x-mcp-header': { type: 'string' } },
      { default: marked('No'), examples: [marked('No')], enum: [marked('No')] },
    );
    assert.deepEqual(readHeaderSchema(schema), { ok: true, parameters: [] });
  });

  const invalid: readonly (readonly [string, unknown, RegExp])[] = [
    ['marks itself', { ...object({}), 'x-mcp-header': 'A' }, /its schema/],
    ['has an empty mark', object({ a: marked('') }), /of a is no header name/],
    ['has a mark with a line end', object({ a: marked('A\r\nB') }), /no header name/],
    ['has a mark with a blank', object({ a: marked('A B') }), /no header name/],
    ['has a mark that is no text', object({ a: marked(1) }), /no header name/],
    ['marks a number', object({ a: marked('A', 'number') }), /of a is on no string, integer or boolean/],
    ['marks an object', object({ a: marked('A', 'object') }), /on no string/],
    ['marks an argument without a type', object({ a: { 'x-mcp-header': 'A' } }), /on no string/],
    ['marks one of several types', object({ a: { type: ['string'], 'x-mcp-header': 'A' } }), /on no string/],
    ['uses a name twice', object({ a: marked('A'), b: marked('a') }), /a stands twice/],
    ...['items', 'not', 'if', 'then', 'else', 'additionalProperties', 'contains', 'propertyNames'].map(
      (keyword) =>
        [`marks below ${keyword}`, object({ l: { [keyword]: marked('A') } }), /where no argument/] as const,
    ),
    ...['oneOf', 'anyOf', 'allOf', 'prefixItems', 'items'].map(
      (keyword) =>
        [
          `marks within ${keyword}`,
          object({}, { [keyword]: [{}, object({ a: marked('A') })] }),
          /where no/,
        ] as const,
    ),
    ...['$defs', 'definitions', 'patternProperties', 'dependentSchemas'].map(
      (keyword) =>
        [`marks in ${keyword}`, object({}, { [keyword]: { x: marked('A') } }), /where no argument/] as const,
    ),
  ];
  for (const [title, schema, detail] of invalid) {
    test(`is not valid where it ${title}`, () => {
      const read = readHeaderSchema(schema);
      assert.ok(!read.ok);
      assert.match(read.detail, detail);
    });
  }

  test('is not looked at deeper than any client would go', () => {
    let schema: unknown = marked('A');
    for (let level = 0; level < 100_000; level += 1) schema = object({ a: schema });
    assert.deepEqual(readHeaderSchema(schema), { ok: true, parameters: [] });
  });

  for (const nothing of [undefined, null, 1, 'x', [], object({ a: null })]) {
    test(`and one that is ${JSON.stringify(nothing)} marks nothing`, () => {
      assert.deepEqual(readHeaderSchema(nothing), { ok: true, parameters: [] });
    });
  }
});

const listed = (...tools: object[]) =>
  Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, result: { tools } }));
const tool = (name: string, properties: object) => ({ name, inputSchema: object(properties) });

function callOf(args: string, name = 'query'): Call {
  const text = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${name}","arguments":${args}}}`;
  const parsed = parseMessage(Buffer.from(text));
  assert.ok(parsed.ok && parsed.message.kind === 'request');
  return parsed.message.call;
}

function knowing(...tools: object[]): ToolHeaders {
  const headers = new ToolHeaders(10_000);
  assert.deepEqual(headers.learn(listed(...tools)), []);
  return headers;
}

describe('a call', () => {
  const headers = knowing(
    tool('query', {
      s: marked('S'),
      i: marked('I-x', 'integer'),
      b: marked('B', 'boolean'),
      o: object({ s: marked('Deep') }),
    }),
  );
  const calls: readonly (readonly [string, Record<string, string>])[] = [
    [
      '{"s":"us-west1","i":-7,"b":false}',
      { 'mcp-param-s': 'us-west1', 'mcp-param-i-x': '-7', 'mcp-param-b': 'false' },
    ],
    ['{"s":"a\\r\\nb: c"}', { 'mcp-param-s': '=?base64?YQ0KYjogYw==?=' }],
    ['{"s":"","o":{"s":"é"}}', { 'mcp-param-s': '=?base64??=', 'mcp-param-deep': '=?base64?w6k=?=' }],
    ['{"i":42.0}', { 'mcp-param-i-x': '42' }],
    ['{"i":9007199254740991}', { 'mcp-param-i-x': '9007199254740991' }],
    ['{"i":9007199254740993}', {}],
    ['{"i":1e400}', {}],
    ['{"s":null,"i":null,"b":null,"o":null}', {}],
    ['{"s":["x"],"o":"x"}', {}],
    ['{"__proto__":{"s":"x"}}', {}],
    ['{}', {}],
  ];
  for (const [args, expected] of calls) {
    test(`with ${args} has the headers ${JSON.stringify(expected)}`, () => {
      assert.deepEqual(headers.of(callOf(args)), { ok: true, headers: expected });
    });
  }

  test('of a tool that nobody has listed has none', () => {
    assert.deepEqual(headers.of(callOf('{"s":"x"}', 'other')), { ok: true, headers: {} });
  });

  test('without arguments has none', () => {
    const parsed = parseMessage(
      Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query"}}'),
    );
    assert.ok(parsed.ok && parsed.message.kind === 'request');
    assert.deepEqual(headers.of(parsed.message.call), { ok: true, headers: {} });
  });

  test('of a tool whose definition is not valid is not for HTTP, and says why; its neighbours are', () => {
    const known = new ToolHeaders(10_000);
    const faults = known.learn(
      listed(tool('bad', { a: marked('A', 'number') }), tool('good', { a: marked('A') })),
    );
    assert.deepEqual(faults, ['bad: x-mcp-header of a is on no string, integer or boolean']);
    assert.partialDeepStrictEqual(known.of(callOf('{"a":1}', 'bad')), { ok: false });
    assert.deepEqual(known.of(callOf('{"a":"1"}', 'good')), { ok: true, headers: { 'mcp-param-a': '1' } });
  });
});

describe('what is remembered of tools', () => {
  test('is what was listed last, also where nothing is marked any more', () => {
    const headers = knowing(tool('query', { a: marked('A') }), tool('other', { a: marked('A') }));
    headers.learn(listed(tool('query', { a: marked('B') })));
    assert.deepEqual(headers.of(callOf('{"a":"1"}')), { ok: true, headers: { 'mcp-param-b': '1' } });
    headers.learn(listed(tool('query', { a: { type: 'string' } })));
    assert.deepEqual(headers.of(callOf('{"a":"1"}')), { ok: true, headers: {} });
    assert.deepEqual(headers.of(callOf('{"a":"1"}', 'other')), { ok: true, headers: { 'mcp-param-a': '1' } });
  });

  test('has a bound in bytes: what was listed first goes first, and what is larger than all goes at once', () => {
    const headers = new ToolHeaders(150);
    for (const name of ['query', 'second', 'third']) headers.learn(listed(tool(name, { a: marked('A') })));
    assert.deepEqual(headers.of(callOf('{"a":"1"}')), { ok: true, headers: {} });
    assert.deepEqual(headers.of(callOf('{"a":"1"}', 'third')), { ok: true, headers: { 'mcp-param-a': '1' } });
    headers.learn(listed(tool('query', { ['a'.repeat(300)]: marked('A') })));
    assert.deepEqual(headers.of(callOf('{"a":"1"}', 'third')), { ok: true, headers: {} });
    headers.learn(listed(tool('query', { a: marked('A') })));
    assert.deepEqual(headers.of(callOf('{"a":"1"}')), { ok: true, headers: { 'mcp-param-a': '1' } });
  });

  for (const text of [
    '{"x-mcp-header":',
    '{"result":{"tools":"x-mcp-header"}}',
    '["x-mcp-header"]',
    '{"x-mcp-header":1}',
    'null',
  ]) {
    test(`does not change with ${text}`, () => {
      const headers = knowing(tool('query', { a: marked('A') }));
      assert.deepEqual(headers.learn(Buffer.from(text)), []);
      assert.deepEqual(headers.of(callOf('{"a":"1"}')), { ok: true, headers: { 'mcp-param-a': '1' } });
    });
  }

  test('passes over what is no tool', () => {
    const headers = new ToolHeaders(10_000);
    const tools = [null, 1, {}, { name: 1 }, tool('query', { a: marked('A') })] as object[];
    assert.deepEqual(headers.learn(listed(...tools)), []);
    assert.deepEqual(headers.of(callOf('{"a":"1"}')), { ok: true, headers: { 'mcp-param-a': '1' } });
  });
});

describe('the fields that came with a call', () => {
  const headers = knowing(
    tool('query', { s: marked('S'), i: marked('I', 'integer'), b: marked('B', 'boolean') }),
  );
  const CASES: readonly (readonly [
    what: string,
    args: string,
    fields: Record<string, string>,
    wrong?: string,
  ])[] = [
    ['say what the arguments do', '{"s":"x","i":42,"b":true}', { s: 'x', i: '42', b: 'true' }],
    ['say it wrapped as base64', '{"s":"ü"}', { s: '=?base64?w7w=?=' }],
    ['write a number otherwise', '{"i":42}', { i: '42.0' }],
    ['are none where there are no arguments', '{}', {}],
    ['are none for what is null', '{"s":null}', {}],
    ['are of other names', '{"x":"1"}', { x: '2', other: '1' }],
    ['say something else', '{"s":"x"}', { s: 'y' }, 'Mcp-Param-S'],
    ['say it in another case', '{"s":"x"}', { s: 'X' }, 'Mcp-Param-S'],
    ['say another number', '{"i":42}', { i: '43' }, 'Mcp-Param-I'],
    ['say a number as no client writes it', '{"i":42}', { i: '0x2a' }, 'Mcp-Param-I'],
    ['say a text that is the same number', '{"s":"42"}', { s: '42.0' }, 'Mcp-Param-S'],
    ['are wrapped and are no base64', '{"s":"x"}', { s: '=?base64?eA=?=' }, 'Mcp-Param-S'],
    ['are missing', '{"s":"x","b":false}', { s: 'x' }, 'Mcp-Param-B'],
    ['say what no argument does', '{}', { s: 'x' }, 'Mcp-Param-S'],
    ['say what is null', '{"s":null}', { s: 'null' }, 'Mcp-Param-S'],
  ];
  for (const [what, args, fields, wrong] of CASES) {
    test(`${what}: ${wrong ?? 'good'}`, () => {
      const named = Object.entries(fields).map(([name, value]) => [`mcp-param-${name}`, value]);
      assert.equal(headers.mismatch(callOf(args), Object.fromEntries(named)), wrong);
    });
  }

  test('are good whatever they say for a tool that is not known, or that nobody may call', () => {
    const fields = { 'mcp-param-a': 'x' };
    assert.equal(new ToolHeaders(10_000).mismatch(callOf('{}'), fields), undefined);
    const broken = new ToolHeaders(10_000);
    broken.learn(listed(tool('query', { a: marked('') })));
    assert.equal(broken.mismatch(callOf('{}'), fields), undefined);
  });
});
