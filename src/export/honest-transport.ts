/**
 * One HTTP request with a batch, and all that came back of it. The SDK's own transport retries for seconds by
 * itself and keeps from its caller the status, Retry-After and whether the answer was whole.
 */
import { request as httpRequest } from 'node:http';
import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Attempt } from './acknowledgement.ts';
import type { Timers } from './timers.ts';

const compress = promisify(gzip);

/** Of an answer; more is no OTLP. */
export const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

export interface HonestTransportOptions {
  readonly url: string;
  /** Called for each request. */
  readonly headers: () => Promise<Readonly<Record<string, string>>>;
  readonly agent: Agent;
  readonly compression: 'gzip' | 'none';
  readonly userAgent: string;
  readonly timers: Timers;
  readonly answerBytesMax?: number | undefined;
}

/**
 * Sends once; never rejects. Redirects are not followed.
 * @param data the caller's no more: its memory is given back as soon as nothing can read it
 * @param timeoutMs for the whole exchange, not between two bytes
 */
export async function sendOnce(
  data: Uint8Array,
  timeoutMs: number,
  options: HonestTransportOptions,
): Promise<Attempt> {
  try {
    const zipped = options.compression === 'gzip';
    const body = zipped ? await compress(data) : data;
    if (zipped) giveBack(data);
    const headers = {
      ...(await options.headers()),
      'user-agent': options.userAgent,
      'content-length': String(body.length),
      ...(zipped && { 'content-encoding': 'gzip' }),
    };
    let done = await exchange(body, headers, timeoutMs, options);
    // A kept connection that the server had given up in the meantime: this was no attempt (RFC 9112, section 9.3.1).
    if (done.stale) done = await exchange(body, headers, timeoutMs, options);
    if (done.written && !zipped) giveBack(data);
    return done.attempt;
  } catch (error) {
    return { error };
  }
}

interface Exchange {
  readonly attempt: Attempt;
  readonly stale: boolean;
  /** It was answered, and the system has all of it. */
  readonly written: boolean;
}

/**
 * A batch encoded is up to a megabyte outside V8's heap, where three to five of them would wait for the next
 * collection.
 */
function giveBack({ buffer, byteLength }: Uint8Array): void {
  // Not a slice of what others use.
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}

function exchange(
  body: Uint8Array,
  headers: Readonly<Record<string, string>>,
  timeoutMs: number,
  options: HonestTransportOptions,
): Promise<Exchange> {
  const { url, agent, timers, answerBytesMax = ANSWER_BYTES_MAX } = options;
  return new Promise((resolve) => {
    const send = url.startsWith('https:') ? httpsRequest : httpRequest;
    const request: ClientRequest = send(url, { method: 'POST', headers, agent });
    const settle = (attempt: Attempt, stale = false): void => {
      cancel();
      resolve({ attempt, stale, written: 'status' in attempt && request.writableFinished });
    };
    const cancel = timers.after(timeoutMs, () => {
      const error = Object.assign(new Error(`timed out after ${timeoutMs} ms`), { code: 'ETIMEDOUT' });
      settle({ error });
      request.destroy();
    });
    request.on('error', (error) => settle({ error }, request.reusedSocket && isReset(error)));
    request.on('response', (response) => readAnswer(response, answerBytesMax, settle));
    request.end(body);
  });
}

function readAnswer(response: IncomingMessage, bytesMax: number, settle: (attempt: Attempt) => void): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= bytesMax) chunks.push(chunk);
    else {
      settle({ error: new Error(`the answer is larger than ${bytesMax} bytes`) });
      response.destroy();
    }
  });
  // An answer that is cut off is an error on the response, which would otherwise be thrown.
  response.on('error', () => {});
  response.on('close', () => {
    const { statusCode: status = 0, headers, complete } = response;
    settle({ status, headers, body: Buffer.concat(chunks), cutOff: !complete });
  });
}

function isReset(error: Error): boolean {
  return 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}
