/** The messages that cross the proxy, parsed strictly, with the bytes that they were parsed from. */
import { VerdictError } from '../../errors.ts';
import type { ErrorCode, ErrorDetails } from '../../errors.ts';
import { isObject, JsonNumber } from '../../event/json.ts';
import type { Json } from '../../event/json.ts';
import { copied } from '../../event/text.ts';
import { glimpseCall, readCall } from './call.ts';
import type { Call } from './call.ts';
import type { Limit } from '../limit.ts';
import { parseStrictJson, shown } from './strict-json.ts';
import type { JsonLimits, Span } from './strict-json.ts';

export type { Call } from './call.ts';

/** A JSON-RPC id. Two ids are the same when their `json` is. */
export interface Id {
  /** As JSON: `1`, `"a"`. Goes into answers. */
  readonly json: string;
  /** As text: `1`, `a`. Goes into records. */
  readonly text: string;
}

export interface RequestMessage {
  readonly kind: 'request';
  readonly id: Id;
  readonly method: string;
  readonly params: ReadonlyMap<string, Json>;
  readonly call: Call;
  readonly bytes: Uint8Array;
}

export interface NotificationMessage {
  readonly kind: 'notification';
  readonly method: string;
  readonly params: ReadonlyMap<string, Json>;
  readonly call: Call;
  readonly bytes: Uint8Array;
}

export interface ResponseMessage {
  readonly kind: 'response';
  /** null where the error answers a request whose id could not be read. */
  readonly id: Id | null;
  readonly bytes: Uint8Array;
}

export type Message = RequestMessage | NotificationMessage | ResponseMessage;

/** What could be read of a message that is refused. Unchecked: for records, never for a decision. */
export type Glimpse = Pick<RequestMessage, 'method' | 'call'>;

export type ParseResult =
  | { readonly ok: true; readonly message: Message }
  | {
      readonly ok: false;
      readonly code: ErrorCode;
      readonly details: ErrorDetails;
      /** The id, where it could be read without doubt. */
      readonly id: Id | null;
      /** On `parse_params`. */
      readonly message?: Glimpse | undefined;
    };

/** Bytes of one message. */
export const MESSAGE_BYTES_MAX: Limit = { default: 4 * 1024 * 1024, maximum: 64 * 1024 * 1024 };

/** Bytes of UTF-8 of a method name. Not configurable: the longest known has 36. */
export const METHOD_BYTES_MAX = 256;

export interface MessageLimits extends JsonLimits {
  /** Above the maximum it counts as the maximum. */
  readonly bytesMax: number;
}

/**
 * Parses one message: UTF-8, strict JSON, JSON-RPC 2.0 envelope, and the params that decisions rest on. Never
 * throws. The message keeps `bytes` itself, which must not be changed afterwards.
 * Refusals: every `parse_*` code.
 */
export function parseMessage(bytes: Uint8Array, limits: Partial<MessageLimits> = {}): ParseResult {
  const max = Math.min(limits.bytesMax ?? MESSAGE_BYTES_MAX.default, MESSAGE_BYTES_MAX.maximum);
  if (bytes.length > max) return { ok: false, code: 'parse_size', details: { max }, id: null };
  const text = decoded(bytes);
  if (text === undefined) return { ok: false, code: 'parse_utf8', details: {}, id: null };
  const json = parseStrictJson(text, limits);
  if (!json.ok) return { ...json, id: null };
  if (Array.isArray(json.value)) return { ok: false, code: 'parse_batch', details: {}, id: null };
  if (!isObject(json.value)) {
    return { ok: false, code: 'parse_envelope', details: { detail: 'it is not an object' }, id: null };
  }
  try {
    return { ok: true, message: readEnvelope(json.value, { bytes, text, spans: json.spans }) };
  } catch (error) {
    if (!(error instanceof VerdictError)) throw error;
    const { code, details } = error;
    const message = code === 'parse_params' ? glimpse(json.value) : undefined;
    return { ok: false, code, details, id: answerableId(json.value), message };
  }
}

/**
 * An id as JSON-RPC 2.0 and MCP allow it: a string or an integer; undefined for anything else. It is kept for as long as
 * an answer is waited for, and so holds nothing of the message.
 */
export function idOf(value: Json | undefined): Id | undefined {
  if (typeof value === 'string') return { json: JSON.stringify(value), text: copied(value) };
  if (!(value instanceof JsonNumber) || !value.isInteger) return undefined;
  // The one integer with two spellings: an upstream that reads doubles answers -0 with 0.
  const text = value.text === '-0' ? '0' : copied(value.text);
  return { json: text, text };
}

/** The request that a cancellation names: after it no answer need come, and one may still (MCP, cancellation). */
export function cancelledId({ method, params }: NotificationMessage): Id | undefined {
  return method === 'notifications/cancelled' ? idOf(params.get('requestId')) : undefined;
}

type Envelope = ReadonlyMap<string, Json>;

interface Source {
  readonly bytes: Uint8Array;
  readonly text: string;
  readonly spans: ReadonlyMap<Json, Span>;
}

/** The members of JSON-RPC 2.0; any other is refused, so that `Method` cannot be read as `method` behind us. */
export const ENVELOPE_MEMBERS: ReadonlySet<string> = new Set([
  'jsonrpc',
  'id',
  'method',
  'params',
  'result',
  'error',
]);

const NO_PARAMS: ReadonlyMap<string, Json> = new Map();

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** undefined where the bytes are not UTF-8; a byte order mark stays, for the JSON grammar to refuse. */
function decoded(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function readEnvelope(envelope: Envelope, source: Source): Message {
  for (const member of envelope.keys()) {
    if (!ENVELOPE_MEMBERS.has(member)) throw malformed(`the member ${shown(member)} is unknown`);
  }
  if (envelope.get('jsonrpc') !== '2.0') throw malformed('jsonrpc must be "2.0"');
  return envelope.has('method') ? readRequest(envelope, source) : readResponse(envelope, source.bytes);
}

function readRequest(envelope: Envelope, source: Source): RequestMessage | NotificationMessage {
  if (envelope.has('result') || envelope.has('error')) throw malformed('it is both a request and a response');
  const id = idOf(envelope.get('id'));
  if (id === undefined && envelope.has('id')) throw malformed('id must be a string or an integer');
  const method = envelope.get('method');
  if (typeof method !== 'string' || method === '') throw malformed('method must be a non-empty string');
  if (Buffer.byteLength(method) > METHOD_BYTES_MAX) {
    throw malformed(`method is longer than ${METHOD_BYTES_MAX} bytes`);
  }
  const params = envelope.has('params') ? envelope.get('params') : NO_PARAMS;
  if (!isObject(params)) {
    throw new VerdictError('parse_params', { method: shown(method), detail: 'params must be an object' });
  }
  const call = readCall(method, params, (value) => sentBytes(value, source));
  const rest = { method, params, call, bytes: source.bytes };
  return id === undefined ? { kind: 'notification', ...rest } : { kind: 'request', id, ...rest };
}

function readResponse(envelope: Envelope, bytes: Uint8Array): ResponseMessage {
  if (envelope.has('params')) throw malformed('params stand without a method');
  if (envelope.has('result') === envelope.has('error')) {
    throw malformed('it must have a method, or exactly one of result and error');
  }
  const id = idOf(envelope.get('id'));
  if (envelope.has('result')) {
    if (id === undefined) throw malformed('id must be a string or an integer');
    return { kind: 'response', id, bytes };
  }
  const error = envelope.get('error');
  const code = isObject(error) ? error.get('code') : undefined;
  const message = isObject(error) ? error.get('message') : undefined;
  if (!(code instanceof JsonNumber && code.isInteger) || typeof message !== 'string') {
    throw malformed('error must have an integer code and a message');
  }
  // JSON-RPC 2.0 sends null, MCP 2025-11-25 nothing, where the id of the request could not be read.
  if (id === undefined && (envelope.get('id') ?? null) !== null) {
    throw malformed('id must be a string or an integer');
  }
  return { kind: 'response', id: id ?? null, bytes };
}

function sentBytes(value: Json, source: Source): number | undefined {
  const span = source.spans.get(value);
  if (span === undefined) return undefined;
  const [start, end] = span;
  if (source.text.length === source.bytes.length) return end - start;
  return Buffer.byteLength(source.text.slice(start, end));
}

/**
 * The id to answer a refused message with. A message without a method is a response: to answer it by its id
 * would answer whatever request of the sender's own has that id.
 */
function answerableId(envelope: Envelope): Id | null {
  return envelope.has('method') ? (idOf(envelope.get('id')) ?? null) : null;
}

/** Of an envelope that is good but for its params. */
function glimpse(envelope: Envelope): Glimpse | undefined {
  const method = envelope.get('method');
  return typeof method === 'string'
    ? { method, call: glimpseCall(method, envelope.get('params')) }
    : undefined;
}

function malformed(detail: string): VerdictError {
  return new VerdictError('parse_envelope', { detail });
}
