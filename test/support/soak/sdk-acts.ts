/** What clients of the soak do that are built on the SDKs, as most agents are. */
import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernHttp,
} from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import type { Act } from './acts.ts';
import type { Fate } from './ledger.ts';
import { newTrace, type Wire } from './wire.ts';

/** What the method table does not record. */
const SILENT = new Set(['notifications/cancelled', 'notifications/progress', 'ping', 'logging/setLevel']);
/** Tools that no rule allows. */
const DENIED = new Set(['delete_all']);

interface Body {
  readonly method?: string;
  readonly params?: { readonly name?: string };
}

/** A fetch that gives each request a trace of its own and notes it in the ledger. */
function tracedFetch(wire: Wire) {
  return async (input: string | URL, init: RequestInit = {}): Promise<Response> => {
    const { traceId, header } = newTrace();
    const { method = 'GET', body } = init;
    const entry = noteOf(method, body);
    const noted = entry === undefined ? undefined : wire.ledger.send(traceId, entry.method, entry.fate);
    const headers = new Headers(init.headers);
    headers.set('traceparent', header);
    const response = await fetch(input, { ...init, headers });
    if (noted !== undefined) noted.answered = true;
    return response;
  };
}

/** Undefined for a response, which is on record as the outcome of what it answers. */
function noteOf(verb: string, text: unknown): { readonly method: string; readonly fate: Fate } | undefined {
  if (verb === 'GET') return { method: 'transport/stream', fate: 'allow' };
  if (verb === 'DELETE') return { method: 'transport/delete', fate: 'allow' };
  const { method, params } = (typeof text === 'string' ? JSON.parse(text) : {}) as Body;
  if (method === undefined) return undefined;
  if (SILENT.has(method)) return { method, fate: 'silent' };
  return { method, fate: DENIED.has(params?.name ?? '') ? 'deny' : 'allow' };
}

/** What the clients of both SDKs have in common here. */
interface Caller {
  callTool(call: { name: string; arguments: Record<string, unknown> }): Promise<unknown>;
}

async function callAll(client: Caller, wire: Wire): Promise<void> {
  for (let calls = wire.random(4) + 1; calls > 0; calls -= 1) {
    const text = `said ${wire.random(1_000_000)}`;
    const result = JSON.stringify(await client.callTool({ name: 'echo', arguments: { text } }));
    if (!result.includes(text)) throw new Error(`echo said ${result}`);
  }
  const { isError } = (await client.callTool({ name: 'delete_all', arguments: {} })) as { isError?: boolean };
  if (isError !== true) throw new Error('a denied call was made');
}

async function session(wire: Wire): Promise<void> {
  const client = new Client({ name: 'soak', version: '1.32' }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept' as const, content: {} }));
  const transport = new StreamableHTTPClientTransport(wire.url, {
    fetch: tracedFetch(wire),
    requestInit: { headers: { authorization: `Bearer ${wire.keys.all}` } },
  });
  try {
    await client.connect(transport);
    await client.listTools();
    await callAll(client, wire);
    const asked = JSON.stringify(await client.callTool({ name: 'ask', arguments: {} }));
    if (!asked.includes('accept')) throw new Error(`ask said ${asked}`);
    await cancel(({ signal }) =>
      client.callTool({ name: 'slow', arguments: { ms: 5000 } }, undefined, { signal }),
    );
    if (wire.random(3) === 0) await transport.terminateSession();
  } finally {
    await client.close();
  }
}

async function modern(wire: Wire): Promise<void> {
  const client = new ModernClient(
    { name: 'soak', version: '2.4' },
    { versionNegotiation: { mode: { pin: '2026-07-28' } } },
  );
  const transport = new ModernHttp(wire.url, {
    fetch: tracedFetch(wire),
    requestInit: { headers: { authorization: `Bearer ${wire.keys.all}` } },
  });
  try {
    await client.connect(transport);
    await client.listTools();
    await callAll(client, wire);
    await cancel(({ signal }) => client.callTool({ name: 'slow', arguments: { ms: 5000 } }, { signal }));
  } finally {
    await client.close();
  }
}

/** Time for a call to be on its way. */
const UNDER_WAY_MS = 200;

/** Gives a call up while it runs. */
async function cancel(call: (options: { readonly signal: AbortSignal }) => Promise<unknown>): Promise<void> {
  try {
    await call({ signal: AbortSignal.timeout(UNDER_WAY_MS) });
  } catch {
    return;
  }
  throw new Error('a call was answered that was given up');
}

export const SDK_ACTS: readonly Act[] = [
  { name: 'a session by SDK 1.32', weight: 1, run: session },
  { name: 'calls by SDK 2.4', weight: 1, run: modern },
];

/**
 * Ends the connections that `fetch` keeps; there is no other way to reach them, and for a minute nobody would know them
 * from leaked ones.
 */
export async function dropKeptConnections(): Promise<void> {
  const kept = Reflect.get(globalThis, Symbol.for('undici.globalDispatcher.1')) as Dispatcher;
  Reflect.set(
    globalThis,
    Symbol.for('undici.globalDispatcher.1'),
    new (kept.constructor as new () => Dispatcher)(),
  );
  await kept.close();
}

interface Dispatcher {
  close(): Promise<void>;
}
