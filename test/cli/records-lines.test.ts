import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { splitDocument, splitLines } from '../../src/cli/records-lines.ts';

async function linesOf(chunks: readonly Uint8Array[], bytesMax?: number): Promise<(string | undefined)[]> {
  async function* source(): AsyncGenerator<Uint8Array> {
    yield* chunks;
  }
  const lines = [];
  for await (const line of splitLines(source(), bytesMax)) lines.push(line?.toString('utf8'));
  return lines;
}

test('property: however bytes are cut into chunks, the lines are the same', async () => {
  const text = fc
    .array(fc.stringMatching(/^[a-zé😀]{0,6}$/u), { maxLength: 8 })
    .map((lines) => lines.join('\n'));
  await fc.assert(
    fc.asyncProperty(text, fc.integer({ min: 1, max: 9 }), async (text, size) => {
      const bytes = Buffer.from(text);
      const chunks = [];
      for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
      const expected = text.split('\n');
      if (expected.at(-1) === '') expected.pop();
      assert.deepEqual(await linesOf(chunks), expected);
    }),
  );
});

test('a line of just the most bytes is handed out, one byte more is not, and what follows is', async () => {
  const chunks = ['aaa', 'aa\n', 'bbb', 'bbb\ncc', 'c\n', 'dddddddd'].map((text) => Buffer.from(text));
  assert.deepEqual(await linesOf(chunks, 5), ['aaaaa', undefined, 'ccc', undefined]);
});

test('zeros behind the last line are not kept', async () => {
  assert.deepEqual(await linesOf([Buffer.from('a\n'), Buffer.alloc(100), Buffer.alloc(100)], 50), ['a']);
});

for (const [name, text, values, rest] of [
  ['nothing', '', [], ''],
  ['one value', ' {"a":[1]} ', ['{"a":[1]}'], ''],
  ['two values', '{"a":1}\n[2]', ['{"a":1}', '[2]'], ''],
  ['brackets in strings', '{"a":"]}\\"{["}', ['{"a":"]}\\"{["}'], ''],
  ['one that breaks off', '{"a":1}{"b":', ['{"a":1}'], '{"b":'],
  ['one bracket too many', '{}}{}', ['{}', '}', '{}'], ''],
] as const) {
  test(`a document holds ${name}`, () => assert.deepEqual(splitDocument(text), { values, rest }));
}
