import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { startDemoServer } from '../../src/cli/demo-server.ts';

const TOOLS = [
  'create_refund',
  'delete_file',
  'get_weather',
  'list_files',
  'read_note',
  'run_query',
  'send_email',
  'write_note',
];

async function said(client: Client, name: string, args: Readonly<Record<string, unknown>>): Promise<string> {
  const result = await client.callTool({ name, arguments: args });
  const [first] = result.content as readonly { readonly text: string }[];
  return `${result.isError === true ? 'ERROR ' : ''}${first?.text ?? ''}`;
}

const CALLS: readonly (readonly [string, Readonly<Record<string, unknown>>, RegExp])[] = [
  ['read_note', { name: 'standup' }, /checkout/],
  ['read_note', { name: 'nowhere' }, /^ERROR There is no note/],
  ['write_note', { name: 'plan', text: 'ship it' }, /7 characters/],
  ['read_note', { name: 'plan' }, /^ship it$/],
  ['list_files', { folder: '/reports' }, /2026-q3.*\n.*2026-q2/],
  ['delete_file', { path: '/reports/2026-q2.pdf' }, /^Deleted/],
  ['delete_file', { path: '/reports/2026-q2.pdf' }, /^ERROR/],
  ['create_refund', { amount: 40, currency: 'EUR', order: 'A-1001' }, /R-1: 40\.00 EUR for order A-1001/],
  ['create_refund', { amount: 'much', currency: 'EUR', order: 'A-1001' }, /^ERROR/],
  ['run_query', { sql: 'SELECT name FROM customers' }, /Ana Ruiz/],
  ['run_query', { sql: 'DROP TABLE customers' }, /^Done: DROP/],
  ['send_email', { to: 'ana@example.com', body: 'hi' }, /1 to ana@example\.com, 2 characters/],
  ['get_weather', { city: 'Oslo' }, /^Oslo: \d+ °C/],
  ['no_such_tool', {}, /^ERROR/],
];

test('the sample company serves its tools over HTTP and knows each call that arrived', async () => {
  const server = await startDemoServer();
  const client = new Client({ name: 'test', version: '1' });
  await client.connect(new StreamableHTTPClientTransport(new URL(server.url)));
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map((tool) => tool.name).sort(), TOOLS);
  for (const [name, args, expected] of CALLS) assert.match(await said(client, name, args), expected);
  assert.deepEqual(
    server.received(),
    CALLS.map(([name]) => name),
  );
  await client.close();
  await server.close();
});

test('other paths and methods are turned away', async () => {
  const server = await startDemoServer({ host: '127.0.0.1', port: 0 });
  assert.equal((await fetch(server.url)).status, 405);
  assert.equal((await fetch(server.url.replace('/mcp', '/'), { method: 'POST' })).status, 404);
  assert.deepEqual(server.received(), []);
  await server.close();
});
