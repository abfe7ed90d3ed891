/** How section `peers` calls, in each era of MCP. */
import { Agent } from 'node:http';
import { callText, post, type HttpCalls } from '../http-client.ts';
import type { StdioCalls } from '../stdio-client.ts';

/** Revisions of MCP that stand for their eras. */
export type Era = '2025-11-25' | '2026-07-28';

const LEGACY: Era = '2025-11-25';
const CLIENT = { name: 'bench', version: '1.0.0' };

/** What the server says is what it was asked for, so an answer is that of its own call. */
const expected = (id: number): string => `"text":"A-10482-${id}"`;
/** One, because a session belongs to one caller. */
const addresses = [undefined];

/** Opens what calls need, and says how they are made. */
export async function openCalls(era: Era, url: string): Promise<HttpCalls> {
  return era === LEGACY ? await openSession(url) : modernCalls();
}

/** One session, for all callers. */
async function openSession(url: string): Promise<HttpCalls> {
  const agent = new Agent({ keepAlive: true });
  const place = { target: new URL(url), agent };
  const begun = await post(place, handshake(0), {});
  const session = begun.headers['mcp-session-id'];
  if (begun.status !== 200 || typeof session !== 'string') {
    throw new Error(`${url} opened no session: ${begun.status} ${begun.text}`);
  }
  const headers = { 'mcp-session-id': session, 'mcp-protocol-version': LEGACY };
  const { status, text } = await post(place, INITIALIZED, headers);
  if (status !== 202) throw new Error(`${url} takes no notification: ${status} ${text}`);
  agent.destroy();
  return { headers, addresses, textOf: (id) => callText(id), expected };
}

/** The same over pipes, where the connection is the session. */
export function pipedCalls(era: Era): StdioCalls {
  const textOf = era === LEGACY ? (id: number) => callText(id) : modernText;
  return { textOf, expected, greeting: era === LEGACY ? [handshake(0), INITIALIZED] : [] };
}

/** ASCII. */
function handshake(id: number): string {
  const params = { protocolVersion: LEGACY, capabilities: {}, clientInfo: CLIENT };
  return JSON.stringify({ jsonrpc: '2.0', id, method: 'initialize', params });
}

const INITIALIZED = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' });

const MODERN: Era = '2026-07-28';
const MODERN_META = {
  'io.modelcontextprotocol/protocolVersion': MODERN,
  'io.modelcontextprotocol/clientInfo': CLIENT,
  'io.modelcontextprotocol/clientCapabilities': {},
};

function modernText(id: number): string {
  return callText(id, MODERN_META);
}

function modernCalls(): HttpCalls {
  const headers = { 'mcp-protocol-version': MODERN, 'mcp-method': 'tools/call', 'mcp-name': 'read_order' };
  return { headers, addresses, textOf: modernText, expected };
}
