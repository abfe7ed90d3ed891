/** Streams whose caller may see other lists than when they were opened: the word comes before they end. */
import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import type { Authentication } from '../../../src/identity/identity.ts';
import { createListChanges } from '../../../src/proxy/lists/changes.ts';
import { createLists } from '../../../src/proxy/lists/lists.ts';
import {
  answerJson,
  open,
  scene,
  scriptedGate,
  send,
  startEvents,
  streamReader,
} from '../../support/http-scene.ts';
import { LISTED_POLICY } from '../../support/listing.ts';
import { NOW } from '../../policy/support.ts';

const alice = (grants: readonly string[]): Authentication => ({
  ok: true,
  identity: { source: 'api_key', user: 'alice', keyId: 'k_0001', grants },
});
const REFUSED: Authentication = { ok: false, reason: 'identity_invalid', message: 'not known here' };
const IN_SESSION = ['Mcp-Session-Id', 's'];
const INITIALIZE = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: {} });
const LISTEN = JSON.stringify({
  jsonrpc: '2.0',
  id: 9,
  method: 'subscriptions/listen',
  params: {
    _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    },
  },
});
const LISTEN_HEADERS = 'MCP-Protocol-Version 2026-07-28 Mcp-Method subscriptions/listen'.split(' ');
const ACKNOWLEDGED = {
  jsonrpc: '2.0',
  method: 'notifications/subscriptions/acknowledged',
  params: { notifications: { promptsListChanged: true } },
};
const WORD = 'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n';

/** A door before a server with tools, whose caller is known by grants that can be changed. */
async function granting(t: TestContext) {
  const listChanges = createListChanges(() => []).subscribe;
  const show = createLists({ policy: () => LISTED_POLICY, now: () => NOW, listChanges });
  let pushed = Promise.withResolvers<(value: unknown) => void>();
  let known = alice(['files/*']);
  const { port, change, door } = await scene(t, {
    gate: scriptedGate(() => true, { show, listChanges }),
    authenticate: () => known,
    upstream(request, response, { body }) {
      if (request.method === 'GET' || body.includes('subscriptions/listen')) {
        pushed.resolve(startEvents(response));
      } else {
        answerJson(response, {
          jsonrpc: '2.0',
          id: 1,
          result: { protocolVersion: '2025-11-25', capabilities: { tools: {} } },
        });
      }
    },
  });
  await send(port, { body: INITIALIZE });
  return {
    /** Opens a stream. @returns also what pushes to it */
    async stream(request: Parameters<typeof open>[1]) {
      pushed = Promise.withResolvers();
      const response = await open(port, request);
      t.after(() => response.destroy());
      return { response, push: await pushed.promise };
    },
    /** Brings other keys into force. */
    put(next: Authentication): void {
      known = next;
      change({ authenticate: () => known });
      void door.settingsChanged();
    },
  };
}

async function rest(stream: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

describe('a stream whose caller has other grants now', () => {
  test('hears that lists have changed before it ends: its client would show what it had', async (t) => {
    const { stream, put } = await granting(t);
    const { response } = await stream({ method: 'GET', headers: IN_SESSION });
    put(alice(['files/read']));
    assert.equal(await rest(response), WORD);
  });

  test('hears it under its own id where it is a subscription, of what it was acknowledged for', async (t) => {
    const { stream, put } = await granting(t);
    const { response, push } = await stream({ body: LISTEN, headers: LISTEN_HEADERS });
    push(ACKNOWLEDGED);
    await streamReader(response)('\n\n');
    put(alice(['files/read']));
    assert.match(await rest(response), /^event: message\ndata: .*prompts\/list_changed.*:9\}\}\}\n\n$/);
  });

  test('hears it once a session, on whichever of its streams', async (t) => {
    const { stream, put } = await granting(t);
    const streams = [
      await stream({ method: 'GET', headers: IN_SESSION }),
      await stream({ method: 'GET', headers: IN_SESSION }),
    ];
    put(alice([]));
    const heard = await Promise.all(streams.map(({ response }) => rest(response)));
    assert.deepEqual(heard.toSorted(), ['', WORD]);
  });

  test('hears nothing where its grants are the same, nor where it is not known any more', async (t) => {
    const { stream, put } = await granting(t);
    const { response } = await stream({ method: 'GET', headers: IN_SESSION });
    put(alice(['files/*']));
    put(REFUSED);
    assert.equal(await rest(response), '');
  });

  test('hears it also where its client has left unread what came before', async (t) => {
    const { stream, put } = await granting(t);
    const { response, push } = await stream({ method: 'GET', headers: IN_SESSION });
    const note = { jsonrpc: '2.0', method: 'notifications/message', params: { data: 'x'.repeat(100_000) } };
    for (let index = 0; index < 100; index += 1) push(note);
    for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    put(alice([]));
    assert.ok((await rest(response)).endsWith(WORD));
  });
});
