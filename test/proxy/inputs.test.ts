/** What a server asks for within an answer or a notification is decided, recorded, and held back where it is denied. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Asked, Shown } from '../../src/proxy/gate.ts';
import { admitResponse, guardInputs } from '../../src/proxy/inputs.ts';
import { readAnswer } from '../../src/proxy/message/answer-reader.ts';
import { message, openGate, origin } from '../support/gate-scene.ts';
import {
  open,
  scene,
  scriptedGate,
  send,
  startEvents,
  streamReader,
  callTool,
} from '../support/http-scene.ts';
import { bench } from '../support/stdio-bench.ts';
import { call, scriptedGate as stdioGate } from '../support/stdio-fixtures.ts';

const input = (method: string) => ({ method, params: {} });
const answer = (inputRequests: object, id: number | string = 7): string =>
  JSON.stringify({ jsonrpc: '2.0', id, result: { resultType: 'input_required', inputRequests } });
const SAMPLING = answer({ a: input('sampling/createMessage') });
const BOTH = answer({ a: input('sampling/createMessage'), b: input('elicitation/create') });
const ASKED: Asked = { method: 'tools/call', modern: true, protocolVersion: '2026-07-28' };

async function admitted(text: string, asked: Asked | undefined = ASKED) {
  const { gate, scene: seen } = openGate();
  const bytes = Buffer.from(text);
  const read = readAnswer(bytes);
  assert.ok(read.kind === 'response');
  const shown = await admitResponse(gate, { ...read, bytes, asked }, origin);
  return { shown, bytes, drafts: seen.drafts };
}

interface Told {
  readonly id: unknown;
  readonly result: { readonly content: readonly { readonly text: string }[]; readonly _meta: unknown };
  readonly error: { readonly code: number };
}

function told(shown: Shown): Told {
  assert.ok(shown.ok);
  return JSON.parse(Buffer.from(shown.bytes).toString());
}

describe('an answer that asks', () => {
  test('passes as it came where policy allows all that it asks for, and each is on record, without an outcome', async () => {
    const { shown, bytes, drafts } = await admitted(SAMPLING);
    assert.ok(shown.ok && shown.bytes === bytes);
    assert.deepEqual(
      drafts.map(({ name, fields }) => [name, fields['mcp.method.name'], fields['mcp.protocol.version']]),
      [['verdict.decision', 'sampling/createMessage', '2026-07-28']],
    );
  });

  test('leaves no call open on record: nothing will tell what became of it', async () => {
    const { drafts } = await admitted(SAMPLING);
    assert.equal(drafts[0]?.fields['jsonrpc.request.id'], undefined);
  });

  test('is kept from the client where one thing is denied: a tool tells it as a result, with the decision', async () => {
    const { shown, drafts } = await admitted(BOTH);
    const { id, result } = told(shown);
    assert.equal(id, 7);
    assert.partialDeepStrictEqual(result, { resultType: 'complete', isError: true });
    assert.match(
      String(result.content[0]?.text),
      /^Denied by policy: .*The server asks for elicitation\/create/,
    );
    assert.deepEqual(result._meta, {
      'io.github.mcp-verdict/decision': { uid: 'uid-2', effect: 'deny', reason: 'default' },
    });
    assert.equal(drafts.length, 2);
  });

  test('to another request, or to one that is not known, tells it as an error', async () => {
    for (const asked of [{ ...ASKED, method: 'tasks/get' }, undefined]) {
      const { shown } = await admitted(BOTH, asked ?? undefined);
      if (asked !== undefined) assert.equal(told(shown).error.code, -31403);
      assert.doesNotMatch(JSON.stringify(told(shown)), /inputRequests/);
    }
  });

  test('for a method that nobody knows is denied', async () => {
    const { drafts } = await admitted(answer({ a: input('files/delete') }));
    assert.equal(drafts[0]?.fields['verdict.decision.reason'], 'method_unknown');
  });

  test('that readers could read differently does not pass', async () => {
    const { shown, drafts } = await admitted(BOTH.replace('inputRequests', 'InputRequests'));
    assert.equal(shown.ok, false);
    assert.equal(drafts.length, 0);
  });

  test('passes nothing where the gate refuses without a word', async () => {
    const refusing = stdioGate(() => false);
    const read = readAnswer(Buffer.from(SAMPLING));
    assert.ok(read.kind === 'response');
    const bytes = Buffer.from(SAMPLING);
    assert.equal((await admitResponse(refusing, { ...read, bytes, asked: ASKED }, origin)).ok, false);
  });
});

describe('a notification that asks', () => {
  const status = (method: string) =>
    message('notifications/tasks', { taskId: 't', inputRequests: { a: input(method) } }, null);

  test('is dropped where what it asks for is denied, and passes where it is allowed', async () => {
    const { gate, scene: seen } = openGate();
    const guarded = guardInputs(gate);
    assert.equal((await guarded.decide(status('elicitation/create'), origin, 'to_client')).forward, false);
    assert.equal((await guarded.decide(status('sampling/createMessage'), origin, 'to_client')).forward, true);
    assert.deepEqual(
      seen.drafts.map(({ fields }) => [fields['mcp.method.name'], fields['verdict.decision.effect']]),
      [
        ['elicitation/create', 'deny'],
        ['sampling/createMessage', 'allow'],
        ['notifications/tasks', 'allow'],
      ],
    );
  });

  test('in a way that readers could read differently is dropped and recorded', async () => {
    const { gate, scene: seen } = openGate();
    const odd = message('notifications/tasks', { InputRequests: {} }, null);
    assert.equal((await guardInputs(gate).decide(odd, origin, 'to_client')).forward, false);
    assert.equal(seen.drafts[0]?.fields['verdict.decision.reason'], 'parse');
  });
});

describe('at the doors', () => {
  const gate = () => scriptedGate(({ method }) => method !== 'elicitation/create');

  test('a denied input passes in no answer over HTTP: neither as JSON nor on a stream', async (t) => {
    const { port } = await scene(t, {
      gate: gate(),
      upstream: (_, response) =>
        void response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(answer(JSON.parse(BOTH).result.inputRequests, 1)),
    });
    assert.doesNotMatch((await send(port, { body: callTool(1) })).body.toString(), /inputRequests/);
    const streamed = await scene(t, {
      gate: gate(),
      upstream(_, response) {
        startEvents(response)(JSON.parse(answer(JSON.parse(BOTH).result.inputRequests, 1)));
        response.end();
      },
    });
    const read = streamReader(await open(streamed.port, { body: callTool(1) }));
    assert.doesNotMatch(await read('Denied.'), /inputRequests/);
  });

  test('nor over stdio, where the order of the answers stays', async () => {
    const asking = stdioGate(({ message: { method } }) => method !== 'elicitation/create');
    const b = bench(asking);
    await b.up(call(1, 'a'), call(2, 'b'), call(3, 'c'));
    const plain = (id: number): string => `{"jsonrpc":"2.0","id":${id},"result":{}}`;
    await b.down(
      answer(JSON.parse(BOTH).result.inputRequests, 1),
      answer(JSON.parse(SAMPLING).result.inputRequests, 2),
      plain(3),
    );
    assert.deepEqual(
      b.client.got.map((line) => [JSON.parse(line).id, line.includes('inputRequests')]),
      [
        [1, false],
        [2, true],
        [3, false],
      ],
    );
  });
});
