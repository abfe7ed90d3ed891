/** What whoever sent it is told of a message that the gate refuses. Pure. */
import { errorRow, type ErrorCode, type ErrorDetails } from '../errors.ts';
import type { Reason } from '../event/vocabulary.ts';
import type { Verdict } from '../policy/verdict.ts';
import type { Answer, Governable, InputMessage } from './gate.ts';
import { errorAnswer, toolDenial, type AnswerData } from './message/answer.ts';
import type { RequestMessage } from './message/message.ts';
import { lookupMethod, type MethodRow } from './message/methods.ts';

export interface Refused {
  readonly verdict: Verdict;
  /** Of the decision; undefined where it could not be recorded. */
  readonly uid: string | undefined;
  /** Whether the answer is to be that of a server which has no such thing. */
  readonly hidden?: boolean | undefined;
}

export interface RefusalAnswer {
  readonly answer: Answer;
  /** OTel's error.type of the exchange. */
  readonly errorType: string;
}

/** @param row undefined for a method that is not known */
export function refusalOf(message: Governable, row: MethodRow | undefined, refused: Refused): RefusalAnswer {
  const { verdict, uid } = refused;
  if (message.kind === 'notification') {
    return { answer: { httpStatus: 202, body: undefined }, errorType: verdict.reason };
  }
  if (message.kind === 'input') return inputRefusal(message, refused);
  if (refused.hidden === true) return hiddenAnswer(message, verdict);
  const decision = { uid: uid ?? '', effect: verdict.effect, reason: verdict.reason };
  const detail = denialText(verdict, uid);
  if (message.kind === 'transport') {
    // 405 is how MCP says that there is no such stream, and that a session cannot be ended (2025-11-25, transports).
    const httpStatus = PASSING.has(verdict.reason) ? 503 : verdict.reason === 'killed' ? 403 : 405;
    const body = errorAnswer(null, 'denied', { detail }, decision);
    return { answer: { httpStatus, body }, errorType: verdict.reason };
  }
  if (row?.resultChannel === 'tool_result') {
    const body = toolDenial(message.id, detail, decision, message.call.modern);
    return { answer: { httpStatus: 200, body }, errorType: 'tool_error' };
  }
  const code = verdict.reason === 'method_unknown' ? 'method_unknown' : 'denied';
  return failure(message, code, { detail, method: message.method }, decision);
}

/**
 * The client is told in the answer to its own request, which it does not get: it sees nothing of what it was to be
 * asked. That is so in style hidden too, where there is nothing that it could take for missing.
 */
function inputRefusal({ method, within }: InputMessage, { verdict, uid }: Refused): RefusalAnswer {
  const errorType = verdict.reason;
  if (within === undefined) return { answer: { httpStatus: 202, body: undefined }, errorType };
  const decision = { uid: uid ?? '', effect: verdict.effect, reason: verdict.reason };
  const detail = denialText(
    verdict,
    uid,
    `The server asks for ${method} before it goes on, which was not passed on`,
  );
  const { id, modern } = within;
  const isTool = lookupMethod(within.method, 'request', 'to_upstream')?.resultChannel === 'tool_result';
  const body =
    isTool && id !== null
      ? toolDenial(id, detail, decision, modern)
      : errorAnswer(id, 'denied', { detail }, decision);
  return { answer: { httpStatus: 200, body }, errorType };
}

function failure(
  message: RequestMessage,
  code: ErrorCode,
  details: ErrorDetails,
  data: AnswerData | undefined,
): RefusalAnswer {
  const { http = 200, rpc } = errorRow(code);
  // 2026-07-28 answers an unknown method with HTTP 404; older revisions with 200.
  const httpStatus = UNKNOWN.has(code) && message.call.modern ? 404 : http;
  return {
    answer: { httpStatus, body: errorAnswer(message.id, code, details, data) },
    errorType: String(rpc),
  };
}

const UNKNOWN: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['method_unknown', 'hidden_method']);

/**
 * The answer of a server that has no such tool, prompt, resource or method: with nothing of ours in it. Where the
 * upstream itself puts it in other words, or takes another time to say it, the two can still be told apart: the
 * words of 1.x of the TypeScript SDK, for one, are a tool result.
 */
function hiddenAnswer(
  message: Exclude<Governable, { kind: 'notification' | 'input' }>,
  verdict: Verdict,
): RefusalAnswer {
  if (message.kind === 'transport') {
    const body = errorAnswer(null, 'hidden_stream', {});
    return { answer: { httpStatus: errorRow('hidden_stream').http ?? 405, body }, errorType: verdict.reason };
  }
  const { method, call } = message;
  const { tool, prompt, uri } = call;
  if (tool !== undefined) return failure(message, 'hidden_tool', { name: tool }, undefined);
  if (prompt !== undefined) return failure(message, 'hidden_prompt', { name: prompt }, undefined);
  if (uri === undefined) return failure(message, 'hidden_method', {}, undefined);
  if (method === 'completion/complete') return failure(message, 'hidden_template', { uri }, undefined);
  // Clients know by the URI in the data that it is this that was not found.
  return failure(
    message,
    call.modern ? 'hidden_resource' : 'hidden_resource_legacy',
    { uri },
    { uri: uri.toWellFormed() },
  );
}

/** What an agent reads: what happened, why, and that trying again does not help. */
function denialText(verdict: Verdict, uid: string | undefined, what = 'The call was not made'): string {
  const reference = uid === undefined ? '' : ` Decision ${uid}.`;
  if (verdict.reason === 'approval_required') {
    return `Approval needed: ${verdict.message} ${what}.${reference}`;
  }
  if (PASSING.has(verdict.reason) || verdict.reason === 'killed') return `${verdict.message}${reference}`;
  return `Denied by policy: ${verdict.message} ${what}; the same call will be denied again.${reference}`;
}

/** Refusals that say nothing of the call itself: the same one may pass later. */
const PASSING: ReadonlySet<Reason> = new Set<Reason>(['audit_unavailable', 'shutdown']);
