import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Document, Scalar, type Scalar as ScalarNode } from 'yaml';
import { formatFault, readDocument } from '../src/document.ts';

const OPEN = { type: 'object' } as const;

const SHOP = {
  type: 'object',
  additionalProperties: false,
  required: ['name'],
  properties: {
    name: { type: 'string', minLength: 1 },
    colour: { enum: ['red', 'green'] },
    size: { type: 'integer', minimum: 1, maximum: 9 },
    tags: { type: 'array', minItems: 1, items: { type: 'string', pattern: '^[a-z]+$' } },
    open: { type: 'boolean' },
  },
} as const;

function faultsOf(text: string, schema: object = OPEN): string[] {
  const result = readDocument({ file: 'f.yaml', text, schema });
  return result.ok ? [] : result.faults.map(formatFault);
}

describe('what YAML itself makes wrong is told where it stands', () => {
  const cases: readonly (readonly [name: string, text: string, faults: readonly string[]])[] = [
    ['an empty file', '', ['f.yaml:1:1 the file is empty']],
    ['a file of comments', '# nothing\n', ['f.yaml:1:1 the file is empty']],
    ['an empty document', '---\n', ['f.yaml:1:1 the file is empty']],
    [
      'a tab as indentation',
      'a:\n\tb: 1\n',
      ['f.yaml:2:1 not valid YAML: Tabs are not allowed as indentation'],
    ],
    [
      'a key that stands twice',
      'a: 1\r\n"b c": 2\r\n"b c": 3\r\n',
      ['f.yaml:3:1 the key "b c" stands twice in one mapping'],
    ],
    ['a second document', 'a: 1\n---\nb: 2\n', ['f.yaml:2:1 only one YAML document may stand in a file']],
    ['a tag of somebody', 'a: !env HOME\n', ['f.yaml:1:4 the tag !env is not accepted']],
    ['a tag that YAML knows', 'a: !!set {b}\n', ['f.yaml:1:4 the tag tag:yaml.org,2002:set is not accepted']],
    [
      'an alias that names nothing',
      'a: 1\nb: *x\n',
      ['f.yaml:2:4 aliases are too many, name nothing, or contain themselves; write the value out'],
    ],
    [
      'an alias inside of what it names',
      'a: &a [1, *a]\n',
      ['f.yaml:1:11 aliases are too many, name nothing, or contain themselves; write the value out'],
    ],
    ['nesting without end', '['.repeat(5000), ['f.yaml:1:806 the file is nested too deeply']],
  ];
  for (const [name, text, faults] of cases) {
    test(name, () => {
      const found = faultsOf(text);
      if (name === 'nesting without end') assert.match(found[0] ?? '', /nested too deeply$/);
      else assert.deepEqual(found, faults);
    });
  }

  test('an alias bomb is refused, not unfolded', () => {
    const row = (name: string, of: string): string =>
      `${name}: &${name} [${Array(10).fill(of).join(', ')}]\n`;
    const text = row('a', 'x') + row('b', '*a') + row('c', '*b') + row('d', '*c') + row('e', '*d');
    assert.match(faultsOf(text)[0] ?? '', /aliases are too many/);
  });

  test('a merge key is a key like any other', () => {
    const result = readDocument({ file: 'f', text: 'a: &a {x: 1}\nb: {<<: *a}\n', schema: OPEN });
    assert.deepEqual(result.ok && result.value, { a: { x: 1 }, b: { '<<': { x: 1 } } });
  });

  test('words of YAML 1.1 stay strings, and __proto__ stays a key', () => {
    const result = readDocument({ file: 'f', text: '{a: no, b: on, __proto__: {c: 1}}', schema: OPEN });
    assert.ok(result.ok);
    assert.deepEqual(Object.entries(result.value as object), [
      ['a', 'no'],
      ['b', 'on'],
      ['__proto__', { c: 1 }],
    ]);
  });
});

describe('what the schema refuses is told in words', () => {
  const cases: readonly (readonly [text: string, faults: readonly string[]])[] = [
    ['colour: red\n', ['f.yaml:1:1 the key name is missing']],
    ['name: x\ncolor: red\n', ['f.yaml:2:1 unknown key color; did you mean colour?']],
    [
      'name: x\n__proto__: 1\n',
      ['f.yaml:2:1 unknown key __proto__; the keys here are name, colour, size, tags, open'],
    ],
    ['name: x\ncolour: blue\n', ['f.yaml:2:9 must be one of red, green']],
    ['name: x\ncolour: gren\n', ['f.yaml:2:9 must be one of red, green; did you mean green?']],
    [
      'name: 7\nsize: 1.5\n',
      [
        'f.yaml:1:7 must be a string, not a number: put it in quotes',
        'f.yaml:2:7 must be a whole number, not a number',
      ],
    ],
    ['name:\nsize: 10\n', ['f.yaml:1:6 must be a string, not empty', 'f.yaml:2:7 must be at most 9']],
    ['name: x\ntags: [a, B1]\n', ['f.yaml:2:11 must be of the form ^[a-z]+$']],
    [
      'name: x\ntags: []\nopen: yes\n',
      ['f.yaml:2:7 must not be empty', 'f.yaml:3:7 must be true or false, not a string'],
    ],
    ['[1, 2]', ['f.yaml:1:1 must be a mapping, not a list']],
    ['{"name": "x",\r\n  "size": 0}', ['f.yaml:2:11 must be at least 1']],
  ];
  for (const [text, faults] of cases) {
    test(JSON.stringify(text), () => {
      assert.deepEqual(faultsOf(text, SHOP), faults);
    });
  }

  test('a byte order mark and Windows line ends move no column', () => {
    assert.deepEqual(
      faultsOf('\uFEFFname: 1\r\nsize: x\r\n', SHOP).map((fault) => fault.split(' ')[0]),
      ['f.yaml:1:7', 'f.yaml:2:7'],
    );
  });
});

describe('values are found by pointer', () => {
  const text = 'a:\n  - b/c: one\n  - ~: two\nd: &x {e~f: 1}\ng: *x\nh:\n';
  const result = readDocument({ file: 'f', text, schema: OPEN });
  assert.ok(result.ok);
  const cases: readonly (readonly [string, number, number])[] = [
    ['', 1, 1],
    ['/a/0/b~1c', 2, 10],
    ['/a/1', 3, 5],
    ['/d/e~0f', 4, 13],
    ['/g/e~0f', 4, 13],
    ['/h', 6, 3],
    ['/a/7/x', 2, 3],
    ['/nowhere', 1, 1],
  ];
  for (const [pointer, line, column] of cases) {
    test(pointer === '' ? 'the document' : pointer, () => {
      assert.deepEqual(result.locate(pointer), { line, column });
    });
  }

  test('a key has a position of its own', () => {
    assert.deepEqual(result.locateKey('/d/e~0f'), { line: 4, column: 8 });
  });
});

describe('a character of a string is found in its source', () => {
  const words = fc
    .array(
      fc.constantFrom(
        'args',
        'é',
        '😀',
        "'",
        '"',
        '\\',
        '&&',
        ' ',
        '  ',
        '\n',
        '\n\n',
        '#',
        ': ',
        'x'.repeat(30),
      ),
      { maxLength: 20 },
    )
    .map((parts) => parts.join(''));
  for (const style of ['PLAIN', 'QUOTE_SINGLE', 'QUOTE_DOUBLE', 'BLOCK_LITERAL', 'BLOCK_FOLDED'] as const) {
    test(`whatever the string, in ${style}`, () => {
      fc.assert(
        fc.property(words, fc.boolean(), (value, windows) => {
          const document = new Document({ when: [{ deep: new Scalar(value) }] });
          const scalar = document.getIn(['when', 0, 'deep'], true) as ScalarNode;
          scalar.type = style;
          const written = document.toString({ lineWidth: 40 });
          const text = windows ? written.replaceAll('\n', '\r\n') : written;
          const result = readDocument({ file: 'f', text, schema: OPEN });
          assert.ok(result.ok, text);
          const read = (result.value as { when: [{ deep: string }] }).when[0].deep;
          const lines = text.split('\n');
          for (const { 0: unit, index: offset } of read.matchAll(/[a-zé&#:]/g)) {
            // Blanks fold, and what is escaped looks different in the source, so only these are looked for.
            const { line, column } = result.locate('/when/0/deep', offset);
            assert.equal(lines[line - 1]?.[column - 1], unit, `${JSON.stringify(text)} at ${offset}`);
          }
        }),
        { numRuns: 100 },
      );
    });
  }
});
