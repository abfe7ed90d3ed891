/** A tool that is denied is not reached by any way that a server of both eras knows, while all else is allowed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startCommand, type Running } from '../support/cli.ts';
import { open, send, streamReader, type ClientRequest } from '../support/http-scene.ts';
import { within } from '../support/within.ts';
import { startProxy, type ConformanceProxy } from './proxy.ts';

const TOOL = 'some_other_tool';
const SAYS = `This is what ${TOOL} says.`;
const RAN = `${TOOL} has run\n`;

const ENVELOPE = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};
const MODERN = ['MCP-Protocol-Version', '2026-07-28', 'Mcp-Method', 'tools/call', 'Mcp-Name'];

type Params = Readonly<Record<string, unknown>>;
const request = (method: string, params: Params, id: number | undefined = 1) => ({
  jsonrpc: '2.0',
  id,
  method,
  params,
});
const call = (more: Params = {}, name = TOOL) => request('tools/call', { name, arguments: {}, ...more });
const text = JSON.stringify;

interface Way {
  readonly body: string;
  readonly headers?: readonly string[];
  /** Outside of the session; the others are in it. */
  readonly sessionless?: boolean;
}

const modern = (body: object, name = TOOL): Way => ({
  body: text(body),
  headers: [...MODERN, name],
  sessionless: true,
});

const WAYS: Readonly<Record<string, Way>> = {
  'a call': { body: text(call()) },
  'a call of 2026-07-28': modern(call({ _meta: ENVELOPE })),
  'a call of 2026-07-28 whose header names another tool': modern(
    call({ _meta: ENVELOPE }),
    'test_simple_text',
  ),
  'a call without the envelope that the header promises': modern(call()),
  'a header that names it over the body of another': modern(call({ _meta: ENVELOPE }, 'test_simple_text')),
  'a batch': { body: text([call({}, 'test_simple_text'), { ...call(), id: 2 }]) },
  'a batch of one': { body: text([call()]) },
  'a notification': { body: text({ ...call(), id: undefined }) },
  'a task': { body: text(call({ task: { ttl: 60_000 } })) },
  'a later round': { body: text(call({ requestState: 'x', inputResponses: { a: { action: 'accept' } } })) },
  'a later round of 2026-07-28': modern(call({ requestState: 'x', inputResponses: {}, _meta: ENVELOPE })),
  'an escaped name': {
    body: text(call()).replace('some_', 's\\u006fme\\u005f').replace('tools/', 'tools\\/'),
  },
  'a second name': { body: text(call({}, 'test_simple_text')).replace('"name"', `"name":"${TOOL}","name"`) },
  'a second name in another case': {
    body: text(call({}, 'test_simple_text')).replace('"name"', `"Name":"${TOOL}","name"`),
  },
  'a name with a blank': { body: text(call({}, `${TOOL} `)) },
  'a prompt of its name': { body: text(request('prompts/get', { name: TOOL })) },
  'a resource of its name': { body: text(request('resources/read', { uri: `tool://${TOOL}` })) },
  'a completion of its name': {
    body: text(
      request('completion/complete', {
        ref: { type: 'ref/prompt', name: TOOL },
        argument: { name: 'a', value: 'b' },
      }),
    ),
  },
  'the result of a task': { body: text(request('tasks/result', { taskId: TOOL })) },
  'a task to poll': { body: text(request('tasks/get', { taskId: TOOL })) },
  'a task to update': { body: text(request('tasks/update', { taskId: TOOL, inputResponses: {} })) },
  'a response that is a call': { body: text({ ...call(), result: {} }) },
  'a message within a message': { body: text(call({}, 'test_simple_text')).replace('{}', text(call())) },
  'another Content-Type': { body: text(call()), headers: ['Content-Type', 'text/plain'] },
  'UTF-16': { body: Buffer.from(text(call()), 'utf16le').toString('latin1') },
};

describe('a denied tool', () => {
  let fixture: Running;
  let direct: string;
  let proxy: ConformanceProxy;
  let session: string;

  before(async () => {
    fixture = startCommand(process.execPath, [fileURLToPath(new URL('fixture-server.ts', import.meta.url))]);
    [, direct = ''] = await fixture.waitFor(/fixture at (\S+)/);
    proxy = await startProxy(direct, 'denies some other tool');
    session = await openSession(proxy.url);
  });

  after(async () => {
    await proxy?.stop();
    await fixture?.stop('SIGKILL');
  });

  for (const [what, { body, headers = [], sessionless }] of Object.entries(WAYS)) {
    test(`is not reached by ${what}`, async () => {
      const own = headers.includes('Content-Type') ? [] : ['Content-Type', 'application/json'];
      const inSession = sessionless === true ? [] : ['Mcp-Session-Id', session];
      const answer = await post(proxy.url, { headers: [...own, ...inSession, ...headers], body });
      assert.doesNotMatch(answer, new RegExp(SAYS));
      assert.ok(!fixture.stdout().includes(RAN));
    });
  }

  test('is not reached by a request that hides in the body of another', async () => {
    const { port, host, pathname } = new URL(proxy.url);
    const hidden = `POST ${pathname} HTTP/1.1\r\nHost: ${host}\r\nMcp-Session-Id: ${session}\r\n`;
    const inner = `${hidden}Content-Length: ${text(call()).length}\r\n\r\n${text(call())}`;
    for (const framing of [
      'Transfer-Encoding: chunked\r\nContent-Length: 5',
      'Transfer-Encoding: xchunked',
    ]) {
      const socket = connect(Number(port), '127.0.0.1');
      socket.on('error', () => {});
      socket.end(`POST ${pathname} HTTP/1.1\r\nHost: ${host}\r\n${framing}\r\n\r\n0\r\n\r\n${inner}`);
      socket.resume();
      await once(socket, 'close');
      assert.ok(!fixture.stdout().includes(RAN), framing);
    }
  });

  test('is not reached by resumption: the stream of an allowed call is resumed, and holds its answer only', async () => {
    const inSession = ['Mcp-Session-Id', session, 'MCP-Protocol-Version', '2025-11-25'];
    const posted = ['Content-Type', 'application/json', ...inSession];
    const first = await post(proxy.url, { headers: posted, body: text(call({}, 'test_reconnection')) });
    const [, event = ''] = /^id: (.+)$/m.exec(first) ?? [];
    assert.notEqual(event, '');
    await post(proxy.url, { headers: posted, body: text({ ...call(), id: 2 }) });
    const { port, pathname } = new URL(proxy.url);
    const headers = ['Accept', 'text/event-stream', ...inSession, 'Last-Event-ID', event];
    const resumed = await open(Number(port), { method: 'GET', path: pathname, headers });
    const read = streamReader(resumed);
    const replayed = await within('the replay', read('Whoever reads this has come back for it.'));
    resumed.destroy();
    assert.doesNotMatch(replayed, new RegExp(SAYS));
    assert.ok(!fixture.stdout().includes(RAN));
  });

  describe('is in no list', () => {
    const LIST = text(request('tools/list', {}));
    const inSession = (id: string): readonly string[] => [
      'Mcp-Session-Id',
      id,
      'MCP-Protocol-Version',
      '2025-11-25',
    ];
    const posted = ['Content-Type', 'application/json'];

    /** A list that holds the other tools, so that what is missing is missing for a reason. */
    const check = (listed: string): void => {
      assert.match(listed, /"test_simple_text"/);
      assert.doesNotMatch(listed, new RegExp(TOOL));
    };

    /** What is sent again of the stream that the list came on. @param from the proxy that is asked for it */
    async function replayed(from: string, before: string): Promise<string> {
      const { port, pathname } = new URL(from);
      const headers = ['Accept', 'text/event-stream', ...inSession(session), 'Last-Event-ID', before];
      const resumed = await open(Number(port), { method: 'GET', path: pathname, headers });
      const read = streamReader(resumed);
      const listed = await within('the replay', read('"test_simple_text"'));
      const rest = await within('the rest of it', read('\n\n'));
      resumed.destroy();
      return listed + rest;
    }

    /** The id of the event before the list, on the stream that answers a request for it. */
    async function listedAfter(): Promise<string> {
      const listed = await post(proxy.url, { headers: [...posted, ...inSession(session)], body: LIST });
      check(listed);
      const [, first = ''] = /^id: (.+)$/m.exec(listed) ?? [];
      assert.notEqual(first, '');
      return first;
    }

    test('of a session', async () => {
      await listedAfter();
    });

    test('of 2026-07-28', async () => {
      const headers = ['MCP-Protocol-Version', '2026-07-28', 'Mcp-Method', 'tools/list', ...posted];
      check(await post(proxy.url, { headers, body: text(request('tools/list', { _meta: ENVELOPE })) }));
    });

    test('that is sent again when its stream is resumed', async () => {
      check(await replayed(proxy.url, await listedAfter()));
    });

    test('that is sent again by a proxy that has never heard of the request', async (t) => {
      const before = await listedAfter();
      const other = await startProxy(direct, 'denies some other tool');
      t.after(() => other.stop());
      check(await replayed(other.url, before));
    });

    test('while the server itself lists it', async () => {
      const own = await openSession(direct);
      assert.match(
        await post(direct, { headers: [...posted, ...inSession(own)], body: LIST }),
        new RegExp(TOOL),
      );
    });
  });

  test('runs where nobody stands before it, and an allowed one runs through the proxy', async () => {
    const good = ['Content-Type', 'application/json', 'Mcp-Session-Id', session];
    assert.match(
      await post(proxy.url, { headers: good, body: text(call({}, 'test_simple_text')) }),
      /simple text/,
    );
    assert.ok(!fixture.stdout().includes(RAN));
    const headers = ['Content-Type', 'application/json', 'Mcp-Session-Id', await openSession(direct)];
    assert.match(await post(direct, { headers, body: text(call()) }), new RegExp(SAYS));
    assert.ok(fixture.stdout().includes(RAN));
  });
});

async function post(url: string, { headers = [], ...rest }: ClientRequest): Promise<string> {
  const { port, pathname } = new URL(url);
  const accept = ['Accept', 'application/json, text/event-stream'];
  const { body } = await send(Number(port), { path: pathname, headers: [...accept, ...headers], ...rest });
  return body.toString();
}

async function openSession(url: string): Promise<string> {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'a', version: '1' } };
  const { port, pathname } = new URL(url);
  const { headers } = await send(Number(port), {
    path: pathname,
    headers: ['Content-Type', 'application/json', 'Accept', 'application/json, text/event-stream'],
    body: text(request('initialize', params)),
  });
  return String(headers['mcp-session-id']);
}
