/** JSON-RPC messages that the proxy makes itself: refusals. One message, no line end. Pure. */
import { errorRow, errorText } from '../../errors.ts';
import type { ErrorCode, ErrorDetails } from '../../errors.ts';
import type { Effect, Reason } from '../../event/vocabulary.ts';
import type { Id } from './message.ts';

/** What an answer tells a program about the decision behind it. */
export interface DecisionNote {
  /** `log.record.uid` of the decision. */
  readonly uid: string;
  readonly effect: Effect;
  readonly reason: Reason;
}

/** Key of a DecisionNote in `result._meta` and in `error.data` (MCP, `_meta` keys: a prefix of one's own). */
export const DECISION_META = 'io.github.mcp-verdict/decision';

/** Values that JSON can hold. */
export type AnswerData =
  | string
  | number
  | boolean
  | null
  | readonly AnswerData[]
  | { readonly [key: string]: AnswerData };

/** For rows of the error table without a JSON-RPC code: Internal error (JSON-RPC 2.0, section 5.1). */
const INTERNAL_ERROR = -32603;

/**
 * A JSON-RPC error.
 * @param id null where the id of the refused message is not known
 * @param data `error.data`; left out where undefined
 */
export function errorAnswer(
  id: Id | null,
  code: ErrorCode,
  details: ErrorDetails,
  data?: AnswerData,
): Uint8Array {
  const message = errorText(code, details).toWellFormed();
  return answer(id, 'error', {
    code: errorRow(code).rpc ?? INTERNAL_ERROR,
    message,
    ...(data !== undefined && { data }),
  });
}

/**
 * A refusal as a tool result, which hosts hand to the model; a JSON-RPC error they would keep from it, and a
 * result without isError breaks tools with an output schema.
 * @param modern whether the request has the 2026-07-28 envelope, whose results need a resultType
 */
export function toolDenial(id: Id, text: string, decision: DecisionNote, modern: boolean): Uint8Array {
  const { uid, effect, reason } = decision;
  return answer(id, 'result', {
    ...(modern && { resultType: 'complete' }),
    content: [{ type: 'text', text: text.toWellFormed() }],
    isError: true,
    _meta: { [DECISION_META]: { uid, effect, reason } },
  });
}

/** The notification that a request is not waited for any more (MCP, cancellation), for whichever side serves it. */
export function cancellation(id: Id): Uint8Array {
  const params = `{"requestId":${id.json},"reason":"stopped by an operator"}`;
  return Buffer.from(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":${params}}`);
}

/** The id goes in as it was written: as a number it could lose digits. */
function answer(id: Id | null, member: 'result' | 'error', value: AnswerData): Uint8Array {
  return Buffer.from(`{"jsonrpc":"2.0","id":${id?.json ?? 'null'},"${member}":${JSON.stringify(value)}}`);
}
