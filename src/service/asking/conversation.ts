/**
 * One conversation with an MCP server as its client would have it, for what is to be known of a server beforehand.
 * Answers are read as the proxy reads them, to the last digit: what is pinned of them must be what passes later.
 */
import { errorText } from '../../errors.ts';
import type { Json } from '../../event/json.ts';
import { readAnswerText } from '../../proxy/lists/answer-text.ts';
import { readAnswer } from '../../proxy/message/answer-reader.ts';

export type Members = ReadonlyMap<string, Json>;

export interface Conversation {
  /**
   * Asks, and resolves with the result. Rejects with Refused where the server answers, and no.
   * @param timeoutMs default: as the conversation was opened with
   */
  ask(method: string, params: object, timeoutMs?: number): Promise<Members>;
  /** Says something that has no answer. */
  notify(method: string): Promise<void>;
  /** The revision that has been agreed on. */
  agree(protocolVersion: string): void;
  /** Ends it, and what was started for it. Never rejects. */
  close(): Promise<void>;
}

/** The server has answered, and what it says is no. */
export class Refused extends Error {
  override readonly name = 'Refused';
  /** Of HTTP, where it was that which said no. */
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

/** The revision without a handshake. */
export const MODERN = '2026-07-28';

/** Bytes of one message of a server: as many as the proxy takes. */
export const ANSWER_BYTES_MAX = 10 * 1024 * 1024;

export function requestText(id: number, method: string, params: object): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method, params });
}

export function notificationText(method: string): string {
  return JSON.stringify({ jsonrpc: '2.0', method });
}

/** What a message of the server is to somebody who waits for the answer to one request. */
export type Heard =
  | { readonly kind: 'answer'; readonly id: string; readonly result: () => Members }
  /** A request of the server's own, and what it is to be told. */
  | { readonly kind: 'request'; readonly reply: string }
  | { readonly kind: 'other' };

/** @param bytes one message; what is none is `other`, for servers write all sorts of things to their stdout */
export function hear(bytes: Uint8Array): Heard {
  const read = readAnswer(bytes);
  if (read.kind === 'response' && read.id !== null) {
    return { kind: 'answer', id: read.id.json, result: () => resultOf(bytes) };
  }
  if (read.kind !== 'message' || read.message.kind !== 'request') return { kind: 'other' };
  const { id, method } = read.message;
  const said =
    method === 'ping' ? '"result":{}' : '"error":{"code":-32601,"message":"Nobody is here to ask."}';
  return { kind: 'request', reply: `{"jsonrpc":"2.0","id":${id.json},${said}}` };
}

function resultOf(bytes: Uint8Array): Members {
  const read = readAnswerText(bytes);
  if (!read.ok) throw new Error(`its answer cannot be read: ${errorText(read.code, read.details)}`);
  if (read.result === undefined) throw new Refused(errorMessageIn(read.text));
  return read.result;
}

function errorMessageIn(text: string): string {
  const answer = JSON.parse(text) as { readonly error?: { readonly message?: unknown } };
  return typeof answer.error?.message === 'string' ? answer.error.message : 'it answers with an error';
}
