/** The traffic of the fan-out tests: an upstream that answers every kind of call, and agents without anything above fetch. */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { ACCEPTED_ARGUMENTS, INVALID_UTF8, REFUSED_MESSAGES, toolCall } from '../hostile-arguments.ts';
import { makeMixedCalls, MIXED_CALLS, type MadeCall } from '../mixed-calls.ts';
import type { Agent } from '../traced-agent.ts';

/** At once; each makes its calls one after the other. */
const LANES = 16;

export interface Upstream {
  readonly port: number;
  close(): Promise<void>;
}

/** `fail` answers with a tool error, `break` with a JSON-RPC error, anything else well. */
export async function startUpstream(): Promise<Upstream> {
  const server = createServer((request, response) => {
    void json(request).then((message) => {
      // What the proxy lets through is a call that it has parsed.
      const { id, params } = message as { readonly id: unknown; readonly params: { readonly name: string } };
      const { name } = params;
      const result = { content: [{ type: 'text', text: name }], isError: name === 'fail' };
      const answer =
        name === 'break' ? { error: { code: -32603, message: 'broken on purpose' } } : { result };
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ jsonrpc: '2.0', id, ...answer }));
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    // A server that listens on TCP has an AddressInfo.
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

export interface Door {
  readonly url: string;
  readonly key: string;
}

/** Makes so many calls of every kind in MIXED_CALLS, and throws where one is not answered as policy says. */
export async function makeCalls(door: Door, count: number): Promise<readonly MadeCall[]> {
  const agent = agentAt(door);
  const shares = Array.from(
    { length: LANES },
    (_, lane) => Math.floor(count / LANES) + (lane < count % LANES ? 1 : 0),
  );
  const made = (await Promise.all(shares.map((share) => makeMixedCalls(agent, share)))).flat();
  for (const call of made) {
    if (call.answer !== (call.outcome ?? 'tool_error'))
      throw new Error(`answered otherwise than policy says: ${JSON.stringify(call)}`);
  }
  return made;
}

/** Makes one call that is allowed and whose arguments say something. */
export async function makeSayingCall(door: Door, message: string): Promise<MadeCall> {
  const [allowed] = MIXED_CALLS;
  if (allowed === undefined) throw new Error('there is no call');
  const traced = await agentAt(door).call({ tool: allowed.tool, args: { message }, sampled: true });
  return { ...allowed, sampled: true, ...traced };
}

/** Sends what a hostile agent sends. @returns how many of them were let through, and how many were not */
export async function makeHostileCalls(
  door: Door,
): Promise<{ readonly allowed: number; readonly denied: number }> {
  const send = async (body: string | Uint8Array, expected: number): Promise<void> => {
    const { status, text } = await post(door, body, traceparent(randomBytes(16).toString('hex'), true));
    if (status !== expected) throw new Error(`${status}, and not ${expected}: ${text.slice(0, 200)}`);
  };
  for (const [, args] of ACCEPTED_ARGUMENTS) await send(toolCall(args), 200);
  for (const [, message] of REFUSED_MESSAGES) await send(message, 400);
  await send(INVALID_UTF8, 400);
  return { allowed: ACCEPTED_ARGUMENTS.length, denied: REFUSED_MESSAGES.length + 1 };
}

function agentAt(door: Door): Agent {
  let id = 0;
  return {
    async call({ tool, args, sampled }) {
      id += 1;
      const traceId = randomBytes(16).toString('hex');
      const parent = traceparent(traceId, sampled);
      const params = { name: tool, arguments: args };
      const { text } = await post(
        door,
        JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params }),
        parent,
      );
      // An answer to a call, by the proxy or by the upstream above.
      const answer = JSON.parse(text) as {
        readonly error?: unknown;
        readonly result?: { isError?: boolean };
      };
      const kind =
        answer.error !== undefined ? 'rpc_error' : answer.result?.isError === true ? 'tool_error' : 'ok';
      return { traceId, spanId: parent.slice(36, 52), ambient: undefined, answer: kind };
    },
    close: async () => {},
  };
}

function traceparent(traceId: string, sampled: boolean): string {
  return `00-${traceId}-${randomBytes(8).toString('hex')}-0${sampled ? 1 : 0}`;
}

async function post(
  { url, key }: Door,
  body: string | Uint8Array,
  parent: string,
): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      traceparent: parent,
    },
    body,
  });
  return { status: response.status, text: await response.text() };
}
