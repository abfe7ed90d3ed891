/** The legacy era over a pipe: one process a session (MCP 2025-11-25, transports, session management). */
import { randomBytes } from 'node:crypto';
import { callerKey } from '../caller.ts';
import type { StdioUpstream, UpstreamRequest, UpstreamResult } from '../http/upstream.ts';
import type { Message, RequestMessage } from '../message/message.ts';
import { shown } from '../message/strict-json.ts';
import { acceptedBy } from './accept.ts';
import { failure, refusal, wholeAnswer } from './answer-stream.ts';
import { Lease } from './lease.ts';
import { occupy, type Occupant } from './occupancy.ts';
import type { Place, Places } from './places.ts';
import { Reply } from './reply.ts';
import type { ProcessRoom, ServerProcess } from './server-process.ts';
import { Session } from './session.ts';

type Request = UpstreamRequest<StdioUpstream>;

/** A session id is a credential: whoever holds one speaks in the session (MCP, session hijacking). */
const SESSION_ID_BYTES = 24;

/** What a header may say where a session has agreed on nothing yet, or its client on something else. */
const LEGACY_VERSIONS: ReadonlySet<string> = new Set([
  '2024-11-05',
  '2025-03-26',
  '2025-06-18',
  '2025-11-25',
]);

/** A session and what it lives on. */
interface Tenancy {
  readonly id: string;
  readonly upstream: StdioUpstream;
  readonly caller: string;
  readonly session: Session;
  readonly lease: Lease;
  process: ServerProcess | undefined;
  over: boolean;
}

export class LegacySessions {
  readonly #room: ProcessRoom;
  readonly #places: Places;
  readonly #sessions = new Map<string, Tenancy>();
  /** Of processes, until each has ended. */
  readonly #running = new Set<Promise<void>>();
  #closed = false;

  constructor(room: ProcessRoom, places: Places) {
    this.#room = room;
    this.#places = places;
  }

  /** @param message what is POSTed */
  async send(request: Request, message: Message | undefined): Promise<UpstreamResult> {
    const id = message?.kind === 'request' ? message.id : null;
    if (!canBeAnswered(request, message)) return refusal('not_acceptable', id);
    const sessionId = request.headers['mcp-session-id'];
    const begins = message?.kind === 'request' && message.method === 'initialize';
    if (sessionId === undefined) {
      return begins ? this.#begin(request, message) : refusal('session_missing', id);
    }
    const tenancy = this.#find(request, sessionId);
    // The same for one that never was and for another's: nobody learns which ids are good.
    if (tenancy === undefined) return refusal('session_foreign', id);
    if (begins) return refusal('session_begun', id);
    const version = request.headers['mcp-protocol-version'];
    if (version !== undefined && !LEGACY_VERSIONS.has(version) && version !== tenancy.session.version) {
      return refusal('version_unsupported', id, { version: shown(version) });
    }
    return this.#within(tenancy, request, message);
  }

  /** Ends the sessions of some servers. @param code for the outcomes of what is open */
  end(isMeant: (upstream: StdioUpstream) => boolean, code: string): void {
    for (const tenancy of this.#sessions.values()) {
      if (isMeant(tenancy.upstream)) this.#end(tenancy, code);
    }
  }

  /** Ends all sessions. Resolves when their processes have ended. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const tenancy of this.#sessions.values()) this.#end(tenancy, 'shutdown');
    await Promise.all(this.#running);
  }

  #find({ upstream, origin }: Request, sessionId: string): Tenancy | undefined {
    const tenancy = this.#sessions.get(sessionId);
    const own = tenancy?.upstream === upstream && tenancy.caller === callerKey(origin);
    return own ? tenancy : undefined;
  }

  #within(tenancy: Tenancy, request: Request, message: Message | undefined): Promise<UpstreamResult> {
    const { session } = tenancy;
    const { method, headers, signal } = request;
    if (method === 'DELETE') {
      this.#end(tenancy, 'session_ended');
      return Promise.resolve(wholeAnswer(200, undefined));
    }
    if (message !== undefined && message.kind !== 'request') return session.pass(message, signal);
    const reply = this.#reply(request);
    const lastEventId = headers['last-event-id'];
    if (message !== undefined) session.request(message, reply);
    else if (lastEventId !== undefined) session.resume(reply, lastEventId);
    else session.listen(reply);
    return reply.result;
  }

  #reply({ headers, signal }: Request, own: Readonly<Record<string, string>> = {}): Reply {
    const { schedule, limits } = this.#room;
    const accepted = acceptedBy(headers['accept']);
    return new Reply({ accepted, headers: own, signal, schedule, keepAliveMs: limits.keepAliveMs });
  }

  #begin(request: Request, message: RequestMessage): Promise<UpstreamResult> {
    if (this.#closed) return Promise.resolve(failure('shutdown', false));
    const { upstream, origin } = request;
    const caller = callerKey(origin);
    const taken = this.#places.take({ upstream, caller });
    if (!taken.ok) return Promise.resolve(failure(taken.limit, false));
    const id = randomBytes(SESSION_ID_BYTES).toString('base64url');
    const reply = this.#reply(request, { 'mcp-session-id': id });
    const tenancy = this.#tenancy({ id, upstream, caller }, taken.place);
    const occupant: Occupant = {
      upstream,
      taker: tenancy.session,
      lease: tenancy.lease,
      wanted: () => reply.open && !this.#closed,
      began: (process) => this.#open(tenancy, process, { message, reply }),
      failed: (code) => reply.fail(code, false),
      ended: () => this.#end(tenancy, 'child_exit'),
    };
    const running = occupy(occupant, taken.ready, this.#room);
    this.#running.add(running);
    void running.finally(() => this.#running.delete(running));
    return reply.result;
  }

  #open(
    tenancy: Tenancy,
    process: ServerProcess,
    { message, reply }: { readonly message: RequestMessage; readonly reply: Reply },
  ): void {
    const { id, session } = tenancy;
    tenancy.process = process;
    this.#sessions.set(id, tenancy);
    session.attach(process);
    session.request(message, reply);
    if (this.#closed) this.#end(tenancy, 'shutdown');
  }

  #tenancy({ id, upstream, caller }: Pick<Tenancy, 'id' | 'upstream' | 'caller'>, place: Place): Tenancy {
    const { limits, schedule, throttle } = this.#room;
    const lease = new Lease(place, {
      schedule,
      idleMs: limits.childIdleMs,
      end: (why) => this.#end(tenancy, why),
    });
    const session = new Session({
      name: upstream.name,
      limits,
      schedule,
      throttle,
      used: (open) => lease.used(open),
      stillborn: () => this.#end(tenancy, 'stillborn'),
    });
    const tenancy: Tenancy = { id, upstream, caller, session, lease, process: undefined, over: false };
    return tenancy;
  }

  #end(tenancy: Tenancy, code: string): void {
    if (tenancy.over) return;
    tenancy.over = true;
    this.#sessions.delete(tenancy.id);
    tenancy.lease.leave();
    tenancy.session.finish(code);
    tenancy.process?.stop();
  }
}

/** Whether the client takes a form of what comes back; for most there is nothing but a status. */
function canBeAnswered({ method, headers }: Request, message: Message | undefined): boolean {
  const { json, events } = acceptedBy(headers['accept']);
  if (method === 'GET') return events;
  return message?.kind !== 'request' || json || events;
}
