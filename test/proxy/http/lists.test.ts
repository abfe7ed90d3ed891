/** What a caller may not use is in no list that reaches it over HTTP, in whatever form it comes. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { describe, test } from 'node:test';
import { callTool, open, scene, scriptedGate, send, streamReader } from '../../support/http-scene.ts';
import {
  ALL_TOOLS,
  answerText,
  DOUBLE_TOOLS,
  listRequest,
  SHOWN_TOOLS,
  LISTED,
} from '../../support/listing.ts';

const SESSION = ['Mcp-Session-Id', 's'];
const body = (id: number, method?: string): string => JSON.stringify(listRequest(id, method));
const gate = () => scriptedGate(() => true, LISTED);

function json(response: ServerResponse, text: string, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(text);
}

function events(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' }).end(text);
}

describe('an answer in JSON', () => {
  const cases: readonly (readonly [what: string, sent: string, left: string])[] = [
    ['loses what is denied', answerText(1, ALL_TOOLS), answerText(1, SHOWN_TOOLS)],
    ['with another id loses it too', answerText(2, ALL_TOOLS), answerText(2, SHOWN_TOOLS)],
    [
      'without anything denied stays as it is',
      `${answerText(1, SHOWN_TOOLS)}\n`,
      `${answerText(1, SHOWN_TOOLS)}\n`,
    ],
  ];
  for (const [what, sent, left] of cases) {
    test(what, async (t) => {
      const { port } = await scene(t, { gate: gate(), upstream: (_, response) => json(response, sent) });
      const answer = await send(port, { body: body(1) });
      assert.equal(answer.body.toString(), left);
      assert.equal(answer.headers['content-length'], String(left.length));
    });
  }

  test('loses it whatever its status is, and where nothing was asked', async (t) => {
    const { port } = await scene(t, {
      gate: gate(),
      upstream: (_, response) => json(response, answerText(1, ALL_TOOLS), 500),
    });
    const note = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' });
    for (const asked of [body(1), note]) {
      assert.equal((await send(port, { body: asked })).body.toString(), answerText(1, SHOWN_TOOLS));
    }
  });

  test('to a list comes filtered also where the server takes its id for that of a call', async (t) => {
    const { port } = await scene(t, {
      gate: gate(),
      upstream: (_, response) => json(response, answerText(1, ALL_TOOLS)),
    });
    assert.equal((await send(port, { body: callTool(1) })).body.toString(), answerText(1, SHOWN_TOOLS));
  });

  test('that readers could read differently does not pass: the client gets an error, and it is on record', async (t) => {
    const opened = await scene(t, {
      gate: gate(),
      upstream: (_, response) => json(response, answerText(1, DOUBLE_TOOLS)),
    });
    const answer = await send(opened.port, { body: body(1) });
    assert.equal(answer.status, 200);
    assert.equal(JSON.parse(answer.body.toString()).error.code, -31502);
    const [rejected] = opened.gate.rejected;
    assert.deepEqual(
      [rejected?.code, rejected?.direction, rejected?.message?.method],
      ['parse_duplicate_key', 'to_client', 'tools/list'],
    );
    assert.partialDeepStrictEqual(await opened.gate.outcomeOf('tools/list'), { status: 'transport_error' });
  });
});

describe('an event', () => {
  const stream = (sent: string) => ({
    gate: gate(),
    upstream: (_: unknown, response: ServerResponse) => events(response, sent),
  });

  test('loses what is denied, and keeps its id, its name and its retry time', async (t) => {
    const fields = 'id: 7\nevent: message\nretry: 5\n';
    const { port } = await scene(t, stream(`${fields}data: ${answerText(1, ALL_TOOLS)}\n\n`));
    const left = (await send(port, { body: body(1) })).body.toString();
    assert.equal(left, `${fields}data: ${answerText(1, SHOWN_TOOLS)}\n\n`);
  });

  test('of several lines of data stays one', async (t) => {
    const pretty = answerText(1, ALL_TOOLS.replaceAll(/[{,]/g, '$&\n'));
    const { port } = await scene(t, stream(`${pretty.replaceAll(/^/gm, 'data: ')}\n\n`));
    const left = (await send(port, { body: body(1) })).body.toString();
    assert.deepEqual(JSON.parse(left.replaceAll(/^data: /gm, '')), JSON.parse(answerText(1, SHOWN_TOOLS)));
  });

  test('that readers could read differently is replaced by an error, under its id', async (t) => {
    const opened = await scene(t, stream(`id: 7\ndata: ${answerText(1, DOUBLE_TOOLS)}\n\n`));
    const left = (await send(opened.port, { body: body(1) })).body.toString();
    assert.match(left, /^id: 7\ndata: \{"jsonrpc":"2\.0","id":1,"error":\{"code":-31502,.*\}\n\n$/);
    assert.equal(opened.gate.rejected[0]?.code, 'parse_duplicate_key');
    assert.partialDeepStrictEqual(await opened.gate.outcomeOf('tools/list'), { status: 'transport_error' });
  });
});

describe('an answer on another stream', () => {
  /** The first request's stream ends before its answer, which comes when it is resumed. */
  async function resumed(t: Parameters<typeof scene>[0], asked: string, result: string): Promise<string> {
    const { port } = await scene(t, {
      gate: gate(),
      upstream: ({ method }, response) =>
        events(
          response,
          method === 'POST' ? 'id: 1\ndata:\n\n' : `id: 2\ndata: ${answerText(1, result)}\n\n`,
        ),
    });
    await send(port, { headers: SESSION, body: asked });
    return (await send(port, { method: 'GET', headers: [...SESSION, 'Last-Event-Id', '1'] })).body.toString();
  }

  test('is the list that was asked for', async (t) => {
    assert.equal(await resumed(t, body(1), ALL_TOOLS), `id: 2\ndata: ${answerText(1, SHOWN_TOOLS)}\n\n`);
  });

  test('that readers could read differently is replaced by an error, since somebody waits for it', async (t) => {
    assert.match(await resumed(t, body(1), DOUBLE_TOOLS), /^id: 2\ndata: .*"id":1,"error"/);
  });

  test('is filtered by its form, also where a call had that id', async (t) => {
    assert.equal(await resumed(t, callTool(1), ALL_TOOLS), `id: 2\ndata: ${answerText(1, SHOWN_TOOLS)}\n\n`);
  });

  test('that answers nothing we know of is a list where it looks like one', async (t) => {
    const { port } = await scene(t, {
      gate: gate(),
      upstream: (_, response) => events(response, `id: 2\ndata: ${answerText(99, ALL_TOOLS)}\n\n`),
    });
    for (const headers of [SESSION, []]) {
      const response = await open(port, { method: 'GET', headers: [...headers, 'Last-Event-Id', '1'] });
      assert.equal(await streamReader(response)('\n\n'), `id: 2\ndata: ${answerText(99, SHOWN_TOOLS)}\n\n`);
    }
  });
});
