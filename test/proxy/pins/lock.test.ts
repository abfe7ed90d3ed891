import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { formatFault } from '../../../src/document.ts';
import { toolDigest } from '../../../src/proxy/pins/digest.ts';
import {
  loadLock,
  LOCK_BYTES_MAX,
  LOCK_TOOLS_MAX,
  LOCK_VARIANTS_MAX,
  lockText,
  type PinnedTool,
  type ToolLock,
} from '../../../src/proxy/pins/lock.ts';
import { definition, json, lockOf, pinned } from './definitions.ts';

function loaded(text: string): ToolLock {
  const result = loadLock('tools.lock.json', text);
  assert.ok(result.ok, result.ok ? '' : result.faults.map(formatFault).join('\n'));
  return result.lock;
}

function faults(text: string): readonly string[] {
  const result = loadLock('tools.lock.json', text);
  return result.ok ? [] : result.faults.map(formatFault);
}

const digestsOf = (lock: ToolLock): unknown =>
  [...lock].map(([server, tools]) => [
    server,
    [...tools].map(([tool, variants]) => [tool, variants.map(({ digest }) => digest)]),
  ]);

describe('tools.lock.json', () => {
  test('is text that a person can review, in an order of its own', () => {
    assert.equal(
      lockText(lockOf(pinned({ description: 'Reads\u200b a "file".' }))).replace(
        /sha256:[0-9a-f]{64}/,
        'sha256:…',
      ),
      `{
  "apiVersion": "mcp-verdict/v1",
  "kind": "ToolsLock",
  "servers": {
    "files": {
      "read_file": [
        {
          "digest": "sha256:…",
          "definition": {
            "description": "Reads\\u200b a \\"file\\".",
            "inputSchema": {
              "properties": {
                "path": {
                  "type": "string",
                  "x-mcp-header": "path"
                }
              },
              "required": [
                "path"
              ],
              "type": "object"
            },
            "name": "read_file"
          }
        }
      ]
    }
  }
}
`,
    );
  });

  test('says after reading what was written, for any definitions under any names', () => {
    const name = fc.oneof(
      fc.string({
        unit: fc.constantFrom('a', 'A', '"', '\\', '/', '\u200b', '\u202e', '\n', 'é', '😀'),
        maxLength: 4,
      }),
      fc.constantFrom('__proto__', 'constructor', ''),
    );
    const variants = (tool: string): fc.Arbitrary<readonly PinnedTool[]> =>
      fc
        .array(fc.dictionary(name, fc.jsonValue({ maxDepth: 3 }), { maxKeys: 3 }), {
          minLength: 1,
          maxLength: 2,
        })
        .map((definitions) =>
          definitions.map((members) => {
            // As a parser makes it: a literal would set the prototype.
            const text = JSON.stringify({ ...members, name: tool });
            const value = json(text);
            return { digest: toolDigest(value), definition: value };
          }),
        );
    const tools = fc
      .uniqueArray(name, { maxLength: 3 })
      .chain((names) =>
        fc.tuple(...names.map((tool) => variants(tool).map((list) => [tool, list] as const))),
      );
    fc.assert(
      fc.property(tools, (entries) => {
        const lock: ToolLock = new Map([['a', new Map(entries)]]);
        const text = lockText(lock);
        const again = loaded(text);
        assert.equal(lockText(again), text);
        assert.equal(again.get('a')?.size, entries.length);
        assert.ok(/^[^\p{Cf}]*$/u.test(text));
      }),
      { numRuns: 40 },
    );
  });

  test('is the same text whatever order servers, tools and definitions come in', () => {
    const [one, other] = [pinned(), pinned({ title: 'Read' })];
    const text = lockText(
      new Map([
        ['b', new Map()],
        [
          'a',
          new Map([
            ['read_file', [one, other]],
            ['A', [pinned({ name: 'A' })]],
          ]),
        ],
      ]),
    );
    const turned = lockText(
      new Map([
        [
          'a',
          new Map([
            ['A', [pinned({ name: 'A' })]],
            ['read_file', [other, one]],
          ]),
        ],
        ['b', new Map()],
      ]),
    );
    assert.equal(turned, text);
    assert.deepEqual(digestsOf(loaded(turned)), digestsOf(loaded(text)));
  });

  test('keeps numbers that a double cannot hold', () => {
    const value = json('{"name":"read_file","max":9007199254740993,"min":1e400}');
    const text = lockText(lockOf({ digest: toolDigest(value), definition: value }));
    assert.match(text, /"max": 9007199254740993,\n\s+"min": 1e400,/);
    assert.equal(loaded(text).get('files')?.get('read_file')?.[0]?.digest, toolDigest(value));
  });

  test('may hold names that differ in case only', () => {
    const value = definition({ inputSchema: { properties: { Path: {}, path: {} } } });
    loaded(lockText(lockOf({ digest: toolDigest(value), definition: value })));
  });

  const good = lockText(lockOf(pinned()));
  const table: readonly (readonly [name: string, text: string, expected: readonly RegExp[]])[] = [
    ['nothing', '', [/:1:1 not valid JSON: it ends too early$/]],
    [
      'a conflict that git has left',
      good.replace('      "read', '<<<<<<< HEAD\n      "read'),
      [/:6:1 not valid JSON: unexpected/],
    ],
    ['a key twice', good.replace('"kind"', '"servers": {},\n  "kind"'), [/:1:1 .*servers stands twice/]],
    ['a list', '[]', [/apiVersion must be/, /kind must be/, /servers must be an object/]],
    ['another kind', good.replace('ToolsLock', 'Policy'), [/:1:1 kind must be ToolsLock$/]],
    ['an unknown key', good.replace('"kind"', '"extra": 1,\n  "kind"'), [/:1:1 unknown key extra$/]],
    [
      'tools that are none',
      good.replace(/"files": [^]*/, '"files": []}}'),
      [/:4:14 files must be an object/],
    ],
    [
      'a tool without a definition',
      good.replace(/"read_file": [^]*/, '"read_file": []}}}'),
      [/:6:20 files\/read_file must be a list of 1 to/],
    ],
    [
      'a tool that is none',
      good.replace(/"read_file": [^]*/, '"read_file": 1}}}'),
      [/:5:14 files\/read_file must/],
    ],
    [
      'an entry of another form',
      good.replace(/"digest": .*/, '"digest": 1,'),
      [/:7:9 must be an object of a/],
    ],
    ['an entry that is none', good.replace(/\{\s+"digest"[^]*/, '1]}}}'), [/:6:20 must be an object of a/]],
    ['a definition that was edited', good.replace('Reads', 'Writes'), [/:7:9 the digest is not that of/]],
    [
      'a tool under the name of another',
      good.replace('"read_file": [', '"write_file": ['),
      [/:7:9 the definition is not of the tool write_file$/],
    ],
  ];
  for (const [name, text, expected] of table) {
    test(`is refused for ${name}, with its place`, () => {
      const found = faults(text);
      assert.equal(found.length, expected.length, found.join('\n'));
      expected.forEach((pattern, index) => assert.match(found[index] ?? '', pattern));
    });
  }

  test('has limits: bytes, tools of a server, definitions of a tool', () => {
    const padded = (bytes: number): string => `${good}${' '.repeat(bytes - Buffer.byteLength(good))}`;
    loaded(padded(LOCK_BYTES_MAX));
    assert.match(faults(padded(LOCK_BYTES_MAX + 1))[0] ?? '', /larger than/);
    const variants = (count: number): ToolLock =>
      lockOf(...Array.from({ length: count }, (_, index) => pinned({ title: `${index}` })));
    loaded(lockText(variants(LOCK_VARIANTS_MAX)));
    assert.match(faults(lockText(variants(LOCK_VARIANTS_MAX + 1)))[0] ?? '', /1 to 8 definitions/);
    const tools = (count: number): ToolLock =>
      new Map([
        [
          'a',
          new Map(
            Array.from({ length: count }, (_, index) => [
              `t${index}`,
              [pinned({ name: `t${index}`, inputSchema: {} })],
            ]),
          ),
        ],
      ]);
    loaded(lockText(tools(LOCK_TOOLS_MAX)));
    assert.match(
      faults(lockText(tools(LOCK_TOOLS_MAX + 1)))[0] ?? '',
      /a must be an object of at most 1000 tools/,
    );
  });
});
