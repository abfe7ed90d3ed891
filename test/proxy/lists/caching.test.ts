/** Who else may be given an answer that is no list (MCP 2026-07-28, caching): nobody, for policy may deny it to them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Asked, Origin } from '../../../src/proxy/gate.ts';
import { createLists } from '../../../src/proxy/lists/lists.ts';
import { NOW, policyOf, policyText } from '../../policy/support.ts';

const POLICY = policyOf(policyText('  - {id: a, effect: allow, tools: ["s/*"]}\n'));
const ORIGIN: Origin = {
  server: { name: 's' },
  transport: 'tcp',
  identity: { source: 'api_key', user: 'alice' },
  claimed: {},
};
const show = createLists({ policy: () => POLICY, now: () => NOW });
const modern = (method: string): Asked => ({ method, modern: true, protocolVersion: '2026-07-28' });
const READ = modern('resources/read');

/** @returns what the client gets, or why not; the very same bytes where nothing has changed */
function shown(text: string, asked: Asked | undefined = READ): string {
  const bytes = Buffer.from(text);
  const left = show(bytes, asked, ORIGIN);
  if (!left.ok) return `refused: ${left.code}`;
  assert.equal(left.bytes === bytes, Buffer.compare(left.bytes, bytes) === 0);
  return Buffer.from(left.bytes).toString();
}

const answer = (result: string): string => `{"jsonrpc":"2.0","id":1,"result":${result}}`;

describe('an answer that its server lets anybody have', () => {
  test('is for its caller alone, and every other byte stays: big integers, blanks, escapes', () => {
    const around = (scope: string): string =>
      `{ "jsonrpc" : "2.0",\r\n "id":9007199254740993, "result" :\t{"contents":[ {"uri":"a:b","text":"\\u0041\u2028","n":1.0} ] ,` +
      ` "cacheScope" : ${scope} , "ttlMs":9007199254740993, "_meta":{"n":-0, "big":12345678901234567890} } }`;
    for (const scope of ['"public"', '"pub\\u006cic"', '"everybody"', 'null', '["public"]', '{ "a" : 1 }']) {
      assert.equal(shown(around(scope)), around('"private"'), scope);
    }
    assert.equal(shown(around('"private"')), around('"private"'));
  });

  for (const method of [
    'tools/call',
    'prompts/get',
    'completion/complete',
    'tasks/result',
    'server/discover',
  ]) {
    test(`is so whatever was asked: ${method}`, () => {
      assert.equal(
        shown(answer('{"cacheScope":"public"}'), modern(method)),
        answer('{"cacheScope":"private"}'),
      );
    });
  }

  test('is so where nobody knows what was asked', () => {
    const bytes = Buffer.from(answer('{"contents":[],"cacheScope":"public"}'));
    const left = show(bytes, undefined, ORIGIN);
    assert.ok(left.ok);
    assert.equal(Buffer.from(left.bytes).toString(), answer('{"contents":[],"cacheScope":"private"}'));
  });

  test('is refused where two readers could find two scopes', () => {
    for (const result of [
      '{"cacheScope":"private","cacheScope":"public"}',
      '{"cacheScope":"private","CacheScope":"public"}',
    ]) {
      assert.equal(shown(answer(result)), 'refused: parse_duplicate_key', result);
    }
  });

  test('is left alone where what has that name is none of its own members, and where it is an error', () => {
    for (const text of [
      answer('{"content":[{"type":"text","text":"\\"cacheScope\\":\\"public\\""}]}'),
      answer('{"structuredContent":{"cacheScope":"public"},"_meta":{"cacheScope":"public"}}'),
      answer('{"contents":["cacheScope"]}'),
      '{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no","data":{"cacheScope":"public"}}}',
    ]) {
      assert.equal(shown(text), text);
    }
  });

  test('differs in its scope only: property', () => {
    const result = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 5 });
    const before = fc.constantFrom('public', 'private', 'x', 7, null);
    fc.assert(
      fc.property(result, before, fc.constantFrom(0, 1, 3), (members, cacheScope, indent) => {
        const value = { jsonrpc: '2.0', id: 1, result: { ...members, cacheScope } };
        const left = shown(JSON.stringify(value, null, indent));
        // Names that a lenient reader takes for one are refused.
        if (left.startsWith('refused')) return;
        const wanted = { ...value, result: { ...value.result, cacheScope: 'private' } };
        assert.equal(left, JSON.stringify(wanted, null, indent));
      }),
    );
  });
});
