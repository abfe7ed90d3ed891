/**
 * What stands behind every contender of section `peers`: a server of the MCP SDK, of both eras, whose one tool says the
 * order that it was asked for. `echo-server.ts http` prints its port, `echo-server.ts stdio` speaks MCP on its pipes.
 */
import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import {
  createMcpHandler,
  fromJsonSchema,
  McpServer,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { createFetchServer } from '../../support/fetch-server.ts';

const inputSchema = fromJsonSchema<{ order: string; fields?: string[] }>({
  type: 'object',
  properties: { order: { type: 'string' }, fields: { type: 'array', items: { type: 'string' } } },
  required: ['order'],
});

function createEcho(): McpServer {
  const server = new McpServer({ name: 'echo', version: '1.0.0' });
  server.registerTool('read_order', { description: 'says which order', inputSchema }, async ({ order }) => ({
    content: [{ type: 'text', text: order }],
  }));
  return server;
}

function serveHttp(): void {
  const modern = createMcpHandler(createEcho);
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>();
  const openSession = async (): Promise<WebStandardStreamableHTTPServerTransport> => {
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => void sessions.set(id, transport),
      onsessionclosed: (id) => void sessions.delete(id),
    });
    await createEcho().connect(transport);
    return transport;
  };
  const server = createFetchServer(async (request, text) => {
    const parsedBody: unknown = text === '' ? undefined : JSON.parse(text);
    if (request.headers.get('mcp-protocol-version') === '2026-07-28') {
      return modern.fetch(request, { parsedBody });
    }
    const session = request.headers.get('mcp-session-id');
    const known = session === null ? await openSession() : sessions.get(session);
    return (await known?.handleRequest(request, { parsedBody })) ?? new Response(null, { status: 404 });
  });
  server.keepAliveTimeout = 0;
  server.listen(0, '127.0.0.1', () => {
    // A server that listens on TCP has an AddressInfo.
    process.stdout.write(`listening ${(server.address() as AddressInfo).port}\n`);
  });
}

if (process.argv[2] === 'stdio') serveStdio(createEcho);
else serveHttp();
