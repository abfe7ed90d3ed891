/** Messages of the soak's clients on their way, each in a trace of its own and noted in the ledger. */
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import * as http from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { within } from '../within.ts';
import type { Random } from '../simulated-inode.ts';
import type { Entry, Fate, Ledger } from './ledger.ts';

/** Far beyond what anything takes here, on whatever machine. */
const ANSWER_DEADLINE_MS = 60_000;

export interface Wire {
  readonly ledger: Ledger;
  readonly random: Random;
  /** Of the server that clients talk to. */
  readonly url: URL;
  /** API keys: of a caller who may do all of it, and of one who may only `echo`. */
  readonly keys: { readonly all: string; readonly few: string };
}

export interface Message {
  readonly method: string;
  readonly params?: object;
  /** Default: one of its own. */
  readonly id?: string;
  /** Sent without an id. */
  readonly notification?: boolean;
}

export interface Sending {
  readonly fate: Fate;
  /** What stands in the ledger; an HTTP verb has a method there too. */
  readonly method: string;
  readonly verb?: 'POST' | 'GET' | 'DELETE';
  readonly body?: string | Uint8Array | undefined;
  /** Undefined: none. */
  readonly key: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly agent?: http.Agent;
  /** Default: a new one. */
  readonly trace?: Trace;
}

export interface Sent {
  readonly entry: Entry;
  readonly request: http.ClientRequest;
  /** The head of the answer. */
  readonly response: Promise<http.IncomingMessage>;
}

/** @param meta of the parameters */
export function textOf(message: Message, meta?: object): string {
  const { method, id = randomUUID(), notification = false } = message;
  const params = { ...message.params, ...(meta !== undefined && { _meta: meta }) };
  return JSON.stringify({ jsonrpc: '2.0', ...(!notification && { id }), method, params });
}

export function callTool(name: string, args: object = {}): Message {
  return { method: 'tools/call', params: { name, arguments: args } };
}

export interface Trace {
  readonly traceId: string;
  /** Value of `traceparent`. */
  readonly header: string;
}

export function newTrace(): Trace {
  const traceId = randomBytes(16).toString('hex');
  return { traceId, header: `00-${traceId}-${randomBytes(8).toString('hex')}-01` };
}

/** Begins a request; its body is written where there is one, and the request is then ended. */
export function send(wire: Wire, sending: Sending): Sent {
  const { body } = sending;
  const length = body === undefined ? undefined : Buffer.byteLength(body);
  const begun = begin(wire, sending, length);
  begun.request.end(body);
  return begun;
}

/** Begins a request and leaves its body to the caller. @param length of the body that is announced */
export function begin(wire: Wire, sending: Sending, length: number | undefined): Sent {
  const { verb = 'POST', key, headers = {}, agent = false, method, fate } = sending;
  const { traceId, header } = sending.trace ?? newTrace();
  const entry = wire.ledger.send(traceId, method, fate);
  const request = http.request(wire.url, {
    method: verb,
    agent,
    headers: {
      accept: 'application/json, text/event-stream',
      traceparent: header,
      ...(length !== undefined && { 'content-type': 'application/json', 'content-length': length }),
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...headers,
    },
  });
  // The one that waits for an answer hears of it; the others have gone away.
  request.on('error', () => {});
  const response = once(request, 'response').then(([answer]) => {
    entry.answered = true;
    const incoming = answer as http.IncomingMessage;
    incoming.on('error', () => {});
    return incoming;
  });
  response.catch(() => {});
  return { entry, request, response };
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

/** All of an answer. @param pauseMs before each piece of it is read */
export async function read({ entry, response }: Sent, pauseMs = 0): Promise<Answer> {
  const incoming = await within(`an answer to ${entry.method}`, response, ANSWER_DEADLINE_MS);
  const { statusCode: status = 0, headers } = incoming;
  const chunks: Buffer[] = [];
  const whole = (async () => {
    for await (const chunk of incoming) {
      chunks.push(chunk as Buffer);
      if (pauseMs > 0) await wait(pauseMs);
    }
  })();
  await within(`the end of the answer to ${entry.method}`, whole, ANSWER_DEADLINE_MS);
  return { status, headers, text: Buffer.concat(chunks).toString() };
}

/** Throws where an answer is not what it must be. */
export function expect(what: string, { status, text }: Answer, wanted: number, pattern = /(?:)/): void {
  if (status === wanted && pattern.test(text)) return;
  throw new Error(`${what}: ${status} ${text.slice(0, 300)}`);
}

/** One of a list. */
export function oneOf<T>(random: Random, items: readonly T[]): T {
  // There is one: no list here is empty.
  return items[random(items.length)] as T;
}
