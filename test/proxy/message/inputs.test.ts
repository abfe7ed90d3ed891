/** What a server asks for within an answer is found, or the answer is refused: no third thing. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { INPUTS_MAX, inputsOfAnswer, inputsOfParams, mayAsk } from '../../../src/proxy/message/inputs.ts';
import { parseMessage } from '../../../src/proxy/message/message.ts';

const ASK = '{"method":"elicitation/create","params":{"message":"Who?"}}';
const result = (members: string): string => `{"jsonrpc":"2.0","id":1,"result":{${members}}}`;
const found = (text: string) => inputsOfAnswer(Buffer.from(text));
const methods = (text: string) => {
  const inputs = found(text);
  return inputs.ok ? inputs.inputs.map(({ method }) => method) : inputs.code;
};

const HOLDING: Readonly<Record<string, string>> = {
  'an answer that wants input': result(`"resultType":"input_required","inputRequests":{"a":${ASK}}`),
  'whatever its type says': result(`"resultType":"complete","inputRequests":{"a":${ASK}}`),
  'a task that waits': result(`"taskId":"t","status":"input_required","inputRequests":{"a":${ASK}}`),
  'a task within a result': result(`"task":{"status":"input_required","inputRequests":{"a":${ASK}}}`),
  'an error that sends the user elsewhere':
    '{"jsonrpc":"2.0","id":1,"error":{"code":-32042,"message":"","data":{"elicitations":[{"mode":"url","url":"https://x.example"}]}}}',
  'whatever its code is':
    '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"","data":{"elicitations":[{}]}}}',
  escapes: result(`"\\u0069nputRequests":{"a":${ASK}}`),
};

const REFUSED: Readonly<Record<string, string>> = {
  'two of them': result(`"inputRequests":{},"inputRequests":{"a":${ASK}}`),
  'two that look alike': result(`"inputRequests":{},"InputRequests":{"a":${ASK}}`),
  'one in another case': result(`"InputRequests":{"a":${ASK}}`),
  'one in capitals': result(`"INPUTREQUESTS":{"a":${ASK}}`),
  'a letter that folds into ASCII': result(`"inputReque\u017fts":{"a":${ASK}}`),
  'such a letter, escaped': result(`"inputReque\\u017fts":{"a":${ASK}}`),
  'an array of them': result(`"inputRequests":[${ASK}]`),
  'one that is no object': result('"inputRequests":{"a":1}'),
  'one without a method': result('"inputRequests":{"a":{"params":{}}}'),
  'one with two methods': result('"inputRequests":{"a":{"method":"ping","method":"sampling/createMessage"}}'),
  'one with a method in another case': result('"inputRequests":{"a":{"Method":"sampling/createMessage"}}'),
  'one whose params are no object': result('"inputRequests":{"a":{"method":"ping","params":[]}}'),
  'elicitations in another case':
    '{"jsonrpc":"2.0","id":1,"error":{"code":-32042,"message":"","data":{"Elicitations":[{}]}}}',
  'elicitations that are no array':
    '{"jsonrpc":"2.0","id":1,"error":{"code":-32042,"message":"","data":{"elicitations":{}}}}',
};

describe('what is asked for in an answer', () => {
  for (const [what, text] of Object.entries(HOLDING)) {
    test(`is found: ${what}`, () => {
      assert.ok(mayAsk(text));
      assert.deepEqual(methods(text), ['elicitation/create']);
    });
  }

  for (const [what, text] of Object.entries(REFUSED)) {
    test(`is refused where readers could differ: ${what}`, () => {
      assert.ok(mayAsk(text));
      assert.match(String(methods(text)), /^parse_/);
    });
  }

  test('is limited in number', () => {
    const many = (count: number): string =>
      result(`"inputRequests":{${Array.from({ length: count }, (_, at) => `"${at}":${ASK}`).join()}}`);
    assert.equal(methods(many(INPUTS_MAX)).length, INPUTS_MAX);
    assert.equal(methods(many(INPUTS_MAX + 1)), 'parse_envelope');
  });

  test('is nothing in an ordinary answer, which is not even looked into', () => {
    for (const text of [
      result('"content":[{"type":"text","text":"ünï \\u00e9 \\n"}]'),
      result('"tools":[]'),
    ]) {
      assert.equal(mayAsk(text), false);
      assert.deepEqual(methods(text), []);
    }
  });

  test('is never missed by the quick look, in whatever case and with whatever escapes it is spelled', () => {
    const spelled = fc.tuple(fc.constantFrom('inputRequests', 'elicitations'), fc.infiniteStream(fc.nat(3)));
    fc.assert(
      fc.property(spelled, ([name, ways]) => {
        const text = Array.from(name, (letter) => {
          const way = ways.next().value;
          const code = letter.charCodeAt(0).toString(16).padStart(4, '0');
          return [letter, letter.toUpperCase(), `\\u${code}`, letter === 's' ? 'ſ' : letter][Number(way)];
        });
        assert.ok(mayAsk(result(`"${text.join('')}":{}`)));
      }),
    );
  });
});

test('what is asked for in a notification is found in its params', () => {
  const params = `{"taskId":"t","status":"input_required","inputRequests":{"a":${ASK}}}`;
  const parsed = parseMessage(
    Buffer.from(`{"jsonrpc":"2.0","method":"notifications/tasks","params":${params}}`),
  );
  assert.ok(parsed.ok && parsed.message.kind === 'notification');
  const inputs = inputsOfParams(parsed.message.params);
  assert.ok(inputs.ok);
  assert.deepEqual(
    inputs.inputs.map(({ method }) => method),
    ['elicitation/create'],
  );
});
