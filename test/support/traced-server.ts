/**
 * An MCP server with real spans, as an instrumented one has them: `traced-server.ts http` listens on a free loopback
 * port and says which on stdout, `traced-server.ts stdio` speaks MCP there. Spans go to OTEL_EXPORTER_OTLP_ENDPOINT.
 *
 * A span's parent is what the HTTP header `traceparent` names, else what `params._meta` does.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { CallToolRequestSchema, McpError, type CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import { createSpanSource } from './span-source.ts';

/** What `break` answers with. */
const BROKEN_CODE = -32603;

const spans = createSpanSource('traced-server', process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? '');

/** `fail` answers with a tool error, `break` with a JSON-RPC error, anything else with its own name. */
function run(tool: string): CallToolResult {
  if (tool === 'break') throw new McpError(BROKEN_CODE, 'broken on purpose');
  return { content: [{ type: 'text', text: tool }], isError: tool === 'fail' };
}

async function connect(transport: Transport): Promise<void> {
  const { server } = new McpServer({ name: 'traced', version: '1' }, { capabilities: { tools: {} } });
  server.setRequestHandler(CallToolRequestSchema, ({ params: { name, _meta: meta } }, { requestInfo }) => {
    const [header] = [requestInfo?.headers['traceparent'] ?? []].flat();
    const parent = meta?.['traceparent'];
    const span = spans.start({
      name: `tools/call ${name}`,
      kind: SpanKind.SERVER,
      traceparent: header ?? (typeof parent === 'string' ? parent : undefined),
    });
    try {
      return run(name);
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
  await server.connect(transport);
}

async function serveHttp(): Promise<void> {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const known = sessions.get(String(request.headers['mcp-session-id']));
    const transport =
      known ??
      new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (id) => void sessions.set(id, transport),
      });
    if (known === undefined) await connect(transport);
    await transport.handleRequest(request, response);
  };
  const http = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  process.stdout.write(`listening on ${(http.address() as AddressInfo).port}\n`);
  process.once('SIGTERM', () => {
    http.close();
    http.closeAllConnections();
    void spans.stop().finally(() => process.exit(0));
  });
}

async function serveStdio(): Promise<void> {
  process.stdin.once('end', () => void spans.stop().finally(() => process.exit(0)));
  await connect(new StdioServerTransport());
}

await (process.argv[2] === 'stdio' ? serveStdio() : serveHttp());
