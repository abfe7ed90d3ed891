/** Sends what has no answer, a notification or a response, and sees whether it is taken. */
import { isSuccess, statusOf } from '../../http/upstream.ts';
import { isEventStream } from '../../http/usable.ts';
import { type Fault, faultText, refusedFault, sessionFault } from './fault.ts';
import { gather } from './reading.ts';
import { ACCEPT, drop, type Post, type Remote, send } from './remote.ts';

export interface Handed extends Pick<Post, 'headers' | 'trace'> {
  readonly body: Uint8Array;
  /** What people call it. */
  readonly title: string;
  /** Ended by us after `acceptTimeoutMs`, and by whoever holds it. */
  readonly controller: AbortController;
}

/**
 * Nobody waits for the outcome but whatever the client has said next, and that not without end. Never rejects.
 * @returns whether the server has taken it
 */
export async function handOver(remote: Remote, handed: Handed): Promise<boolean> {
  const { schedule, limits, throttle, session, upstream } = remote;
  const { headers, trace, body, title, controller } = handed;
  const callOff = schedule(limits.acceptTimeoutMs, () => controller.abort());
  const fault = await taken(remote, {
    method: 'POST',
    headers: { ...ACCEPT, ...headers },
    trace,
    body,
    signal: controller.signal,
  });
  callOff();
  if (fault === undefined) return true;
  if (fault.code === 'upstream_session_ended') session.lose();
  const text = `${title} did not get through to the server ${upstream.name}: ${faultText(fault)}`;
  throttle.say('warn', title, text);
  return false;
}

/** What servers put into the body of a 202, if anything, is for nobody. */
const BODY_BYTES_MAX = 65_536;

async function taken(remote: Remote, post: Post): Promise<Fault | undefined> {
  const { name } = remote.upstream;
  const reply = await send(remote, post);
  if (!reply.ok) return reply.fault;
  const { response } = reply;
  // Read to its end, so that the connection can be used again; a stream may have none.
  if (isEventStream(response)) drop(response);
  else await gather(response, { lineBytesMax: BODY_BYTES_MAX, share: { hold: () => true } });
  if (isSuccess(response)) return undefined;
  const lost = statusOf(response) === 404 && post.headers['mcp-session-id'] !== undefined;
  return lost ? sessionFault(name) : refusedFault(name, response);
}
