import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JsonNumber } from '../../src/event/json.ts';
import type { Json } from '../../src/event/json.ts';
import { hmacKey } from '../../src/event/keyring.ts';
import { Pointers } from '../../src/event/pointers.ts';
import { describeArguments } from '../../src/event/redact.ts';
import { shrink } from '../../src/event/shrink.ts';

const MAX = 16_384;
const hmac = hmacKey(Buffer.alloc(32, 7));

function shrunk(args: ReadonlyMap<string, Json>): {
  args: Record<string, unknown>;
  bytes: number;
  cut: readonly string[];
} {
  const cut = new Pointers();
  const text = shrink(args, cut);
  return {
    args: JSON.parse(text) as Record<string, unknown>,
    bytes: Buffer.byteLength(text),
    cut: cut.list(),
  };
}

test('arguments of exactly the cap stay whole', () => {
  const fits = shrunk(new Map([['a', 'x'.repeat(MAX - 8)]]));
  assert.equal(fits.bytes, MAX);
  assert.deepEqual(fits.cut, []);
});

test('one byte over the cap cuts the long string and leaves the short one', () => {
  const { args, bytes, cut } = shrunk(
    new Map([
      ['a', 'x'.repeat(MAX - 15)],
      ['b', 'y'],
    ]),
  );
  assert.ok(bytes <= MAX);
  assert.equal(args['b'], 'y');
  assert.deepEqual(cut, ['/a']);
});

test('strings are cut no shorter than they must be', () => {
  const { args } = shrunk(new Map(Array.from({ length: 12 }, (_, i) => [`k${i}`, 'x'.repeat(4000)])));
  for (const value of Object.values(args)) assert.equal(Buffer.byteLength(String(value)), 1024);
});

test('bytes count, not characters, and not what JSON escapes', () => {
  for (const char of ['é', '😀', '\0', '"', '\\', '\u2028']) {
    const { bytes } = shrunk(
      new Map(Array.from({ length: 10 }, (_, i) => [`${char}${i}`, char.repeat(4000)])),
    );
    assert.ok(bytes <= MAX, char);
  }
});

test('of many small members as many are kept as fit, and the largest go first', () => {
  const members = Array.from({ length: 3000 }, (_, i): [string, Json] => [
    `key-${i}`,
    new JsonNumber(String(i)),
  ]);
  const { args, bytes, cut } = shrunk(new Map([...members, ['large', 'x'.repeat(60)]]));
  assert.ok(bytes <= MAX && bytes > MAX - 32, String(bytes));
  assert.equal(args['large'], undefined);
  assert.equal(args['key-0'], 0);
  assert.equal(cut[0], '/large');
  assert.equal(cut.at(-1), '');
});

test('a large object loses members, not its place', () => {
  const large = new Map(Array.from({ length: 3000 }, (_, i): [string, Json] => [`key-${i}`, null]));
  const { args, bytes, cut } = shrunk(
    new Map<string, Json>([
      ['o', large],
      ['path', '/srv'],
    ]),
  );
  assert.ok(bytes <= MAX && bytes > MAX - 64, String(bytes));
  assert.equal(args['path'], '/srv');
  assert.ok(cut.every((pointer) => pointer === '' || pointer.startsWith('/o/key-')));
});

test('a large list loses elements, and the rest keep their order', () => {
  const list = Array.from({ length: 9000 }, (_, i) => new JsonNumber(String(i)));
  const { args, bytes } = shrunk(
    new Map<string, Json>([
      ['l', [list]],
      ['path', '/srv'],
    ]),
  );
  assert.ok(bytes <= MAX);
  const kept = (args['l'] as number[][])[0] ?? [];
  assert.ok(kept.length > 1000);
  assert.deepEqual(
    kept.toSorted((a, b) => a - b),
    kept,
  );
});

const huge: [name: string, args: ReadonlyMap<string, Json>, shows: RegExp][] = [
  ['a string of 1 MB', new Map([['a', 'x'.repeat(1_000_000)]]), /^\{"a":"x{4093}…"\}$/],
  [
    'a number of a million digits',
    new Map([['a', new JsonNumber('7'.repeat(1_000_000))]]),
    /^\{"a":"7{61}…"\}$/,
  ],
  ['100,000 keys', new Map(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, 'v'])), /^\{"k\d+":"v",/],
  [
    '100,000 keys of an object',
    new Map([['o', new Map(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, null]))]]),
    /^\{"o":\{"k\d+":null,/,
  ],
  ['300,000 elements', new Map([['l', Array.from({ length: 300_000 }, () => true)]]), /^\{"l":\[true,/],
  [
    '1,000 strings of 9,000 characters',
    new Map(Array.from({ length: 1000 }, (_, i) => [`k${i}`, 'x'.repeat(9000)])),
    /^\{"k\d+":"x+…"/,
  ],
  ['a key of 1 MB', new Map([['k'.repeat(1_000_000), 'v']]), /^\{"k{253}…":"v"\}|\{\}$/],
  [
    'one small argument among a hundred huge ones',
    new Map([
      ...Array.from({ length: 100 }, (_, i): [string, Json] => [`k${i}`, 'x '.repeat(9000)]),
      ['path', '/srv'],
    ]),
    /"path":"\/srv"/,
  ],
];

for (const [name, args, shows] of huge) {
  test(`${name} make a small record that says that something is missing`, () => {
    const fields = describeArguments(args, { level: 'redacted', bytes: undefined, hmac });
    const text = fields['gen_ai.tool.call.arguments'] ?? '';
    assert.match(text, shows);
    assert.ok(Buffer.byteLength(text) <= MAX);
    assert.ok(Buffer.byteLength(JSON.stringify(fields)) <= 3 * MAX);
    if (!name.startsWith('a key')) assert.ok((fields['verdict.arguments.redacted'] ?? []).length > 0);
  });
}
