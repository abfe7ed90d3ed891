/** Which answers of an upstream can be made use of, before any of their bodies is read. */
import type { Failure } from './exchange.ts';
import { statusOf, type UpstreamAnswer } from './upstream.ts';

/** An answer that cannot be passed on whatever it holds: a redirect, or one that we cannot look into. */
export function unusable(
  response: UpstreamAnswer,
): Pick<Failure, 'code' | 'detail' | 'errorType'> | undefined {
  const status = statusOf(response);
  if (status >= 300 && status < 400) {
    // Followed, it would carry our credentials to wherever the upstream points.
    return { code: 'upstream_redirect', detail: String(status), errorType: String(status) };
  }
  if (status < 200 || status > 599) {
    return { code: 'upstream_broken', detail: `its status is ${status}`, errorType: 'http_status' };
  }
  const coding = response.headers['content-encoding'] ?? 'identity';
  if (coding.toLowerCase() === 'identity') return undefined;
  return {
    code: 'upstream_broken',
    detail: 'it is compressed, which was not asked for',
    errorType: 'content_encoding',
  };
}

/** As loosely as the loosest client: what one of them reads as a stream must be looked into as one. */
export function isEventStream(response: UpstreamAnswer): boolean {
  return /text\/event-stream/i.test(response.headers['content-type'] ?? '');
}
