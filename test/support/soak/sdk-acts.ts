/** What clients of the soak do that are built on the SDKs, as most agents are. */
import { once } from 'node:events';
import * as http from 'node:http';
import { Readable } from 'node:stream';
import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernHttp,
} from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import type { Act } from './acts.ts';
import type { Fate } from './ledger.ts';
import { withAgent } from './sessions.ts';
import { newTrace, type Wire } from './wire.ts';

/** What the method table does not record. */
const SILENT = new Set(['notifications/cancelled', 'notifications/progress', 'ping', 'logging/setLevel']);
/** Tools that no rule allows. */
const DENIED = new Set(['delete_all']);

interface Body {
  readonly method?: string;
  readonly params?: { readonly name?: string };
}

/**
 * A fetch that gives each request a trace of its own and notes it in the ledger. Over connections of one act: those of
 * the platform's `fetch` outlive their clients, and one of them may be used just when the other side ends it.
 */
function tracedFetch(wire: Wire, agent: http.Agent) {
  return async (input: string | URL, init: RequestInit = {}): Promise<Response> => {
    const { traceId, header } = newTrace();
    const { method = 'GET', body, signal } = init;
    const note = noteOf(method, body);
    const entry = note === undefined ? undefined : wire.ledger.send(traceId, note.method, note.fate);
    const headers = { ...Object.fromEntries(new Headers(init.headers)), traceparent: header };
    const request = http.request(input, { method, headers, agent, ...(signal && { signal }) });
    // Of an answer that is given up while it comes in.
    request.on('error', () => {});
    request.end(body);
    const [incoming] = (await once(request, 'response')) as [http.IncomingMessage];
    if (entry !== undefined) entry.answered = true;
    incoming.on('error', () => {});
    return new Response(bodyOf(incoming), {
      status: incoming.statusCode ?? 0,
      headers: Object.entries(incoming.headers).map(([name, value]): [string, string] => [
        name,
        String(value),
      ]),
    });
  };
}

function bodyOf(incoming: http.IncomingMessage): ReadableStream | null {
  if (incoming.statusCode === 202 || incoming.statusCode === 204) {
    incoming.resume();
    return null;
  }
  // The types of the platform's two streams differ; the streams do not.
  return Readable.toWeb(incoming) as ReadableStream;
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

async function session(wire: Wire, agent: http.Agent): Promise<void> {
  const client = new Client({ name: 'soak', version: '1.32' }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept' as const, content: {} }));
  const transport = new StreamableHTTPClientTransport(wire.url, {
    fetch: tracedFetch(wire, agent),
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

async function modern(wire: Wire, agent: http.Agent): Promise<void> {
  const client = new ModernClient(
    { name: 'soak', version: '2.4' },
    { versionNegotiation: { mode: { pin: '2026-07-28' } } },
  );
  const transport = new ModernHttp(wire.url, {
    fetch: tracedFetch(wire, agent),
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
  { name: 'a session by SDK 1.32', weight: 1, run: (wire) => withAgent((agent) => session(wire, agent)) },
  { name: 'calls by SDK 2.4', weight: 1, run: (wire) => withAgent((agent) => modern(wire, agent)) },
];
