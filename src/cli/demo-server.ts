/**
 * The sample MCP server of `mcp-verdict demo`: the tools of a small company that takes payments and keeps files
 * and notes. Nothing in it is real; all state is in memory.
 */
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { z } from 'zod';

/** A running sample server. */
export interface DemoServer {
  /** Its MCP endpoint, `http://HOST:PORT/mcp`. */
  readonly url: string;
  /** Names of the tools that were called here, in order: what really arrived. */
  received(): string[];
  close(): Promise<void>;
}

/** Starts the sample server over Streamable HTTP. @param listen default 127.0.0.1 and a free port */
export async function startDemoServer(
  listen: { readonly host?: string; readonly port?: number } = {},
): Promise<DemoServer> {
  const { host = '127.0.0.1', port = 0 } = listen;
  const received: string[] = [];
  const company = openCompany();
  const http = createServer((request, response) => {
    answer(company, received, { request, response }).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject);
    http.listen(port, host, resolve);
  });
  const address = http.address();
  const bound = typeof address === 'object' && address !== null ? address.port : port;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}/mcp`,
    received: () => [...received],
    close: () =>
      new Promise((resolve) => {
        http.close(() => resolve());
        http.closeAllConnections();
      }),
  };
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

async function answer(company: Company, received: string[], { request, response }: Exchange): Promise<void> {
  if (request.url !== '/mcp' || request.method !== 'POST') {
    // Without sessions there is no stream to open with GET and nothing to end with DELETE.
    response.writeHead(request.url === '/mcp' ? 405 : 404, { allow: 'POST' }).end();
    return;
  }
  // No sessions: each request has a server of its own, and the company is what they share.
  const transport = new StreamableHTTPServerTransport();
  const server = await connect(company, received, transport);
  response.once('close', () => void server.close());
  await transport.handleRequest(request, response);
}

async function connect(company: Company, received: string[], transport: Transport): Promise<McpServer> {
  const server = new McpServer({ name: 'sample-company', version: '1.0.0' });
  for (const tools of [noteTools, fileTools, paymentTools, outsideTools]) tools(server, company);
  await server.connect(transport);
  // Counted before the SDK looks at it, so that a call of a tool that does not exist counts too.
  const deliver = transport.onmessage;
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- a transport is no EventTarget
  transport.onmessage = (message, extra) => {
    const params = 'params' in message ? message.params : undefined;
    if ('method' in message && message.method === 'tools/call') received.push(String(params?.['name']));
    deliver?.(message, extra);
  };
  return server;
}

interface Company {
  readonly notes: Map<string, string>;
  /** Path to size in bytes. */
  readonly files: Map<string, number>;
  readonly customers: readonly string[];
  refunds: number;
  emails: number;
}

function openCompany(): Company {
  return {
    notes: new Map([
      ['standup', 'Shipped the new checkout. Next: refunds page.'],
      ['on-call', 'This week: Ana. Next week: Ben.'],
    ]),
    files: new Map([
      ['/reports/2026-q3.pdf', 184_320],
      ['/reports/2026-q2.pdf', 172_032],
      ['/invoices/A-1001.pdf', 20_480],
      ['/keys/production.pem', 1_704],
    ]),
    customers: ['Ana Ruiz', 'Ben Okafor', 'Chiara Rossi'],
    refunds: 0,
    emails: 0,
  };
}

function text(...lines: readonly string[]): { content: { type: 'text'; text: string }[] } {
  return { content: [{ type: 'text', text: lines.join('\n') }] };
}

function failure(line: string): ReturnType<typeof text> & { isError: true } {
  return { ...text(line), isError: true };
}

function noteTools(server: McpServer, { notes }: Company): void {
  server.registerTool(
    'read_note',
    {
      description: 'Reads a note of the team.',
      inputSchema: { name: z.string().describe('Name of the note, e.g. standup') },
      annotations: { readOnlyHint: true },
    },
    ({ name }) => {
      const note = notes.get(name);
      return note === undefined ? failure(`There is no note ${name}.`) : text(note);
    },
  );
  server.registerTool(
    'write_note',
    {
      description: 'Writes a note of the team, in place of the one with the same name.',
      inputSchema: { name: z.string(), text: z.string() },
    },
    ({ name, text: note }) => {
      notes.set(name, note);
      return text(`Wrote note ${name}, ${note.length} characters.`);
    },
  );
}

function fileTools(server: McpServer, { files }: Company): void {
  server.registerTool(
    'list_files',
    {
      description: 'Lists the company’s files.',
      inputSchema: { folder: z.string().optional().describe('Only files under this folder, e.g. /reports') },
      annotations: { readOnlyHint: true },
    },
    ({ folder = '/' }) => {
      const found = [...files].filter(([path]) => path.startsWith(folder));
      return text(...found.map(([path, bytes]) => `${path}  ${bytes} bytes`));
    },
  );
  server.registerTool(
    'delete_file',
    {
      description: 'Deletes a file for good.',
      inputSchema: { path: z.string() },
      annotations: { destructiveHint: true },
    },
    ({ path }) => (files.delete(path) ? text(`Deleted ${path}.`) : failure(`There is no file ${path}.`)),
  );
}

function paymentTools(server: McpServer, company: Company): void {
  server.registerTool(
    'create_refund',
    {
      description: 'Pays money back to the customer of an order.',
      inputSchema: {
        amount: z.number().positive().describe('In units of the currency, e.g. 12.50'),
        currency: z.string().describe('ISO 4217, e.g. EUR'),
        order: z.string().describe('e.g. A-1001'),
      },
    },
    ({ amount, currency, order }) => {
      company.refunds += 1;
      return text(`Refund R-${company.refunds}: ${amount.toFixed(2)} ${currency} for order ${order}.`);
    },
  );
  server.registerTool(
    'run_query',
    { description: 'Runs SQL on the customer database.', inputSchema: { sql: z.string() } },
    ({ sql }) => {
      if (/^\s*select\b/i.test(sql)) return text(...company.customers);
      return text(`Done: ${sql.trim().split(/\s+/, 1)[0] ?? ''}.`);
    },
  );
}

function outsideTools(server: McpServer, company: Company): void {
  server.registerTool(
    'send_email',
    {
      description: 'Sends an e-mail in the company’s name.',
      inputSchema: { to: z.string(), body: z.string() },
    },
    ({ to, body }) => {
      company.emails += 1;
      return text(`Sent e-mail ${company.emails} to ${to}, ${body.length} characters.`);
    },
  );
  server.registerTool(
    'get_weather',
    {
      description: 'The weather in a city, as the sample company imagines it.',
      inputSchema: { city: z.string() },
      annotations: { readOnlyHint: true },
    },
    ({ city }) => text(`${city}: ${12 + (city.length % 14)} °C, light wind.`),
  );
}
