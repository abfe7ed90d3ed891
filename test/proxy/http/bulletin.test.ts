/** Clients over HTTP hear when other policy may show them other lists. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import { createListChanges } from '../../../src/proxy/lists/changes.ts';
import { createBulletin } from '../../../src/proxy/http/bulletin.ts';
import {
  callTool,
  open,
  scene,
  scriptedGate,
  send,
  startEvents,
  streamReader,
} from '../../support/http-scene.ts';
import { answerText, changingLists, listRequest } from '../../support/listing.ts';

const word = (name: string): string =>
  `event: message\ndata: {"jsonrpc":"2.0","method":"notifications/${name}/list_changed"}\n\n`;
const inSession = (id: string): readonly string[] => ['Mcp-Session-Id', id];
const NOTE = { jsonrpc: '2.0', method: 'notifications/message', params: {} };
const noted = (id: string): string => `id: ${id}\ndata: ${JSON.stringify(NOTE)}\n\n`;

const INITIALIZE = JSON.stringify({
  ...listRequest(1, 'initialize'),
  params: { protocolVersion: '2025-11-25' },
});
const CAPABILITIES = answerText(
  1,
  '{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"resources":{"subscribe":true}}}',
);

/** A server with tools and resources; GET streams and subscriptions stay open, and are pushed to by hand. */
async function opened(t: TestContext) {
  const { lists, change } = changingLists();
  const pushes: ((value: unknown, id?: string) => void)[] = [];
  const { port } = await scene(t, {
    gate: scriptedGate(() => true, lists),
    upstream(request: IncomingMessage, response: ServerResponse, { body }) {
      if (request.method === 'GET' || body.includes('subscriptions/listen') || body.includes('tools/call')) {
        pushes.push(startEvents(response));
      } else {
        response.writeHead(200, { 'content-type': 'application/json' }).end(CAPABILITIES);
      }
    },
  });
  const stream = async (headers: readonly string[], body?: string) => {
    const response = await open(port, { method: body === undefined ? 'GET' : 'POST', headers, body });
    t.after(() => response.destroy());
    const push = pushes.at(-1);
    assert.ok(push !== undefined);
    return { push, readTo: streamReader(response) };
  };
  return { port, change, stream };
}

test('a server without lists that change says from now on that they do', async (t) => {
  const { port } = await opened(t);
  const { body } = await send(port, { body: INITIALIZE });
  assert.deepEqual(JSON.parse(body.toString()).result.capabilities, {
    tools: { listChanged: true },
    resources: { listChanged: true, subscribe: true },
  });
});

describe('the word that lists have changed', () => {
  test('comes on the stream of a session, of each list that the server has, between two events and without an id', async (t) => {
    const { port, change, stream } = await opened(t);
    await send(port, { body: INITIALIZE });
    const { push, readTo } = await stream(inSession('a'));
    push(NOTE, '1');
    await readTo('\n\n');
    change();
    assert.equal(await readTo('resources/list_changed"}\n\n'), `${word('tools')}${word('resources')}`);
    push(NOTE, '2');
    assert.equal(await readTo('\n\n'), noted('2'));
  });

  test('comes once for each session, and on no stream of a call', async (t) => {
    const { port, change, stream } = await opened(t);
    await send(port, { body: INITIALIZE });
    const first = await stream(inSession('a'));
    const others = [await stream(inSession('a')), await stream(inSession('a'), callTool(1))];
    const other = await stream(inSession('b'));
    change();
    for (const { readTo } of [first, other]) await readTo(word('resources'));
    for (const { push, readTo } of others) {
      push(NOTE, '7');
      assert.equal(await readTo('\n\n'), noted('7'));
    }
  });

  test('is of no list that nobody knows the server to have', async (t) => {
    const { change, stream } = await opened(t);
    const { push, readTo } = await stream(inSession('a'));
    change();
    push(NOTE, '1');
    assert.equal(await readTo('\n\n'), noted('1'));
  });

  test('comes on a subscription, of what it was acknowledged for, after that, and under its id', async (t) => {
    const { change, stream } = await opened(t);
    const listen = {
      jsonrpc: '2.0',
      id: 'sub',
      method: 'subscriptions/listen',
      params: { notifications: {} },
    };
    const { push, readTo } = await stream([], JSON.stringify(listen));
    change();
    const acknowledged = 'notifications/subscriptions/acknowledged';
    push({ jsonrpc: '2.0', method: acknowledged, params: { notifications: { promptsListChanged: true } } });
    assert.match(await readTo('\n\n'), /acknowledged/);
    change();
    const [, data = ''] = /^event: message\ndata: (.*)\n\n$/.exec(await readTo('\n\n')) ?? [];
    assert.deepEqual(JSON.parse(data), {
      jsonrpc: '2.0',
      method: 'notifications/prompts/list_changed',
      params: { _meta: { 'io.modelcontextprotocol/subscriptionId': 'sub' } },
    });
    push(NOTE, '2');
    assert.equal(await readTo('\n\n'), noted('2'));
  });
});

/** As much of a client's answer as a bulletin needs. */
class SlowClient extends EventEmitter {
  writableNeedDrain = true;
  readonly written: string[] = [];
  write(bytes: Uint8Array): boolean {
    this.written.push(Buffer.from(bytes).toString());
    return false;
  }
}

describe('a client that does not read', () => {
  function slow() {
    let version = 0;
    const changes = createListChanges(() => [version]);
    const bulletin = createBulletin(changes.subscribe);
    bulletin.learn('s', ['tools']);
    const client = new SlowClient();
    const reader = { server: 's', session: undefined, subscription: undefined };
    const leave = bulletin.open({ ...reader, client: client as unknown as ServerResponse });
    const change = (): void => {
      version += 1;
      changes.check();
    };
    return { bulletin, client, leave, change };
  }

  test('is told once of many changes, when it reads again', () => {
    const { client, change } = slow();
    for (let times = 0; times < 100; times += 1) change();
    assert.deepEqual([client.written, client.listenerCount('drain')], [[], 1]);
    client.emit('drain');
    assert.deepEqual(client.written, [word('tools')]);
    change();
    client.emit('drain');
    assert.equal(client.written.length, 2);
  });

  test('is told nothing once its stream has left, or the door has closed', () => {
    const first = slow();
    first.change();
    first.leave();
    first.client.emit('drain');
    assert.deepEqual([first.client.written, first.client.listenerCount('drain')], [[], 0]);
    const second = slow();
    second.client.writableNeedDrain = false;
    second.bulletin.close();
    second.change();
    assert.deepEqual(second.client.written, []);
  });
});
