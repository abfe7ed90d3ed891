/** One request of the client's, from its POST until its answer has come or cannot come any more. */
import { agreedVersion } from '../../message/agreed-version.ts';
import { type ReadAnswer, readAnswer } from '../../message/answer-reader.ts';
import type { RequestMessage } from '../../message/message.ts';
import { isSuccess, statusOf, type UpstreamAnswer } from '../../http/upstream.ts';
import { isEventStream } from '../../http/usable.ts';
import type { Sent } from '../../stdio/peer.ts';
import type { Share } from './budget.ts';
import { brokenFault, type Fault, refusedFault, sessionFault } from './fault.ts';
import { retryDelayMs } from './limits.ts';
import { modernHeaders, sessionHeaders } from './message-headers.ts';
import { gather, type Place, readEvents, TOO_LARGE, TOO_MUCH } from './reading.ts';
import { ACCEPT, drop, pause, type Remote, send } from './remote.ts';
import { reopen } from './reopen.ts';

export interface Request {
  readonly remote: Remote;
  readonly message: RequestMessage;
  readonly trace: Sent['trace'];
  /** Called when the next message may go out. */
  readonly sent: () => void;
  /** Called with its answer on the way to the client. */
  readonly answered: () => void;
  /** Aborted when nobody waits for it any more, or we stop. */
  readonly signal: AbortSignal;
}

/** A request while its answer is being read. */
interface Reading extends Request {
  readonly share: Share;
  isAnswered: boolean;
}

/**
 * Sends a request and takes in what comes of it. Never rejects.
 * @returns why there will be no answer; undefined where it has come
 */
export async function serveRequest(request: Request): Promise<Fault | undefined> {
  const { remote, message, trace, sent, signal } = request;
  const { upstream, session, tools, share } = remote;
  const modern = message.call.modern;
  const parameters = modern ? tools.of(message.call) : NO_PARAMETERS;
  if (!parameters.ok) {
    const details = { tool: message.call.tool ?? '', detail: parameters.detail };
    return { code: 'upstream_tool_invalid', details, errorType: 'tool_invalid' };
  }
  const own = modern ? { ...modernHeaders(message), ...parameters.headers } : sessionHeaders(session);
  const headers = { ...ACCEPT, ...own };
  const reply = await send(remote, { method: 'POST', headers, trace, body: message.bytes, signal, sent });
  if (!reply.ok) return reply.fault;
  const { response } = reply;
  if (message.method === 'initialize' && isSuccess(response)) {
    session.name(response.headers['mcp-session-id']);
  }
  const reading: Reading = { ...request, share: share(), isAnswered: false };
  try {
    if (isSuccess(response) && isEventStream(response)) return await followStream(reading, response);
    return await readWhole(reading, response);
  } catch (error) {
    drop(response);
    return brokenFault(upstream.name, String(error), 'internal', statusOf(response));
  } finally {
    reading.share.hold(0);
  }
}

const NO_PARAMETERS = { ok: true, headers: {} } as const;

/** The answer as one JSON body, or what stands in its place. */
async function readWhole(reading: Reading, response: UpstreamAnswer): Promise<Fault | undefined> {
  const { remote, message, share } = reading;
  const { lineBytesMax } = remote.limits;
  const { name } = remote.upstream;
  const httpStatus = statusOf(response);
  const body = await gather(response, { lineBytesMax, share });
  if (!body.ok) return unread(reading, body.errorType, httpStatus);
  const { bytes } = body;
  const read = bytes.length === 0 ? undefined : readAnswer(bytes, { bytesMax: lineBytesMax });
  if (read?.kind === 'response' && (await takeResponse(reading, { bytes, read, httpStatus }))) {
    return undefined;
  }
  if (isLost(reading, httpStatus)) return lost(remote);
  if (!isSuccess(response)) return refusedFault(name, response);
  if (read === undefined) {
    return brokenFault(name, 'it took the request, and that was all', 'no_answer', httpStatus);
  }
  if (read.kind === 'response') {
    return brokenFault(name, 'what came is that of another request', 'id_mismatch', httpStatus);
  }
  // Recorded as what it is; the client hears only that there is no answer.
  await remote.intake.take(bytes, { read: asRefused(read), httpStatus });
  return brokenFault(name, `what came is no answer to ${message.method}`, 'parse', httpStatus);
}

function asRefused(read: Exclude<ReadAnswer, { kind: 'response' }>): ReadAnswer {
  if (read.kind === 'refused') return read;
  const details = { detail: `${read.message.method} came as the answer to a request` };
  return { kind: 'refused', code: 'parse_envelope', details, message: read.message };
}

/** Whether a status says that the session is over (MCP up to 2025-11-25, transports, session management). */
function isLost({ remote, message }: Reading, httpStatus: number | undefined): boolean {
  return httpStatus === 404 && !message.call.modern && remote.session.id !== undefined;
}

function lost({ session, upstream }: Remote): Fault {
  session.lose();
  return sessionFault(upstream.name);
}

interface Response {
  readonly bytes: Uint8Array;
  readonly read: Extract<ReadAnswer, { kind: 'response' }>;
  readonly httpStatus: number;
}

/** Hands on the answer to this request. @returns false where it is none */
async function takeResponse(reading: Reading, response: Response): Promise<boolean> {
  const { remote, message, answered } = reading;
  const own = response.read.id?.json === message.id.json ? response : asOwn(reading, response);
  if (own === undefined) return false;
  const { bytes, read, httpStatus } = own;
  reading.isAnswered = true;
  if (message.method === 'initialize') remote.session.agree(agreedVersion(bytes));
  if (message.method === 'tools/list' && message.call.modern) learnTools(remote, bytes);
  answered();
  await remote.intake.take(bytes, { read, httpStatus });
  return true;
}

/**
 * Over HTTP an error belongs to the request that it was sent in answer to, whatever id it has: servers that refuse
 * before they have read the body write null, or a word. On a line only the id says so, and so it gets one.
 */
function asOwn(reading: Reading, { bytes, read, httpStatus }: Response): Response | undefined {
  const { id } = reading.message;
  const isOurs = read.id === null || httpStatus >= 400;
  if (!isOurs || read.outcome.rpcCode === undefined || isLost(reading, httpStatus)) return undefined;
  const { error } = JSON.parse(new TextDecoder().decode(bytes)) as { readonly error: object };
  if (!('message' in error && typeof error.message === 'string')) return undefined;
  const own = Buffer.from(`{"jsonrpc":"2.0","id":${id.json},"error":${JSON.stringify(error)}}`);
  return { bytes: own, read: { ...read, id }, httpStatus };
}

function learnTools({ tools, throttle, upstream }: Remote, answer: Uint8Array): void {
  for (const fault of tools.learn(answer)) {
    const text = `the server ${upstream.name} lists a tool that cannot be called over HTTP: ${fault}`;
    throttle.say('warn', fault, text);
  }
}

/** The answer at the end of a stream, which may break and be taken up again. */
async function followStream(reading: Reading, first: UpstreamAnswer): Promise<Fault | undefined> {
  const { remote, message, signal } = reading;
  const { limits, schedule, upstream } = remote;
  const place: Place = { lastEventId: undefined, retryMs: undefined };
  const httpStatus = statusOf(first);
  let broken = await readStream(reading, first, place);
  let tries = 0;
  while (!reading.isAnswered) {
    const { lastEventId } = place;
    // 2026-07-28 has no streams that can be taken up again.
    const resumable = lastEventId !== undefined && !message.call.modern && broken !== TOO_LARGE;
    if (signal.aborted || !resumable || tries >= limits.resumeTriesMax) {
      return unread(reading, broken, httpStatus);
    }
    await pause(schedule, retryDelayMs(tries, place.retryMs), signal);
    if (signal.aborted) continue;
    tries += 1;
    const reopened = await reopen(remote, lastEventId, signal);
    if (reopened.kind === 'none') {
      if (isLost(reading, reopened.httpStatus)) return lost(remote);
      const detail = `its stream ended, and cannot be taken up again: ${reopened.detail}`;
      return brokenFault(upstream.name, detail, 'no_answer', reopened.httpStatus ?? httpStatus);
    }
    if (reopened.kind === 'later') continue;
    broken = await readStream(reading, reopened.response, place);
    if (place.lastEventId !== lastEventId) tries = 0;
  }
  return undefined;
}

function readStream(reading: Reading, response: UpstreamAnswer, place: Place): Promise<string | undefined> {
  const { remote, share } = reading;
  const { lineBytesMax } = remote.limits;
  const httpStatus = statusOf(response);
  return readEvents(response, { lineBytesMax, share }, place, async (bytes) => {
    const read = readAnswer(bytes, { bytesMax: lineBytesMax });
    if (read.kind === 'response' && (await takeResponse(reading, { bytes, read, httpStatus }))) return;
    // A stream that was taken up again may bring what belongs to others.
    await remote.intake.take(bytes, { read, httpStatus });
  });
}

/** @param errorType why reading broke off; undefined where it came to its end without an answer */
function unread({ remote }: Reading, errorType: string | undefined, httpStatus: number): Fault {
  const { lineBytesMax, gatheredBytesMax } = remote.limits;
  const details = new Map<string | undefined, string>([
    [undefined, 'its stream ended without one'],
    [TOO_LARGE, `it is larger than ${lineBytesMax} bytes`],
    [TOO_MUCH, `there are more than ${gatheredBytesMax} bytes of answers at one time`],
  ]);
  const detail = details.get(errorType) ?? `connection lost (${errorType})`;
  return brokenFault(remote.upstream.name, detail, errorType ?? 'no_answer', httpStatus);
}
