/** What all that is sent to one server over HTTP shares. */
import type { Throttle } from '../../../telemetry/throttle.ts';
import type { Forward, Gate, Origin } from '../../gate.ts';
import { withOurs } from '../../http/headers.ts';
import type { HttpUpstream, UpstreamAnswer, UpstreamClient, UpstreamRequest } from '../../http/upstream.ts';
import type { Schedule } from '../../stdio/child.ts';
import type { Share } from './budget.ts';
import { answerFault, type Fault, sendFault } from './fault.ts';
import type { Intake } from './intake.ts';
import type { RemoteLimits } from './limits.ts';
import type { Session } from './session.ts';
import type { ToolHeaders } from './tool-headers.ts';

export interface Remote {
  readonly upstream: HttpUpstream;
  readonly client: UpstreamClient<HttpUpstream>;
  readonly gate: Pick<Gate, 'decide'>;
  /** Of what we send without a message of the client's: GET and DELETE. */
  readonly origin: () => Origin;
  readonly limits: RemoteLimits;
  readonly schedule: Schedule;
  /** Says what the server can make us say without end. */
  readonly throttle: Throttle;
  readonly session: Session;
  readonly tools: ToolHeaders;
  readonly intake: Intake;
  readonly share: () => Share;
  readonly contact: Contact;
}

/** Whether anything was sent, and whether the server has answered anything. */
export interface Contact {
  sent: boolean;
  answered: boolean;
}

export interface Post extends Pick<UpstreamRequest, 'method' | 'body' | 'signal' | 'sent'> {
  /** Besides what the configuration adds. */
  readonly headers: Record<string, string>;
  readonly trace?: Forward['trace'] | undefined;
}

export type Reply =
  /** Its status is a success or an error, and its body can be read. */
  { readonly ok: true; readonly response: UpstreamAnswer } | { readonly ok: false; readonly fault: Fault };

/** Sends one HTTP request, once. Never rejects. */
export async function send(remote: Remote, { headers, trace, ...post }: Post): Promise<Reply> {
  const { upstream, client, origin, contact } = remote;
  contact.sent = true;
  const result = await client.send({
    ...post,
    upstream,
    headers: withOurs(headers, upstream.headers, trace),
    origin: origin(),
  });
  if (!result.ok) return { ok: false, fault: sendFault(upstream.name, result) };
  contact.answered = true;
  const { response } = result;
  const fault = answerFault(upstream.name, response);
  if (fault === undefined) return { ok: true, response };
  if (fault.code === 'upstream_redirect') sayWhereTo(remote, response);
  drop(response);
  return { ok: false, fault };
}

/** Ends an answer that is of no use, and its connection. */
export function drop(response: UpstreamAnswer): void {
  response.on('error', () => {});
  response.destroy();
}

/** Most redirects are to the same server under its right name, which is for whoever named it to say. */
function sayWhereTo({ throttle, upstream }: Remote, response: UpstreamAnswer): void {
  const { location = '' } = response.headers;
  if (!URL.canParse(location, upstream.url.href)) return;
  const { origin, pathname } = new URL(location, upstream.url);
  const text = `the server ${upstream.name} redirects to ${origin}${pathname}; name that URL if you trust it`;
  throttle.say('warn', 'redirect', text);
}

/** Resolves after a time, or at once when the signal is aborted. */
export function pause(schedule: Schedule, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const callOff = schedule(delayMs, done);
    function done(): void {
      callOff();
      signal.removeEventListener('abort', done);
      resolve();
    }
    if (signal.aborted) done();
    else signal.addEventListener('abort', done);
  });
}

/** Both forms that an answer may have (MCP, transports, Streamable HTTP, sending messages). */
export const ACCEPT = { accept: 'application/json, text/event-stream' } as const;
