/** The demo's agent: an ordinary MCP client, and a hostile one that writes its own bytes. */
import { randomBytes } from 'node:crypto';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

export interface AgentTarget {
  /** The proxy's endpoint, `http://HOST:PORT/SERVER/mcp`. */
  readonly url: URL;
  readonly key: string;
}

interface ToolCall {
  readonly tool: string;
  readonly args: Record<string, unknown>;
}

/** What a support agent does in a day, well and badly. */
export const TOOL_CALLS: readonly ToolCall[] = [
  { tool: 'get_weather', args: { city: 'Lisbon' } },
  { tool: 'read_note', args: { name: 'standup' } },
  { tool: 'read_note', args: { name: 'nowhere' } },
  { tool: 'list_files', args: { folder: '/reports' } },
  { tool: 'list_files', args: { folder: '/reports/../keys' } },
  { tool: 'write_note', args: { name: 'support-today', text: 'three tickets left' } },
  { tool: 'create_refund', args: { order: 'A-17', amount: 1200, currency: 'eur' } },
  { tool: 'create_refund', args: { order: 'A-18', amount: 90_000, currency: 'eur' } },
  { tool: 'create_refund', args: { order: 'A-19', amount: '900', currency: 'eur' } },
  { tool: 'run_query', args: { sql: 'SELECT count(*) FROM orders' } },
  { tool: 'run_query', args: { sql: 'DROP TABLE orders' } },
  { tool: 'delete_file', args: { path: '/files/invoices.csv' } },
  {
    tool: 'send_email',
    args: { to: 'a@example.org', body: 'hello', smtp_password: 'hunter2-is-not-a-password' },
  },
];

/** Runs the calls one after the other. Denials come back as ordinary results, so nothing throws on them. */
export async function runAgent(target: AgentTarget): Promise<void> {
  const client = new Client({ name: 'demo-agent', version: '1.0.0' });
  const transport = new StreamableHTTPClientTransport(target.url, {
    requestInit: { headers: { authorization: `Bearer ${target.key}` } },
  });
  await client.connect(transport);
  await client.listTools();
  for (const { tool, args } of TOOL_CALLS) {
    await client.callTool({ name: tool, arguments: args, _meta: { traceparent: newTraceparent() } });
  }
  await client.close();
}

const CALL = '"jsonrpc":"2.0","id":1,"method":"tools/call"';

/** Bytes that look harmless to one parser and harmful to another, or that no parser should have to read. */
export const HOSTILE_BODIES: readonly string[] = [
  `{${CALL},"params":{"name":"get_weather","name":"delete_file","arguments":{}}}`,
  `{${CALL},"params":{"name":"get_weather","Name":"delete_file","arguments":{}}}`,
  `[{${CALL},"params":{"name":"get_weather","arguments":{}}},{${CALL},"params":{"name":"delete_file"}}]`,
  `{${CALL},"params":{"name":"get_weather","arguments":${'['.repeat(10_000)}${']'.repeat(10_000)}}}`,
  `{"jsonrpc":"2.0","id":1,"method":"tools/forget","params":{}}`,
];

/** Posts the hostile bodies, then one harmless call with a key that nobody has. */
export async function runHostileAgent(target: AgentTarget): Promise<void> {
  for (const body of HOSTILE_BODIES) await post(target.url, target.key, body);
  const harmless = `{${CALL},"params":{"name":"get_weather","arguments":{"city":"Oslo"}}}`;
  await post(target.url, `k_0000_${'A'.repeat(43)}`, harmless);
}

async function post(url: URL, key: string, body: string): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      traceparent: newTraceparent(),
    },
    body,
  });
  await response.arrayBuffer();
}

/** A W3C traceparent as an instrumented agent would send it: sampled, new trace, new span. */
function newTraceparent(): string {
  return `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;
}
