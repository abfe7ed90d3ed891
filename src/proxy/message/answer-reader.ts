/**
 * What comes back from the other side of the relay. Responses are read leniently, because their bytes are passed
 * on as they are and only the outcome is taken from them; whatever could be a request or a notification is parsed
 * as strictly as what a client sends. Pure.
 */
import type { ErrorCode, ErrorDetails } from '../../errors.ts';
import type { Outcome } from '../gate.ts';
import { mayAsk } from './inputs.ts';
import { ENVELOPE_MEMBERS, parseMessage } from './message.ts';
import type { Glimpse, Id, MessageLimits, NotificationMessage, RequestMessage } from './message.ts';
import { shown } from './strict-json.ts';

export type ReadAnswer =
  | {
      readonly kind: 'response';
      /** null where the other side could not read the id of what it refuses. */
      readonly id: Id | null;
      readonly outcome: Pick<Outcome, 'status' | 'errorType' | 'rpcCode'>;
      /** Where the server may be asking for something in it, see inputs.ts. */
      readonly asks?: true;
      /** Of the task that a result begins or tells of (2025-11-25, and SEP-2663). */
      readonly taskId?: string;
    }
  | { readonly kind: 'message'; readonly message: RequestMessage | NotificationMessage }
  | {
      readonly kind: 'refused';
      readonly code: ErrorCode;
      readonly details: ErrorDetails;
      /** As in ParseResult. */
      readonly message?: Glimpse | undefined;
    };

/**
 * Reads one message from the other side. Never throws.
 * @param bytes at most as many as the caller is ready to hold: there is no limit here
 * @param limits hold for requests and notifications only
 */
export function readAnswer(bytes: Uint8Array, limits: Partial<MessageLimits> = {}): ReadAnswer {
  const text = decoded(bytes);
  const value = text === undefined ? undefined : parsed(text);
  if (text === undefined || value === undefined) return refused('parse_json', 'it cannot be read');
  if (Array.isArray(value)) return { kind: 'refused', code: 'parse_batch', details: {} };
  if (!isMembers(value)) return refused('parse_envelope', 'it is not an object');
  for (const member of Object.keys(value)) {
    // A client that ignores case would take `Method` for a method.
    if (!ENVELOPE_MEMBERS.has(member)) {
      return refused('parse_envelope', `the member ${shown(member)} is unknown`);
    }
  }
  return Object.hasOwn(value, 'method') ? readMessage(bytes, limits) : readResponse(value, text);
}

type Members = Readonly<Record<string, unknown>>;

// Bytes that are not UTF-8 become U+FFFD: in a value they change nothing here, in a member's name they are refused.
const lenientUtf8 = new TextDecoder('utf-8');

/** undefined where the text would be longer than a string can be. */
function decoded(bytes: Uint8Array): string | undefined {
  try {
    return lenientUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** undefined where it is not JSON, or nested deeper than the platform's parser goes. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readMessage(bytes: Uint8Array, limits: Partial<MessageLimits>): ReadAnswer {
  const result = parseMessage(bytes, limits);
  if (!result.ok) {
    const { code, details, message } = result;
    return { kind: 'refused', code, details, message };
  }
  // With a method there it cannot be one; the types do not know.
  if (result.message.kind === 'response') return refused('parse_envelope', 'it is not a request');
  return { kind: 'message', message: result.message };
}

function readResponse(members: Members, text: string): ReadAnswer {
  const failed = Object.hasOwn(members, 'error');
  if (failed === Object.hasOwn(members, 'result')) {
    return refused('parse_envelope', 'it must have a method, or exactly one of result and error');
  }
  const id = idIn(members['id'], text);
  if (id === undefined || (id === null && !failed)) {
    return refused('parse_envelope', 'id must be a string or an integer');
  }
  const outcome = failed ? errorOutcome(members['error']) : resultOutcome(members);
  return { kind: 'response', id, outcome, ...(mayAsk(text) && { asks: true }), ...taskIn(members) };
}

function taskIn({ result }: Members): { readonly taskId?: string } {
  if (!isMembers(result)) return {};
  const { task } = result;
  const taskId = isMembers(task) ? task['taskId'] : result['taskId'];
  return typeof taskId === 'string' ? { taskId } : {};
}

function resultOutcome(members: Members): Pick<Outcome, 'status' | 'errorType'> {
  const result = members['result'];
  const isToolError = isMembers(result) && result['isError'] === true;
  return isToolError ? { status: 'tool_error', errorType: 'tool_error' } : { status: 'ok' };
}

/** What OTel's error.type says when there is nothing better to say (semantic conventions, error attributes). */
const OTHER_ERROR = '_OTHER';

function errorOutcome(error: unknown): Pick<Outcome, 'status' | 'errorType' | 'rpcCode'> {
  const code = isMembers(error) ? error['code'] : undefined;
  if (!Number.isSafeInteger(code)) return { status: 'rpc_error', errorType: OTHER_ERROR };
  return { status: 'rpc_error', errorType: String(code), rpcCode: String(code) };
}

/** The id as message.ts writes it; null for none, undefined for what cannot be one. */
function idIn(value: unknown, text: string): Id | null | undefined {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return { json: JSON.stringify(value), text: value };
  if (typeof value !== 'number' || !Number.isInteger(value)) return undefined;
  const digits = Number.isSafeInteger(value) ? String(value) : wideIdIn(text, value);
  return { json: digits, text: digits };
}

/** The digits of an id that a double cannot hold: they are asked for again, as they stand in the text. */
function wideIdIn(text: string, value: number): string {
  const sources = new Map<unknown, string | undefined>();
  const noteIds = function (this: unknown, key: string, member: unknown, context?: Source): unknown {
    if (key === 'id') sources.set(this, context?.source);
    return member;
  };
  try {
    const source = sources.get(JSON.parse(text, noteIds));
    if (source !== undefined && INTEGER.test(source)) return source;
  } catch {
    // With a reviver the platform's parser recurses, and nesting can exhaust the stack.
  }
  return String(BigInt(value));
}

/** What a reviver is told of a scalar (ECMAScript, JSON.parse source text access). */
interface Source {
  readonly source?: string;
}

const INTEGER = /^-?[0-9]+$/;

function refused(code: ErrorCode, detail: string): ReadAnswer {
  return { kind: 'refused', code, details: { detail } };
}
