/** The stream of the server's own messages, which belong to no request (MCP up to 2025-11-25, transports, GET). */
import { readAnswer } from '../../message/answer-reader.ts';
import { statusOf, type UpstreamAnswer } from '../../http/upstream.ts';
import { retryDelayMs } from './limits.ts';
import { type Place, readEvents } from './reading.ts';
import { pause, type Remote } from './remote.ts';
import { reopen } from './reopen.ts';

/**
 * Listens until the session is over, or the server says that it has no such stream. Comes back to it for ever, from
 * the event after the last one where events have ids. Never rejects.
 */
export async function listenToServer(remote: Remote): Promise<void> {
  const { schedule, throttle, upstream } = remote;
  const { over } = remote.session;
  const place: Place = { lastEventId: undefined, retryMs: undefined };
  let tries = 0;
  while (!over.aborted) {
    const reopened = await reopen(remote, place.lastEventId, over);
    if (over.aborted) return;
    if (reopened.kind === 'none') {
      const text = `the server ${upstream.name} has no stream of its own messages: ${reopened.detail}`;
      throttle.say(reopened.httpStatus === NO_STREAM ? 'debug' : 'info', 'own stream', text);
      return;
    }
    tries += 1;
    if (reopened.kind === 'later') {
      const text = `the stream of the server ${upstream.name} cannot be opened: ${reopened.detail}`;
      throttle.say('info', 'own stream', text);
    } else if (await follow(remote, reopened.response, place)) {
      tries = 0;
    }
    await pause(schedule, retryDelayMs(tries, place.retryMs), over);
  }
}

/** Reads a stream to its end. @returns whether it has brought anything */
async function follow(remote: Remote, response: UpstreamAnswer, place: Place): Promise<boolean> {
  const { lineBytesMax } = remote.limits;
  const share = remote.share();
  const httpStatus = statusOf(response);
  const { lastEventId } = place;
  let brought = false;
  await readEvents(response, { lineBytesMax, share }, place, async (message) => {
    brought = true;
    await remote.intake.take(message, { read: readAnswer(message, { bytesMax: lineBytesMax }), httpStatus });
  });
  share.hold(0);
  return brought || place.lastEventId !== lastEventId;
}

/** How a server says that it has none (MCP 2025-11-25, transports, listening for messages). */
const NO_STREAM = 405;
