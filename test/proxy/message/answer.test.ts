import assert from 'node:assert/strict';
import test from 'node:test';
import { isCallToolResult, isJSONRPCErrorResponse } from '@modelcontextprotocol/server';
import * as fc from 'fast-check';
import { ERRORS, type ErrorCode } from '../../../src/errors.ts';
import { errorAnswer, toolDenial } from '../../../src/proxy/message/answer.ts';
import { idOf, parseMessage } from '../../../src/proxy/message/message.ts';

const NOTE = { uid: '0198', effect: 'deny', reason: 'rule' } as const;
const ID = { json: '9007199254740993', text: '9007199254740993' };

const read = (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString());

test('a denial is a tool result that says so to people and to programs', () => {
  const answer = read(toolDenial({ json: '"a"', text: 'a' }, 'No refunds over 500.', NOTE, false));
  assert.deepEqual(answer, {
    jsonrpc: '2.0',
    id: 'a',
    result: {
      content: [{ type: 'text', text: 'No refunds over 500.' }],
      isError: true,
      _meta: { 'io.github.mcp-verdict/decision': { uid: '0198', effect: 'deny', reason: 'rule' } },
    },
  });
  assert.ok(isCallToolResult(answer.result));
});

test('a denial in the new revision is complete', () => {
  assert.equal(read(toolDenial(ID, '', NOTE, true)).result.resultType, 'complete');
});

test('only the three members of a decision get out', () => {
  const note = { ...NOTE, ruleId: 'internal' };
  assert.ok(!Buffer.from(toolDenial(ID, '', note, false)).includes('internal'));
});

test('the id goes back as it was written', () => {
  const start = `{"jsonrpc":"2.0","id":${ID.json},`;
  assert.ok(
    Buffer.from(toolDenial(ID, 't', NOTE, false))
      .toString()
      .startsWith(start),
  );
  assert.ok(
    Buffer.from(errorAnswer(ID, 'shutdown', {}))
      .toString()
      .startsWith(start),
  );
});

test('an error carries its code, its sentence and its data', () => {
  const answer = read(errorAnswer(null, 'parse_depth', { max: 64 }, { uid: 'u' }));
  assert.deepEqual(answer, {
    jsonrpc: '2.0',
    id: null,
    error: { code: -32600, message: 'The message is nested deeper than 64 levels.', data: { uid: 'u' } },
  });
});

test('an error without data has no such member', () => {
  assert.ok(!('data' in read(errorAnswer(ID, 'shutdown', {})).error));
});

test('every error of the table makes an answer that the SDK can read', () => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const answer = read(errorAnswer({ json: '1', text: '1' }, code, { detail: 'd', method: 'm' }));
    assert.ok(isJSONRPCErrorResponse(answer), code);
  }
});

test('whatever the texts hold, the answer is one line of strict JSON and well-formed', () => {
  const text = fc.string({
    unit: fc.constantFrom('a', '"', '\\', '\n', '\0', '\u2028', '\ud800', '\udc00', '😀'),
  });
  fc.assert(
    fc.property(text, text, (one, id) => {
      for (const bytes of [
        toolDenial({ json: JSON.stringify(id), text: id }, one, NOTE, true),
        errorAnswer({ json: JSON.stringify(id), text: id }, 'denied', { detail: one }),
      ]) {
        const result = parseMessage(bytes);
        assert.ok(result.ok && result.message.kind === 'response');
        assert.deepEqual(result.message.id, idOf(id));
        assert.ok(!bytes.includes(10));
        const { result: denial, error } = read(bytes);
        assert.equal(denial?.content[0].text ?? error.message, one.toWellFormed());
      }
    }),
  );
});
