/**
 * What an answer to an export means for the records that were sent: taken, to be sent again, or refused for what
 * they are (OTLP specification, OTLP/HTTP response; DESIGN section 3). Pure.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { ExportResultCode } from '@opentelemetry/core';
import type { ExportResult } from '@opentelemetry/core';
import { ProtobufLogsSerializer } from '@opentelemetry/otlp-transformer';
import { explainExportError, type Advice } from '../telemetry/export-error.ts';
import { retryAfterMs } from './backoff.ts';

/** What came back from one request; `error` where no status line did. */
export type Attempt =
  | {
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
      readonly body: Uint8Array;
      /** The connection ended before the answer did. */
      readonly cutOff: boolean;
    }
  | { readonly error: unknown };

/** `text` is a sentence without a full stop that says what is wrong and what to do. */
export type Judgement =
  | { readonly kind: 'acknowledged'; readonly warning?: string | undefined }
  | {
      readonly kind: 'retry';
      readonly text: string;
      /** It will not pass by itself: somebody has to change something. */
      readonly alarm: boolean;
      /** The server asks for at least so long. */
      readonly afterMs?: number | undefined;
    }
  /** For what the records are; it may be a single one of them. */
  | { readonly kind: 'refused'; readonly text: string };

/** Anything but an acknowledgement. */
export type Failure = Exclude<Judgement, { kind: 'acknowledged' }>;

/** Carries a judgement through an exporter's result, which has room for an error only. */
export class DeliveryError extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.text);
    this.name = 'DeliveryError';
    this.failure = failure;
  }
}

/** Whether a connection that fails like this may come about by itself, with nobody changing anything. */
export function isPassing(error: unknown): boolean {
  return PASSING_CODES.has(codeOf(error));
}

export interface JudgeOptions {
  /** As people may see it, without credentials. */
  readonly endpoint: string;
  /** Milliseconds since the Unix epoch, for a Retry-After that is a date. */
  readonly nowMs: number;
  /** Default: that for OTLP. */
  readonly advice?: Advice | undefined;
}

const REFUSED_STATUSES: ReadonlySet<number> = new Set([400, 413, 422]);

/** Overload and what stands in front of a server that restarts: it passes. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);

/** A network that is down, a server that restarts. What is not in here (TLS, another protocol) stays as it is. */
const PASSING_CODES: ReadonlySet<string> = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'EMFILE',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
]);

/** What an OTLP receiver's answer means. */
export function judge(attempt: Attempt, options: JudgeOptions): Judgement {
  return isSuccess(attempt) ? judgeSuccess(attempt, options.endpoint) : judgeFailure(attempt, options);
}

/** What the answer of any other server means: a 2xx that has come whole is all that it needs. */
export function judgeHttp(attempt: Attempt, options: JudgeOptions): Judgement {
  if (!isSuccess(attempt)) return judgeFailure(attempt, options);
  return attempt.cutOff ? brokenOff(attempt, options.endpoint) : { kind: 'acknowledged' };
}

type Answered = Exclude<Attempt, { error: unknown }>;

function isSuccess(attempt: Attempt): attempt is Answered {
  return 'status' in attempt && attempt.status >= 200 && attempt.status < 300;
}

function judgeFailure(attempt: Attempt, { endpoint, nowMs, advice }: JudgeOptions): Failure {
  if ('error' in attempt) {
    const text = explainExportError(attempt.error, endpoint, advice);
    return { kind: 'retry', text, alarm: !isPassing(attempt.error) };
  }
  const { status, headers, body, cutOff } = attempt;
  const answer = { code: status, message: '', data: Buffer.from(body).toString() };
  const text = explainExportError(answer, endpoint, advice);
  // Refused means for ever, so it needs the whole answer.
  if (REFUSED_STATUSES.has(status) && !cutOff) return { kind: 'refused', text };
  const alarm = !PASSING_STATUSES.has(status) && !cutOff;
  return { kind: 'retry', text, alarm, afterMs: retryAfterMs(headers['retry-after'], nowMs) };
}

/** What an exporter's result means; of one that is not ours, an HTTP status is all that can be known. */
export function judgeResult({ code, error }: ExportResult, options: JudgeOptions): Judgement {
  if (code === ExportResultCode.SUCCESS) return { kind: 'acknowledged' };
  if (error instanceof DeliveryError) return error.failure;
  const status: unknown = error !== undefined && 'code' in error ? error.code : undefined;
  // A 2xx here is an exporter that calls a success a failure: its word is taken, and the records are kept.
  if (typeof status !== 'number' || (status >= 200 && status < 300)) return judge({ error }, options);
  const data: unknown = error !== undefined && 'data' in error ? error.data : undefined;
  const body = Buffer.from(typeof data === 'string' ? data : '');
  return judge({ status, headers: {}, body, cutOff: false }, options);
}

function brokenOff({ status }: Answered, endpoint: string): Failure {
  return { kind: 'retry', text: `${endpoint} breaks off its answer (HTTP ${status})`, alarm: false };
}

function judgeSuccess(answered: Answered, endpoint: string): Judgement {
  const { status, headers, body, cutOff } = answered;
  if (cutOff) return brokenOff(answered, endpoint);
  if (body.length === 0) return { kind: 'acknowledged' };
  const type = (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  const answer = readAnswer(type, body);
  if (answer === undefined) {
    const what = type === '' ? 'no content type' : type;
    const text = `${endpoint} answers with something that is not OTLP (HTTP ${status}, ${what}), so nothing counts as delivered: is the endpoint a collector, or a proxy with a page of its own?`;
    return { kind: 'retry', text, alarm: true };
  }
  const said = answer.message === '' ? '' : `: ${answer.message}`;
  if (answer.rejected > 0) {
    return { kind: 'refused', text: `${endpoint} rejects ${answer.rejected} of the records${said}` };
  }
  return said === ''
    ? { kind: 'acknowledged' }
    : { kind: 'acknowledged', warning: `${endpoint} takes the records with a warning${said}` };
}

interface Answer {
  readonly rejected: number;
  readonly message: string;
}

const MESSAGE_CHARS_MAX = 200;

/** undefined for what is no ExportLogsServiceResponse in either encoding, and for a 2xx that says that it failed. */
function readAnswer(type: string, body: Uint8Array): Answer | undefined {
  try {
    const response = parseAnswer(type, body);
    if (!isRecord(response) || tellsOfFailure(response)) return undefined;
    const partial = response['partialSuccess'] ?? response['partial_success'] ?? {};
    if (!isRecord(partial)) return undefined;
    // JSON writes an int64 as text or as a number (protobuf, JSON mapping).
    const rejected = Number(partial['rejectedLogRecords'] ?? partial['rejected_log_records'] ?? 0);
    if (!Number.isInteger(rejected) || rejected < 0) return undefined;
    const message = partial['errorMessage'] ?? partial['error_message'] ?? '';
    return { rejected, message: typeof message === 'string' ? message.slice(0, MESSAGE_CHARS_MAX) : '' };
  } catch {
    return undefined;
  }
}

function parseAnswer(type: string, body: Uint8Array): unknown {
  if (type !== 'application/x-protobuf')
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  return body[0] === STATUS_CODE_TAG ? undefined : ProtobufLogsSerializer.deserializeResponse(body);
}

/** Of a google.rpc.Status, which is how OTLP words a failure, the number stands where the response has a message. */
const STATUS_CODE_TAG = 0x08;
/** Of a google.rpc.Status. */
const STATUS_CODE_MAX = 16;
const HTTP_FAILURE_MIN = 400;

/** Gateways like to answer 200 and to say in the body what went wrong: what the response does not know is read too. */
function tellsOfFailure({ code, error, errors }: Readonly<Record<string, unknown>>): boolean {
  const status = Number(code ?? 0);
  if ((status >= 1 && status <= STATUS_CODE_MAX) || status >= HTTP_FAILURE_MIN) return true;
  return Boolean(error) || (Array.isArray(errors) ? errors.length > 0 : Boolean(errors));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function codeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  if (!(error instanceof Error)) return '';
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}
