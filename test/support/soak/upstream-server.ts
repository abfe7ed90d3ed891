/**
 * What stands behind the proxy in the soak: a server of the MCP SDK, of both eras, over HTTP; a process of its own. Notes
 * the trace of each tool call that reaches it in the file that it is given, one a line. Sessions that nobody uses any
 * more are ended, as servers do.
 */
import { randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import {
  createMcpHandler,
  fromJsonSchema,
  McpServer,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import { createFetchServer } from '../fetch-server.ts';

const IDLE_MS = 30_000;
const SWEEP_MS = 5_000;
/** One event of `flood`. */
const CHUNK = 'x'.repeat(16 * 1024);

const [, , seen = ''] = process.argv;

const inputSchema = fromJsonSchema<{ text?: string; ms?: number; events?: number }>({
  type: 'object',
  properties: { text: { type: 'string' }, ms: { type: 'integer' }, events: { type: 'integer' } },
});
const texts = (text: string) => ({ content: [{ type: 'text' as const, text }] });

function createServer(): McpServer {
  const server = new McpServer({ name: 'soak', version: '1.0.0' }, { capabilities: { logging: {} } });
  const description = 'for the soak';
  server.registerTool('echo', { description, inputSchema }, async ({ text = '' }) => texts(text));
  server.registerTool('slow', { description, inputSchema }, async ({ ms = 0 }, { mcpReq }) => {
    await pause(ms, undefined, { signal: mcpReq.signal });
    return texts('slept');
  });
  server.registerTool('flood', { description, inputSchema }, async ({ events = 0 }, { mcpReq }) => {
    for (let count = 0; count < events; count += 1) {
      const params = { level: 'info' as const, data: CHUNK };
      await mcpReq.notify({ method: 'notifications/message', params });
    }
    return texts('flooded');
  });
  server.registerTool('ask', { description, inputSchema }, async (_, { mcpReq }) => {
    const params = { message: 'Really?', requestedSchema: { type: 'object' as const, properties: {} } };
    const answer = await mcpReq.send({ method: 'elicitation/create', params });
    return texts(answer.action);
  });
  return server;
}

interface Session {
  readonly transport: WebStandardStreamableHTTPServerTransport;
  usedMs: number;
}

const sessions = new Map<string, Session>();
const modern = createMcpHandler(createServer);

setInterval(() => {
  for (const [id, { transport, usedMs }] of sessions) {
    if (performance.now() - usedMs < IDLE_MS) continue;
    sessions.delete(id);
    void transport.close();
  }
}, SWEEP_MS);

async function openSession(): Promise<WebStandardStreamableHTTPServerTransport> {
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    onsessioninitialized: (id) => void sessions.set(id, { transport, usedMs: performance.now() }),
    onsessionclosed: (id) => void sessions.delete(id),
  });
  await createServer().connect(transport);
  return transport;
}

function note(request: Request, body: unknown): void {
  const { method } = (body ?? {}) as { method?: unknown };
  if (method !== 'tools/call') return;
  appendFileSync(seen, `${request.headers.get('traceparent')?.split('-')[1] ?? 'none'}\n`);
}

const server = createFetchServer(async (request, text) => {
  const parsedBody: unknown = text === '' ? undefined : JSON.parse(text);
  note(request, parsedBody);
  if (request.headers.get('mcp-protocol-version') === '2026-07-28') {
    return modern.fetch(request, { parsedBody });
  }
  const id = request.headers.get('mcp-session-id');
  const known = id === null ? undefined : sessions.get(id);
  if (known !== undefined) known.usedMs = performance.now();
  const transport = id === null ? await openSession() : known?.transport;
  return (await transport?.handleRequest(request, { parsedBody })) ?? new Response(null, { status: 404 });
});
// A connection that it ended just when it is used again would make a call fail that has done nothing wrong.
server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1', () => {
  // A server that listens on TCP has an AddressInfo.
  process.stdout.write(`listening ${(server.address() as AddressInfo).port}\n`);
});
