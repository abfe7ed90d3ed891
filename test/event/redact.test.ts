import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { canonicalJson } from '../../src/event/canonical.ts';
import { JsonNumber } from '../../src/event/json.ts';
import type { Json } from '../../src/event/json.ts';
import { hmacKey, keyedDigest } from '../../src/event/keyring.ts';
import {
  ARGUMENT_LEVELS,
  ARGUMENTS_LABEL,
  describeArguments,
  EMBEDDED_CHARS_MAX,
  SCAN_CHARS_MAX,
  WORK_CHARS_MAX,
} from '../../src/event/redact.ts';
import type { ArgumentLevel } from '../../src/event/redact.ts';
import { cutText } from '../../src/event/text.ts';
import { anyCharacter } from '../support/any-text.ts';
import { json } from './sample.ts';

const hmac = hmacKey(Buffer.alloc(32, 7));

function describe(value: unknown, level: ArgumentLevel = 'redacted') {
  return describeArguments(json(value) as ReadonlyMap<string, Json>, { level, bytes: 123, hmac });
}

function shown(value: unknown): { args: unknown; hidden: readonly string[] } {
  const fields = describe(value);
  return {
    args: JSON.parse(fields['gen_ai.tool.call.arguments'] ?? 'null'),
    hidden: fields['verdict.arguments.redacted'] ?? [],
  };
}

const SECRET = 'c4naryXq7Zp';

const JWT = `eyJ${'h'.repeat(20)}.eyJ${'p'.repeat(20)}.${'s'.repeat(20)}`;
const text = JSON.stringify;

test('without arguments there is nothing to say but the size', () => {
  assert.deepEqual(describeArguments(undefined, { level: 'redacted', bytes: undefined, hmac }), {});
  assert.deepEqual(describeArguments(undefined, { level: 'full', bytes: 0, hmac }), {
    'verdict.arguments.size': 0,
  });
});

test('each level says more than the one before', () => {
  const args = { path: '/srv/a', password: 'hunter2' };
  const digest = keyedDigest(hmac, ARGUMENTS_LABEL, '{"password":"hunter2","path":"/srv/a"}');
  const none = { 'verdict.arguments.size': 123, 'verdict.arguments.hmac': digest };
  const keys = { ...none, 'verdict.arguments.keys': ['path', 'password'] };
  assert.deepEqual(
    ARGUMENT_LEVELS.map((level) => describe(args, level)),
    [
      none,
      keys,
      {
        ...keys,
        'gen_ai.tool.call.arguments': '{"password":"[redacted]","path":"/srv/a"}',
        'verdict.arguments.redacted': ['/password'],
      },
      { ...keys, 'gen_ai.tool.call.arguments': '{"password":"hunter2","path":"/srv/a"}' },
    ],
  );
});

const cases: [name: string, args: unknown, expected: unknown, hidden: string[]][] = [
  ['no arguments', {}, {}, []],
  [
    'harmless values of all types',
    { a: [1, 'x', null, true], b: { c: {} } },
    { a: [1, 'x', null, true], b: { c: {} } },
    [],
  ],
  [
    'a secret in a nested object',
    { db: { password: 'x', host: 'h' } },
    { db: { password: '[redacted]', host: 'h' } },
    ['/db/password'],
  ],
  [
    'everything under a secret name',
    { credentials: { user: 'u' } },
    { credentials: '[redacted]' },
    ['/credentials'],
  ],
  ['a number under a secret name', { pin: 1234 }, { pin: '[redacted]' }, ['/pin']],
  [
    'not what cannot be a secret',
    { password: null, token: true, secret: '' },
    { password: null, token: true, secret: '' },
    [],
  ],
  [
    'a pointer with its special characters escaped',
    { 'a/b~c': { token: 'x' } },
    { 'a/b~c': { token: '[redacted]' } },
    ['/a~1b~0c/token'],
  ],
  ['a pattern inside a value', { q: `see ${JWT}.` }, { q: 'see [redacted:jwt]' }, ['/q']],
  ['an element of a list', { l: ['a', JWT] }, { l: ['a', '[redacted:jwt]'] }, ['/l/1']],
  ['a card as a number', { n: 4111111111111111 }, { n: '[redacted:card]' }, ['/n']],
  [
    'a card of 19 digits as a number',
    { n: new JsonNumber('6304000000000000000') },
    { n: '[redacted:card]' },
    ['/n'],
  ],
  ['a card as a fraction', { n: new JsonNumber('4111111111111111.0') }, { n: '[redacted:card]' }, ['/n']],
  [
    'a card with an exponent',
    { n: new JsonNumber('4.111111111111111e15') },
    { n: '[redacted:card]' },
    ['/n'],
  ],
  ['JSON in a string', { b: '{"a":1,"password":"x"}' }, { b: '{"a":1,"password":"[redacted]"}' }, ['/b']],
  [
    'a secret as a name in JSON in a string',
    { b: '{"AKIAIOSFODNN7EXAMPLE":1}' },
    { b: '{"[redacted:aws]":1}' },
    ['/b'],
  ],
  [
    'JSON in a string without secrets as it was written',
    { b: ' {"b": 1.0, "a": 2} ' },
    { b: ' {"b": 1.0, "a": 2} ' },
    [],
  ],
  [
    'JSON in a string in JSON',
    { b: text({ c: text({ d: text([{ token: 'x' }]) }) }) },
    { b: text({ c: text({ d: text([{ token: '[redacted]' }]) }) }) },
    ['/b'],
  ],
  [
    'a JSON string of a JSON string',
    { b: text(text({ token: 'x' })) },
    { b: text(text({ token: '[redacted]' })) },
    ['/b'],
  ],
  [
    'JSON in more strings than are followed',
    { b: [1, 2, 3, 4, 5].reduce((inner) => text([inner]), '[1]') },
    { b: text([text([text([text(['[redacted:json]'])])])]) },
    ['/b'],
  ],
  [
    'JSON in a string with a name twice',
    { b: '{"password":"x","password":null}' },
    { b: '[redacted:duplicate]' },
    ['/b'],
  ],
  [
    'JSON in a string that is nested too deep',
    { b: '['.repeat(65) + ']'.repeat(65) },
    { b: '[redacted:depth]' },
    ['/b'],
  ],
  ['broken JSON by its text', { b: '{"password":"x",}' }, { b: '{"password":"[redacted]",}' }, ['/b']],
  [
    'a number inside embedded JSON by its digits',
    { b: '{"n":4111111111111111}' },
    { b: '{"n":"[redacted:card]"}' },
    ['/b'],
  ],
  [
    'the value after a secret flag',
    { argv: ['tool', '--password', 'x', '-v'] },
    { argv: ['tool', '--password', '[redacted]', '-v'] },
    ['/argv/2'],
  ],
  [
    'a header as a pair',
    {
      h: [
        ['Accept', 'a'],
        ['Authorization', 'x'],
      ],
    },
    {
      h: [
        ['Accept', 'a'],
        ['Authorization', '[redacted]'],
      ],
    },
    ['/h/1/1'],
  ],
  [
    'a name and a value side by side',
    {
      env: [
        { name: 'DB_PASSWORD', value: 'x' },
        { name: 'A', value: 'y' },
      ],
    },
    {
      env: [
        { name: 'DB_PASSWORD', value: '[redacted]' },
        { name: 'A', value: 'y' },
      ],
    },
    ['/env/0/value'],
  ],
  [
    'a secret that is a name, in the value and in the pointer',
    { [JWT]: { token: 'x' } },
    { '[redacted:jwt]': { token: '[redacted]' } },
    ['/[redacted:jwt]/token'],
  ],
  [
    'the second of two names that look the same',
    { o: { [JWT]: 1, [`${JWT}x`]: 2 } },
    { o: { '[redacted:jwt]': 1 } },
    ['/o/[redacted:jwt]'],
  ],
  ['inherited names like others', { constructor: { toString: 'x' } }, { constructor: { toString: 'x' } }, []],
  ['1e400 and 2^53+1 as what they are', { n: [new JsonNumber('1e-400'), 2 ** 52] }, { n: [0, 2 ** 52] }, []],
  ['NUL, U+2028 and lone surrogates', { s: '\0\u2028\ud800' }, { s: '\0\u2028\ufffd' }, []],
];

for (const [name, args, expected, hidden] of cases) {
  test(`shown or hidden as it should be: ${name}`, () =>
    assert.deepEqual(shown(args), { args: expected, hidden }));
}

test('__proto__ is a name like others', () => {
  const args = new Map<string, Json>([['__proto__', new Map([['password', 'x']])]]);
  const fields = describe(args);
  assert.equal(fields['gen_ai.tool.call.arguments'], '{"__proto__":{"password":"[redacted]"}}');
  assert.deepEqual(fields['verdict.arguments.redacted'], ['/__proto__/password']);
});

test('numbers that no double holds are shown exactly', () => {
  const args = { a: new JsonNumber('9007199254740993'), b: new JsonNumber('1e400') };
  assert.equal(describe(args)['gen_ai.tool.call.arguments'], '{"a":9007199254740993,"b":1e400}');
});

test('the digest is over all arguments, whatever is shown', () => {
  const args = json({ a: 'x'.repeat(1_000_000), password: 'hunter2' });
  const digest = keyedDigest(hmac, ARGUMENTS_LABEL, canonicalJson(args));
  for (const level of ARGUMENT_LEVELS) assert.equal(describe(args, level)['verdict.arguments.hmac'], digest);
});

test('a value holds 4096 bytes and no more', () => {
  const at = 'a'.repeat(4096);
  assert.deepEqual(shown({ a: at }), { args: { a: at }, hidden: [] });
  assert.deepEqual(shown({ a: `${at}a` }), { args: { a: cutText(`${at}a`, 4096).text }, hidden: ['/a'] });
});

test('JSON in a string of 32,768 characters is looked into, and one character more is hidden', () => {
  const at = text({ token: 'x', zero: 'x'.repeat(EMBEDDED_CHARS_MAX - 23) });
  assert.equal(at.length, EMBEDDED_CHARS_MAX);
  assert.match(text(shown({ a: at })), /token\\":\\"\[redacted\]/);
  assert.deepEqual(shown({ a: `${at} ` }), { args: { a: '[redacted:json]' }, hidden: ['/a'] });
});

test('of more text than a call may cost, only the first is looked through, and the rest is said to be missing', () => {
  const values = (count: number) => Array.from({ length: count }, () => 'x'.repeat(9000));
  const { args, hidden } = shown({ list: values(1000) });
  assert.equal((args as { list: string[] }).list.length, Math.ceil(WORK_CHARS_MAX / (SCAN_CHARS_MAX + 16)));
  assert.ok(hidden.includes('/list'));
  assert.ok(!shown({ list: values(7) }).hidden.includes('/list'));
});

test('a name holds 256 bytes and no more', () => {
  const at = 'a'.repeat(256);
  assert.deepEqual(describe({ [at]: 1 })['verdict.arguments.keys'], [at]);
  assert.deepEqual(describe({ [`${at}a`]: 1 })['verdict.arguments.keys'], [`${'a'.repeat(253)}…`]);
});

test('64 names and 64 pointers are listed, and the last pointer says that there are more', () => {
  const tokens = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`token-${i}`, 'x']));
  const at = describe(tokens(63));
  assert.equal(at['verdict.arguments.redacted']?.length, 63);
  assert.ok(!at['verdict.arguments.redacted']?.includes(''));
  const over = describe(tokens(100));
  assert.equal(over['verdict.arguments.keys']?.length, 64);
  assert.equal(over['verdict.arguments.redacted']?.length, 64);
  assert.equal(over['verdict.arguments.redacted']?.at(-1), '');
});

test('a nesting of 10,000 levels is hidden below 64, in objects, lists and mixtures', () => {
  const nest = (wrap: (inner: Json) => Json): Json => {
    let value: Json = SECRET;
    for (let level = 0; level < 10_000; level += 1) value = wrap(value);
    return value;
  };
  for (const wrap of [(inner: Json) => [inner], (inner: Json) => new Map([['a', inner]])]) {
    const fields = describe(new Map([['deep', nest(wrap)]]));
    assert.match(fields['gen_ai.tool.call.arguments'] ?? '', /\[redacted:depth\]/);
    assert.match(fields['verdict.arguments.hmac'] ?? '', /^hmac-sha256:/);
  }
});

test('should anything fail, the size is said and no argument is', () => {
  class Broken extends Map<string, Json> {
    override get size(): number {
      throw new Error(SECRET);
    }
  }
  const args = new Broken([['password', SECRET]]);
  assert.deepEqual(describe(args), { 'verdict.arguments.size': 123, 'verdict.arguments.redacted': [''] });
});

test('the arguments that were handed over are not touched', () => {
  const args = json({ password: 'x', list: ['--token', 'y'], deep: { body: '{"token":"z"}' } });
  const before = canonicalJson(args);
  describe(args);
  assert.equal(canonicalJson(args), before);
});

const value = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(null, true, 0, 1e300, 4111111111111111, JWT),
    fc.string({ unit: anyCharacter, maxLength: 40 }),
    fc.string({ maxLength: 40 }).map((long) => long.repeat(200)),
    fc.json(),
    fc.array(tie('value'), { maxLength: 30 }),
    fc.dictionary(fc.string({ unit: anyCharacter }), tie('value'), { noNullPrototype: true }),
  ),
})).value;

test('whatever the arguments, what is shown is JSON within 16 KiB, and the fields are small and well-formed', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), value, { noNullPrototype: true }),
      fc.constantFrom(...ARGUMENT_LEVELS),
      (args, level) => {
        const fields = describe(args, level);
        const shownArgs = fields['gen_ai.tool.call.arguments'];
        assert.equal(shownArgs !== undefined, level === 'redacted' || level === 'full');
        if (shownArgs === undefined) return;
        assert.ok(Buffer.byteLength(shownArgs) <= 16_384);
        assert.ok(shownArgs.isWellFormed());
        JSON.parse(shownArgs);
        assert.ok(Buffer.byteLength(JSON.stringify(fields)) < 65_536);
      },
    ),
  );
});

test('where nothing is hidden, what is shown holds no secret, wherever one may stand', () => {
  const word = fc.oneof(fc.string(), fc.constantFrom(JWT, 'AKIAIOSFODNN7EXAMPLE', `token=${SECRET}`));
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      word,
      fc.integer(),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(word, tie('value'), { maxKeys: 3 }),
      tie('value').map((inner) => JSON.stringify(inner)),
    ),
  }));
  fc.assert(
    fc.property(fc.dictionary(word, value, { maxKeys: 4 }), (args) => {
      const fields = describe(args);
      const said = fields['gen_ai.tool.call.arguments'] ?? assert.fail('nothing is shown');
      for (const secret of [JWT, 'AKIAIOSFODNN7EXAMPLE', SECRET]) assert.ok(!said.includes(secret), said);
    }),
  );
});
