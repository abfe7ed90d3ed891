/**
 * A server that is reached over HTTP as what stands behind the stdio door (MCP 2024-11-05 to 2026-07-28, Streamable
 * HTTP): each line becomes a POST, and what comes back on any connection a line. Between the eras of the protocol
 * nothing is translated.
 */
import type { Diagnostics } from '../../../telemetry/diagnostics.ts';
import { createThrottle } from '../../../telemetry/throttle.ts';
import type { Gate, Origin } from '../../gate.ts';
import { withTokens } from '../../http/authorized-upstream.ts';
import { createUpstreamClient, type HttpUpstream } from '../../http/upstream.ts';
import { TRANSPORT_MESSAGES } from '../../message/transport.ts';
import type { Schedule } from '../../stdio/child.ts';
import type { Peer, PeerEnd } from '../../stdio/peer.ts';
import { createBudget } from './budget.ts';
import { Intake } from './intake.ts';
import { remoteLimits, type RemoteLimits } from './limits.ts';
import { sessionHeaders } from './message-headers.ts';
import { Outbound } from './outbound.ts';
import { type Contact, drop, type Remote, send } from './remote.ts';
import { Session } from './session.ts';
import { ToolHeaders } from './tool-headers.ts';

export interface RemotePeerOptions {
  readonly upstream: HttpUpstream;
  readonly gate: Pick<Gate, 'decide'>;
  /** Of what is sent without a message of the client's: a stream that is opened, a session that is ended. */
  readonly origin: Origin;
  readonly limits?: Partial<RemoteLimits> | undefined;
  readonly schedule: Schedule;
  readonly diagnostics: Diagnostics;
}

/** @throws VerdictError config_invalid for a limit out of range */
export function openRemotePeer(options: RemotePeerOptions): Peer {
  const { schedule } = options;
  const contact: Contact = { sent: false, answered: false };
  const remote = createRemote(options, contact);
  const { session, intake, limits } = remote;
  const outbound = new Outbound(remote);
  const finished = Promise.withResolvers<PeerEnd>();
  const hurry = new AbortController();
  let callOff: (() => void) | undefined;

  const finish = async (): Promise<void> => {
    callOff?.();
    outbound.close();
    session.hush();
    if (session.isOpen) await endSession(remote, hurry.signal);
    await remote.client.close();
    remote.throttle.flush();
    // Where a child would not have started, we would have said so (DESIGN, section 8).
    finished.resolve({ code: contact.sent && !contact.answered ? UNREACHABLE : 0 });
  };
  void outbound.idle.then(finish);

  return {
    outlet: outbound,
    listen(inlet) {
      intake.open(inlet);
      return {
        done: finished.promise.then(() => undefined),
        get chunks() {
          return intake.taken;
        },
        get waiting() {
          return intake.waiting;
        },
        stop: () => intake.stop(),
      };
    },
    ended: finished.promise,
    drained: Promise.resolve(),
    sessionId: () => session.id,
    stop() {
      callOff ??= schedule(limits.exitGraceMs, () => outbound.close());
    },
    terminate(graceMs) {
      if (graceMs !== undefined) schedule(graceMs, () => hurry.abort());
      outbound.close();
    },
    describe: () => 'mcp-verdict was told to stop',
  };
}

/** Exit code of `wrap`: cannot reach what it needs. */
const UNREACHABLE = 4;

function createRemote(options: RemotePeerOptions, contact: Contact): Remote {
  const { upstream, gate, origin, schedule, diagnostics } = options;
  const limits = remoteLimits(options.limits);
  const session = new Session();
  return {
    upstream,
    client: withTokens(createUpstreamClient(limits)),
    gate,
    origin: () => ({ ...origin, sessionId: session.id, protocolVersion: session.version }),
    limits,
    schedule,
    throttle: createThrottle(diagnostics),
    session,
    tools: new ToolHeaders(limits.toolHeaderBytesMax),
    intake: new Intake(),
    share: createBudget(limits.gatheredBytesMax),
    contact,
  };
}

/** Tells the server that the session is over (MCP up to 2025-11-25, transports, session management). */
async function endSession(remote: Remote, hurry: AbortSignal): Promise<void> {
  const { gate, session, limits, schedule } = remote;
  const ruling = await gate.decide(TRANSPORT_MESSAGES.DELETE, remote.origin(), 'to_upstream');
  if (!ruling.forward) return;
  const late = new AbortController();
  const callOff = schedule(limits.deleteTimeoutMs, () => late.abort());
  const signal = AbortSignal.any([late.signal, hurry]);
  const headers = sessionHeaders(session);
  // 405 is how a server says that sessions end by themselves; whatever else it says is not for us to mend.
  const reply = await send(remote, { method: 'DELETE', headers, trace: ruling.trace, signal });
  callOff();
  if (reply.ok) drop(reply.response);
}
