/** Sessions and calls of the soak that are made by hand, in both eras of MCP. */
import * as http from 'node:http';
import {
  callTool,
  expect,
  newTrace,
  read,
  send,
  textOf,
  type Message,
  type Sent,
  type Wire,
} from './wire.ts';
import type { Fate } from './ledger.ts';

const LEGACY = '2025-11-25';
const MODERN = '2026-07-28';
const CLIENT = { name: 'soak', version: '1.0.0' };

/** A session of 2025-11-25. */
export interface RawSession {
  readonly id: string;
  post(message: Message, fate: Fate, key?: string): Sent;
  stream(): Sent;
  /** DELETE. */
  end(): Sent;
}

export async function openSession(wire: Wire, key: string, agent: http.Agent): Promise<RawSession> {
  const params = { protocolVersion: LEGACY, capabilities: { elicitation: {} }, clientInfo: CLIENT };
  const opening = textOf({ method: 'initialize', params });
  const first = await read(send(wire, { fate: 'allow', method: 'initialize', body: opening, key, agent }));
  expect('initialize', first, 200);
  const id = String(first.headers['mcp-session-id']);
  const headers = { 'mcp-session-id': id, 'mcp-protocol-version': LEGACY };
  const post: RawSession['post'] = (message, fate, own = key) => {
    // In both places, because a server on pipes sees no headers.
    const trace = newTrace();
    const body = textOf(message, { traceparent: trace.header });
    return send(wire, { fate, method: message.method, body, key: own, headers, agent, trace });
  };
  const begun = await read(post({ method: 'notifications/initialized', notification: true }, 'allow'));
  expect('initialized', begun, 202);
  return {
    id,
    post,
    stream: () => send(wire, { fate: 'allow', method: 'transport/stream', verb: 'GET', key, headers, agent }),
    end: () => send(wire, { fate: 'allow', method: 'transport/delete', verb: 'DELETE', key, headers, agent }),
  };
}

/** A message of 2026-07-28, which stands alone. */
export function postModern(wire: Wire, message: Message, fate: Fate, key: string): Sent {
  const { method, params = {} } = message;
  const trace = newTrace();
  const meta = {
    traceparent: trace.header,
    'io.modelcontextprotocol/protocolVersion': MODERN,
    'io.modelcontextprotocol/clientInfo': CLIENT,
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const name = (params as { name?: string }).name;
  const headers = {
    'mcp-protocol-version': MODERN,
    'mcp-method': method,
    ...(name !== undefined && { 'mcp-name': name }),
  };
  return send(wire, { fate, method, body: textOf(message, meta), key, headers, trace });
}

/** One whole call that must be answered. */
export async function callEcho(wire: Wire, session: RawSession | undefined, key: string): Promise<void> {
  const text = `said ${wire.random(1_000_000)}`;
  const call = callTool('echo', { text });
  const sent =
    session === undefined ? postModern(wire, call, 'allow', key) : session.post(call, 'allow', key);
  expect('echo', await read(sent), 200, new RegExp(`"text":"${text}"`));
}

/** Kept connections of one client's own, closed behind it whatever happens. */
export async function withAgent(use: (agent: http.Agent) => Promise<void>): Promise<void> {
  const agent = new http.Agent({ keepAlive: true });
  try {
    await use(agent);
  } finally {
    agent.destroy();
  }
}
