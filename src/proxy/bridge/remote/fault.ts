/** Why the server gave no answer, for the client and for the record of the outcome. Pure. */
import { STATUS_CODES } from 'node:http';
import { errorText, type ErrorCode, type ErrorDetails } from '../../../errors.ts';
import { statusOf, type UpstreamAnswer, type UpstreamResult } from '../../http/upstream.ts';
import { unusable } from '../../http/usable.ts';

export interface Fault {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;
  /** Of the outcome. */
  readonly errorType: string;
  readonly httpStatus?: number | undefined;
}

export function faultText({ code, details }: Fault): string {
  return errorText(code, details);
}

/** @param server what policy calls it */
export function sendFault(server: string, sent: Extract<UpstreamResult, { ok: false }>): Fault {
  const words = CODES.get(sent.code);
  const detail = words === undefined ? sent.code : `${words} (${sent.code})`;
  const code = sent.connected ? 'upstream_broken' : 'upstream_unreachable';
  return { code, details: { server, detail }, errorType: sent.code };
}

/** What a person should know first of Node's codes that come most. */
const CODES: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'nothing listens there'],
  ['ENOTFOUND', 'there is no such host'],
  ['EAI_AGAIN', 'its name cannot be looked up now'],
  ['ETIMEDOUT', 'it does not answer'],
  ['ECONNRESET', 'it has closed the connection'],
]);

/** Why an answer cannot be made use of, whatever its body holds; undefined where it can. */
export function answerFault(server: string, response: UpstreamAnswer): Fault | undefined {
  const reason = unusable(response);
  if (reason === undefined) return undefined;
  const { code, detail, errorType } = reason;
  return { code, details: { server, detail }, errorType, httpStatus: statusOf(response) };
}

export function brokenFault(server: string, detail: string, errorType: string, httpStatus: number): Fault {
  return { code: 'upstream_broken', details: { server, detail }, errorType, httpStatus };
}

export function refusedFault(server: string, response: UpstreamAnswer): Fault {
  const httpStatus = statusOf(response);
  const status = `${httpStatus} ${STATUS_CODES[httpStatus] ?? ''}`.trim();
  const retryAfter = response.headers['retry-after'] ?? '';
  const wait = /^\d{1,6}$/.test(retryAfter) ? `, and wants ${retryAfter} s to pass first` : '';
  const detail = `${WORDS.get(httpStatus) ?? (httpStatus >= 500 ? FAILED : 'it does not take the request')}${wait}`;
  return {
    code: 'upstream_refused',
    details: { server, status, detail },
    errorType: String(httpStatus),
    httpStatus,
  };
}

const FAILED = 'it fails, so look into its own log or try again later';
const WORDS: ReadonlyMap<number, string> = new Map([
  [401, 'it does not accept the credentials that it was sent, or wants some: see --header'],
  [403, 'it does not allow this with the credentials that it was sent'],
  [404, 'nothing is at that URL, so look whether its path is right'],
  [405, 'no messages are taken at that URL: it may belong to a server of the older HTTP+SSE transport'],
  [413, 'the message is too large for it'],
  [429, 'it is asked too often'],
]);

export function sessionFault(server: string): Fault {
  return {
    code: 'upstream_session_ended',
    details: { server },
    errorType: 'session_ended',
    httpStatus: 404,
  };
}
