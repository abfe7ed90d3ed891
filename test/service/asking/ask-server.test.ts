import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { describe, test, type TestContext } from 'node:test';
import { canonicalJson } from '../../../src/event/canonical.ts';
import { askServer, askServerInAll } from '../../../src/service/asking/ask-server.ts';
import { ANSWER_BYTES_MAX, Refused } from '../../../src/service/asking/conversation.ts';
import { openHttpConversation } from '../../../src/service/asking/http-conversation.ts';

interface Message {
  readonly id?: number | string;
  readonly method?: string;
  readonly params?: { readonly cursor?: string };
  readonly error?: { readonly code: number };
}

interface Got {
  readonly method: string;
  readonly headers: IncomingMessage['headers'];
  readonly message: Message;
}

type Answer = (message: Message, response: ServerResponse) => void;

/** A server over HTTP that answers as it is told, and the ways to ask it. */
async function server(t: TestContext, answer: Answer) {
  const got: Got[] = [];
  const listener = createServer((request, response) => {
    void buffer(request).then((body) => {
      const message = (body.length === 0 ? {} : JSON.parse(body.toString())) as Message;
      got.push({ method: request.method ?? '', headers: request.headers, message });
      if (message.id === undefined || message.method === undefined) response.writeHead(202).end();
      else answer(message, response);
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.after(() => {
    listener.closeAllConnections();
    listener.close();
  });
  const url = new URL(`http://127.0.0.1:${(listener.address() as AddressInfo).port}/mcp`);
  const { signal } = new AbortController();
  const open = () => openHttpConversation({ url, headers: { 'x-key': 'k' }, timeoutMs: 60_000, signal });
  return { got, options: { open, client: { name: 'test', version: '1' } } };
}

const ok = (response: ServerResponse, id: Message['id'], result: string): void => {
  response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 's-1' });
  response.end(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${result}}`);
};

const no = (response: ServerResponse, id: Message['id']): void => {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(
    `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"error":{"code":-32601,"message":"no such method"}}`,
  );
};

const HELLO =
  '{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"n","version":"v"}}';

/** A server of the older protocol with a list of pages. */
const legacy =
  (list: (cursor: string | undefined) => string): Answer =>
  ({ id, method, params }, response) => {
    if (method === 'initialize') ok(response, id, HELLO);
    else if (method === 'tools/list') ok(response, id, list(params?.cursor));
    else no(response, id);
  };

describe('a server that is asked', () => {
  test('is asked for all pages, in its session and revision, with our headers, and is told that we go', async (t) => {
    const { got, options } = await server(
      t,
      legacy((cursor) =>
        cursor === undefined
          ? '{"tools":[{"name":"a","inputSchema":{"maximum":9007199254740993}}],"nextCursor":"2"}'
          : '{"tools":[{"name":"b"},7]}',
      ),
    );
    const { tools, elapsedMs, ...card } = await askServer(options);
    assert.deepEqual(card, { name: 'n', version: 'v', protocol: '2025-06-18' });
    assert.ok(elapsedMs > 0);
    assert.deepEqual(tools?.map(canonicalJson), [
      '{"inputSchema":{"maximum":9007199254740993},"name":"a"}',
      '{"name":"b"}',
    ]);
    assert.deepEqual(
      got.map(({ method, message, headers }) => [
        message.method ?? method,
        headers['mcp-session-id'],
        headers['mcp-protocol-version'],
      ]),
      [
        ['initialize', undefined, undefined],
        ['notifications/initialized', 's-1', '2025-06-18'],
        ['tools/list', 's-1', '2025-06-18'],
        ['tools/list', 's-1', '2025-06-18'],
        ['DELETE', 's-1', '2025-06-18'],
      ],
    );
    assert.ok(got.every(({ headers }) => headers['x-key'] === 'k'));
  });

  test('may answer in a stream, and is told that nobody is here for what it asks itself', async (t) => {
    const { got, options } = await server(t, ({ id, method }, response) => {
      if (method !== 'initialize') {
        no(response, id);
        return;
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(
        'id: 1\ndata:\n\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n',
      );
      response.write('data: {"jsonrpc":"2.0","id":"r","method":"roots/list"}\n\n');
      response.write(`data: {"jsonrpc":"2.0","id":"p","method":"ping"}\n\n`);
      response.write(`data: {"jsonrpc":"2.0","id":${id},"result":${HELLO.replace('"tools":{}', '')}}\n\n`);
    });
    const card = await askServer(options);
    assert.deepEqual([card.name, card.tools], ['n', undefined]);
    const replies = got.filter(({ message }) => message.id === 'r' || message.id === 'p');
    assert.deepEqual(
      replies.map(({ message }) => message.error?.code),
      [-32601, undefined],
    );
  });

  test('is asked in the newer protocol where it refuses the older one, and in both where it speaks both', async (t) => {
    const modern: Answer = ({ id, method }, response) => {
      if (method === 'server/discover') ok(response, id, HELLO.replace('"n"', '"new"'));
      else if (method === 'tools/list') ok(response, id, '{"tools":[{"name":"a"}]}');
      else response.writeHead(400).end('{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"x"}}');
    };
    const { got, options } = await server(t, modern);
    const [card, ...none] = await askServerInAll(options);
    assert.deepEqual([card?.name, card?.protocol, none], ['new', '2026-07-28', []]);
    const list = got.find(({ message }) => message.method === 'tools/list');
    assert.deepEqual(
      [list?.headers['mcp-method'], list?.headers['mcp-protocol-version']],
      ['tools/list', '2026-07-28'],
    );
    const both = await server(t, (message, response) => {
      if (message.method === 'server/discover') modern(message, response);
      else legacy(() => '{"tools":[]}')(message, response);
    });
    const cards = await askServerInAll(both.options);
    assert.deepEqual(
      cards.map(({ protocol }) => protocol),
      ['2025-06-18', '2026-07-28'],
    );
    const old = await server(
      t,
      legacy(() => '{"tools":[]}'),
    );
    assert.equal((await askServerInAll(old.options)).length, 1);
  });

  test('has failed where it speaks the newer protocol and then breaks: half of its tools would be pinned', async (t) => {
    const { options } = await server(t, (message, response) => {
      const { id, method } = message;
      if (method === 'server/discover') ok(response, id, HELLO);
      else if (method === 'initialize') ok(response, id, HELLO);
      else if (response.req.headers['mcp-protocol-version'] === '2026-07-28') response.writeHead(500).end();
      else ok(response, id, '{"tools":[]}');
    });
    await assert.rejects(
      askServerInAll(options),
      (error) => error instanceof Refused && error.status === 500,
    );
  });

  const broken: readonly (readonly [name: string, answer: Answer, expected: RegExp])[] = [
    ['lists without end', legacy(() => '{"tools":[],"nextCursor":"more"}'), /does not end within 100 pages/],
    ['lists what is no list', legacy(() => '{"tools":{}}'), /its list of tools is none/],
    [
      'says a key twice',
      legacy(() => '{"tools":[{"name":"a","name":"b"}]}'),
      /cannot be read: The key name stands twice/,
    ],
    ['refuses', ({ id }, response) => no(response, id), /no such method/],
    ['sends a page', (_, response) => response.end('<html>'), /it sends no answer/],
    [
      'sends nothing',
      (_, response) => response.writeHead(200, { 'content-type': 'text/event-stream' }).end(),
      /no answer/,
    ],
    ['sends a redirect', (_, response) => response.writeHead(307, { location: '/' }).end(), /HTTP 307/],
    [
      'sends too much',
      (_, response) => response.end(Buffer.alloc(ANSWER_BYTES_MAX + 1, 0x20)),
      /larger than \d+ bytes/,
    ],
  ];
  for (const [name, answer, expected] of broken) {
    test(`has failed where it ${name}`, async (t) => {
      const { options } = await server(t, answer);
      await assert.rejects(askServer(options), expected);
    });
  }
});
