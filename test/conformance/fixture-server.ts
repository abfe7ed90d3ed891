/**
 * A server of both eras that has every name the official conformance suite asks for; run with `node`, never imported
 * by a test. Prints its URL. It looks at no Host and no Origin: whoever stands in front has to.
 */
import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import {
  classifyInboundRequest,
  createMcpHandler,
  isInitializeRequest,
  type McpServer,
  WebStandardStreamableHTTPServerTransport,
  type EventStore,
  type JSONRPCMessage,
} from '@modelcontextprotocol/server';
import { createFetchServer } from '../support/fetch-server.ts';
import { createFixture } from './fixture.ts';

const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>();

const openFixture = (): McpServer =>
  createFixture({
    closeStream({ sessionId, mcpReq }) {
      if (sessionId !== undefined) sessions.get(sessionId)?.closeSSEStream(mcpReq.id);
    },
    changed(list) {
      if (list === 'tools') modern.notify.toolsChanged();
      else modern.notify.promptsChanged();
    },
  });

const modern = createMcpHandler(openFixture);

/** What was sent on the streams of a session; `STREAM/NUMBER` names an event. */
function createEventStore(): EventStore {
  const events: { readonly stream: string; readonly message: JSONRPCMessage }[] = [];
  return {
    async storeEvent(stream, message) {
      events.push({ stream, message });
      return `${stream}/${events.length - 1}`;
    },
    async replayEventsAfter(lastEventId, { send }) {
      const slash = lastEventId.lastIndexOf('/');
      const stream = lastEventId.slice(0, slash);
      for (const [at, event] of events.entries()) {
        const isNew = event.stream === stream && at > Number(lastEventId.slice(slash + 1));
        if (isNew && Object.keys(event.message).length > 0) await send(`${stream}/${at}`, event.message);
      }
      return stream;
    },
  };
}

async function openSession(): Promise<WebStandardStreamableHTTPServerTransport> {
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    eventStore: createEventStore(),
    // The suite measures whether clients wait this long, in milliseconds.
    retryInterval: 500,
    onsessioninitialized: (id) => void sessions.set(id, transport),
    onsessionclosed: (id) => void sessions.delete(id),
  });
  await openFixture().connect(transport);
  return transport;
}

const refuse = (status: number, code: number, message: string): Response =>
  Response.json({ jsonrpc: '2.0', id: null, error: { code, message } }, { status });

async function serveLegacy(request: Request, parsedBody: unknown): Promise<Response> {
  const id = request.headers.get('mcp-session-id');
  const known = id === null ? undefined : sessions.get(id);
  if (known !== undefined) return known.handleRequest(request, { parsedBody });
  if (id !== null) return refuse(404, -32001, 'Session not found');
  if (!isInitializeRequest(parsedBody)) return refuse(400, -32000, 'Session id required');
  return (await openSession()).handleRequest(request, { parsedBody });
}

async function serve(request: Request, text: string): Promise<Response> {
  let body: unknown;
  try {
    body = text === '' ? undefined : JSON.parse(text);
  } catch {
    return refuse(400, -32700, 'Parse error');
  }
  const version = request.headers.get('mcp-protocol-version');
  const method = request.headers.get('mcp-method');
  const { kind } = classifyInboundRequest({
    httpMethod: request.method,
    ...(version !== null && { protocolVersionHeader: version }),
    ...(method !== null && { mcpMethodHeader: method }),
    body,
  });
  return kind === 'legacy' ? serveLegacy(request, body) : modern.fetch(request, { parsedBody: body });
}

const server = createFetchServer(serve);
server.listen(0, '127.0.0.1', () => {
  // A server that listens on TCP has an AddressInfo.
  process.stdout.write(`fixture at http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp\n`);
});
