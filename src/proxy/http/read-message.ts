/** From the body of a POST to its message, or to what is wrong with it. */
import type { IncomingMessage } from 'node:http';
import type { Rejection } from '../gate.ts';
import { checkHeaders } from '../message/header-check.ts';
import { MESSAGE_BYTES_MAX, parseMessage, type Message, type MessageLimits } from '../message/message.ts';
import { shown } from '../message/strict-json.ts';
import { readBody } from './body.ts';
import { headerValues, namesOtherCharset } from './headers.ts';

export type ReadMessage =
  | { readonly ok: true; readonly message: Message }
  | { readonly ok: false; readonly refusal: Pick<Rejection, 'code' | 'details' | 'id' | 'message'> };

/**
 * Every body is read as a message, whatever its Content-Type says: upstreams differ in what they make of that
 * field. Undefined where the body did not come to its end.
 */
export async function readMessage(
  request: IncomingMessage,
  limits: Partial<MessageLimits>,
): Promise<ReadMessage | undefined> {
  const refused = (refusal: Pick<Rejection, 'code' | 'details'>): ReadMessage => ({
    ok: false,
    refusal: { ...refusal, id: null },
  });
  const [coding = 'identity'] = headerValues(request.rawHeaders, 'content-encoding');
  if (coding.toLowerCase() !== 'identity') {
    return refused({
      code: 'parse_json',
      details: { detail: 'the body is compressed, which is not accepted' },
    });
  }
  const [type = ''] = headerValues(request.rawHeaders, 'content-type');
  if (namesOtherCharset(type)) return refused({ code: 'content_type', details: { value: shown(type) } });
  const max = Math.min(limits.bytesMax ?? MESSAGE_BYTES_MAX.default, MESSAGE_BYTES_MAX.maximum);
  const body = await readBody(request, max);
  if (!body.ok) return body.why === 'size' ? refused({ code: 'parse_size', details: { max } }) : undefined;
  const parsed = parseMessage(body.bytes, limits);
  if (!parsed.ok) return { ok: false, refusal: parsed };
  const { message } = parsed;
  const check = checkHeaders(request.rawHeaders, message);
  if (check.ok) return { ok: true, message };
  const id = message.kind === 'request' ? message.id : null;
  const glimpse = message.kind === 'response' ? undefined : message;
  if (check.why === 'mismatch') {
    const details = { header: check.header };
    return { ok: false, refusal: { code: 'header_mismatch', details, id, message: glimpse } };
  }
  // MCP 2026-07-28, basic: a request without its envelope has invalid params.
  const detail = `_meta must hold the version that the header ${check.header} names`;
  const details = { method: shown(glimpse?.method ?? ''), detail };
  return { ok: false, refusal: { code: 'parse_params', details, id, message: glimpse } };
}
