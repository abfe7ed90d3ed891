/** An upstream's answer that is one JSON body, on its way to the client. */
import { readAnswer, type ReadAnswer } from '../message/answer-reader.ts';
import type { Outcome, Rejection } from '../gate.ts';
import { admitResponse } from '../inputs.ts';
import { callerKey } from '../caller.ts';
import { readBody } from './body.ts';
import { bindTask } from './tasks.ts';
import { fail, type Exchange, type Relay } from './exchange.ts';
import { answerHeaders, mediaType } from './headers.ts';
import { isSuccess, statusOf, type UpstreamAnswer } from './upstream.ts';

/**
 * A body is read whole before any of it goes on: it could be a request of the server's own, or two messages in
 * one, and no client can use half of a JSON text anyway.
 */
export async function relayBody(relay: Relay, exchange: Exchange, response: UpstreamAnswer): Promise<void> {
  const { client, ruling } = exchange;
  const httpStatus = statusOf(response);
  const body = await readBody(response, relay.limits.answerBytesMax);
  if (!body.ok) {
    response.destroy();
    const detail =
      body.why === 'size' ? `it is larger than ${relay.limits.answerBytesMax} bytes` : 'connection lost';
    const errorType = body.why === 'size' ? 'parse_size' : 'ECONNRESET';
    fail(relay, exchange, { code: 'upstream_broken', detail, errorType, httpStatus });
    return;
  }
  const judged = await judgeBody(relay, exchange, body.bytes, response);
  if (!judged.ok) {
    const { code, details, message } = judged;
    const { origin } = exchange;
    const direction = 'to_client';
    relay.gate.reject({ reason: 'parse', code, details, origin, id: null, message, direction });
    fail(relay, exchange, {
      code: 'upstream_broken',
      detail: 'not an answer',
      errorType: 'parse',
      httpStatus,
    });
    return;
  }
  const headers = answerHeaders(response.headers);
  // 204 has no body by definition, and node:http refuses a length there (RFC 9110, section 8.6).
  if (httpStatus !== 204) headers['content-length'] = String(judged.bytes.length);
  const type = mediaType(response.headers['content-type']);
  if (type !== undefined && judged.bytes.length > 0) headers['content-type'] = type;
  client.writeHead(httpStatus, headers);
  // Not before: node:http throws at what it will not send, and then the client gets no answer.
  ruling?.settle({ ...judged.outcome, size: body.bytes.length, httpStatus });
  client.end(judged.bytes);
}

type Judged =
  | { readonly ok: true; readonly outcome: Outcome; readonly bytes: Uint8Array }
  | ({ readonly ok: false } & Pick<Rejection, 'code' | 'details' | 'message'>);

/** Whether a body may go to the client, in which form, and what it says of the call. */
async function judgeBody(
  relay: Relay,
  exchange: Exchange,
  bytes: Uint8Array,
  response: UpstreamAnswer,
): Promise<Judged> {
  const failed: Outcome = { status: 'transport_error', errorType: String(statusOf(response)) };
  if (bytes.length === 0) {
    return { ok: true, bytes, outcome: isSuccess(response) ? { ...failed, errorType: 'no_answer' } : failed };
  }
  const answer = readAnswer(bytes, { bytesMax: bytes.length });
  if (answer.kind === 'message') {
    const details = { detail: `${answer.message.method} came as the answer to a request` };
    return { ok: false, code: 'parse_envelope', details, message: answer.message };
  }
  if (answer.kind === 'refused') {
    // Error pages pass: clients take no message from them.
    if (!isSuccess(response)) return { ok: true, bytes, outcome: failed };
    // Nobody waits for a body here, so what cannot be read is left out.
    if (exchange.message?.kind !== 'request') return { ok: true, bytes: new Uint8Array(), outcome: failed };
    return { ok: false, code: answer.code, details: answer.details, message: answer.message };
  }
  return await judgeResponse(relay, exchange, {
    bytes,
    answer,
    failed: isSuccess(response) ? undefined : failed,
  });
}

interface Response {
  readonly bytes: Uint8Array;
  readonly answer: ReadAnswer & { readonly kind: 'response' };
  /** What an HTTP status that is no success says of the call. */
  readonly failed: Outcome | undefined;
}

async function judgeResponse(
  { gate, bulletin, tasks }: Relay,
  exchange: Exchange,
  { bytes, answer, failed }: Response,
): Promise<Judged> {
  const { origin, ruling } = exchange;
  const request = exchange.message?.kind === 'request' ? exchange.message : undefined;
  const ours = request !== undefined && (answer.id === null || answer.id.json === request.id.json);
  const asked = ours ? ruling?.asked : undefined;
  const shown = await admitResponse(gate, { ...answer, id: request?.id ?? answer.id, bytes, asked }, origin);
  if (!shown.ok) return { ...shown, message: request };
  bindTask(tasks, origin, { ...answer, asked, caller: callerKey(origin) });
  if (failed === undefined) bulletin.learn(origin.server.name, shown.lists);
  if (failed !== undefined && answer.outcome.status !== 'rpc_error') return { ...shown, outcome: failed };
  const foreign: Outcome = { status: 'transport_error', errorType: 'id_mismatch' };
  return { ...shown, outcome: ours ? answer.outcome : foreign };
}
