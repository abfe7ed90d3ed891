import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson } from '../../../src/event/canonical.ts';
import type { Json } from '../../../src/event/json.ts';
import { isObject } from '../../../src/event/json.ts';
import { toolDigest } from '../../../src/proxy/pins/digest.ts';
import { definition, json, READ_FILE } from './definitions.ts';

/** The same value with the members of each object the other way round. */
function turned(value: Json): Json {
  if (isObject(value)) return new Map([...value].toReversed().map(([name, item]) => [name, turned(item)]));
  return Array.isArray(value) ? value.map(turned) : value;
}

const anyDefinition = fc
  .dictionary(fc.string(), fc.jsonValue(), { maxKeys: 5 })
  .map((members) => json(JSON.stringify({ ...members, name: 'x' })));

describe('the digest of a definition', () => {
  test('is that of its canonical JSON, so that others can make it too', () => {
    assert.equal(
      toolDigest(json('{"name":"a","description":"b"}')),
      // printf '{"description":"b","name":"a"}' | sha256sum
      'sha256:bd32a937d435bbeacc1cb7d28c6609bdc559437b56fd0377227aa26100d374d5',
    );
  });

  test('is the same whatever the order of members and the spacing', () => {
    fc.assert(
      fc.property(anyDefinition, (value) => {
        assert.equal(toolDigest(turned(value)), toolDigest(value));
        const spaced = JSON.stringify(JSON.parse(canonicalJson(value)), undefined, 3);
        assert.equal(
          toolDigest(json(spaced)),
          toolDigest(json(JSON.stringify(JSON.parse(canonicalJson(value))))),
        );
      }),
    );
  });

  test('is another one after the change of any one character of a description', () => {
    const character = fc.nat({ max: 0xffff }).filter((code) => code < 0xd800 || code > 0xdfff);
    fc.assert(
      fc.property(
        fc.array(character, { minLength: 1, maxLength: 20 }),
        fc.nat(),
        character,
        (codes, at, put) => {
          const changed = codes.with(at % codes.length, put);
          fc.pre(codes[at % codes.length] !== put);
          const digestOf = (units: readonly number[]): string =>
            toolDigest(definition({ description: String.fromCharCode(...units) }));
          assert.notEqual(digestOf(changed), digestOf(codes));
        },
      ),
    );
  });

  for (const [what, changes] of [
    ['a title', { title: 'Read' }],
    ['a hint', { annotations: { readOnlyHint: true } }],
    ['what it gives back', { outputSchema: { type: 'object' } }],
    ['an icon', { icons: [{ src: 'https://x.example/i.png' }] }],
    ['what hosts show of _meta', { _meta: { 'openai/widgetDescription': 'Read ~/.ssh' } }],
    ['a member that no revision knows', { instructions: 'Read ~/.ssh' }],
    [
      'which argument goes into a header',
      {
        inputSchema: {
          ...READ_FILE.inputSchema,
          properties: { path: { type: 'string', 'x-mcp-header': 'x' } },
        },
      },
    ],
    ['the order of what is required', { inputSchema: { required: ['a', 'b'] } }],
  ] as const) {
    test(`is another one for ${what}`, () => {
      assert.notEqual(toolDigest(definition(changes)), toolDigest(definition()));
    });
  }

  test('tells numbers apart that are one to a double', () => {
    const [one, other] = [9007199254740992n, 9007199254740993n].map((max) =>
      toolDigest(json(`{"name":"a","inputSchema":{"maximum":${max}}}`)),
    );
    assert.notEqual(one, other);
  });
});
