/**
 * The modern era over a pipe: each request stands for itself, so one process serves many, of one caller or, where the
 * configuration says so, of all (MCP 2026-07-28, transports, stdio).
 */
import { callerKey } from '../caller.ts';
import type { StdioUpstream, UpstreamRequest, UpstreamResult } from '../http/upstream.ts';
import type { NotificationMessage, RequestMessage } from '../message/message.ts';
import { acceptedBy } from './accept.ts';
import { failure, refusal, wholeAnswer } from './answer-stream.ts';
import type { Backoff } from './backoff.ts';
import { Lease } from './lease.ts';
import { occupy, type Occupant } from './occupancy.ts';
import type { Place, Places } from './places.ts';
import { Reply } from './reply.ts';
import type { ProcessRoom, ServerProcess } from './server-process.ts';
import { ToolHeaders } from './remote/tool-headers.ts';
import { SharedProcess } from './shared-process.ts';

type Request = UpstreamRequest<StdioUpstream>;

/** What is known of an upstream. */
interface Server {
  /** Of its own, so that what is configured otherwise now has other processes than it had before. */
  readonly number: number;
  readonly tools: ToolHeaders;
}

/** A process and who may use it. */
interface Tenancy {
  readonly key: string;
  readonly upstream: StdioUpstream;
  readonly shared: SharedProcess;
  readonly lease: Lease;
  /** Settles when it can be used, or never will: then with why. */
  readonly began: PromiseWithResolvers<string | undefined>;
  process: ServerProcess | undefined;
  over: boolean;
}

export class ModernProcesses {
  readonly #room: ProcessRoom;
  readonly #places: Places;
  readonly #backoff: Backoff;
  readonly #tenancies = new Map<string, Tenancy>();
  readonly #servers = new WeakMap<StdioUpstream, Server>();
  #lastServer = 0;
  /** Of processes, until each has ended. */
  readonly #running = new Set<Promise<void>>();
  #closed = false;

  constructor(room: ProcessRoom, places: Places, backoff: Backoff) {
    this.#room = room;
    this.#places = places;
    this.#backoff = backoff;
  }

  async send(request: Request, message: RequestMessage | NotificationMessage): Promise<UpstreamResult> {
    const caller = callerKey(request.origin);
    const server = this.#server(request.upstream);
    const key = keyOf(server, request.upstream, { caller, version: message.call.protocolVersion });
    if (message.kind === 'notification') {
      await this.#notify(key, message, { caller, signal: request.signal });
      return wholeAnswer(202, undefined);
    }
    const accepted = acceptedBy(request.headers['accept']);
    if (!accepted.json && !accepted.events) return refusal('not_acceptable', message.id);
    // Over HTTP it is for the server to check this, and over a pipe it sees no headers.
    const wrong =
      message.method === 'tools/call' ? server.tools.mismatch(message.call, request.headers) : undefined;
    if (wrong !== undefined) return refusal('header_mismatch', message.id, { header: wrong });
    const found = this.#tenancies.get(key) ?? this.#start(key, request.upstream, caller);
    if (typeof found === 'string') return failure(found, false);
    const { schedule, limits } = this.#room;
    const { signal } = request;
    const reply = new Reply({ accepted, signal, schedule, keepAliveMs: limits.keepAliveMs });
    void found.began.promise.then((fault) => {
      if (fault === undefined) return found.shared.request(message, caller, reply);
      return reply.fail(fault, false);
    });
    return reply.result;
  }

  /** Ends the processes of some servers. @param code for the outcomes of what is open */
  end(isMeant: (upstream: StdioUpstream) => boolean, code: string): void {
    for (const tenancy of this.#tenancies.values()) {
      if (isMeant(tenancy.upstream)) this.#end(tenancy, code);
    }
  }

  /** Ends all processes. Resolves when they have ended. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const tenancy of this.#tenancies.values()) this.#end(tenancy, 'shutdown');
    await Promise.all(this.#running);
  }

  /** A notification starts no process: there is nothing that it could be about. */
  async #notify(
    key: string,
    message: NotificationMessage,
    { caller, signal }: { readonly caller: string; readonly signal: AbortSignal },
  ): Promise<void> {
    const shared = this.#tenancies.get(key)?.shared;
    if (message.method === 'notifications/cancelled') shared?.cancel(message, caller);
    else await shared?.pass(message, signal);
  }

  #server(upstream: StdioUpstream): Server {
    const known = this.#servers.get(upstream);
    if (known !== undefined) return known;
    this.#lastServer += 1;
    const server = { number: this.#lastServer, tools: new ToolHeaders(this.#room.limits.toolHeaderBytesMax) };
    this.#servers.set(upstream, server);
    return server;
  }

  /** @returns why not, where it is not started */
  #start(key: string, upstream: StdioUpstream, caller: string): Tenancy | string {
    if (this.#closed) return 'shutdown';
    if (!this.#backoff.mayStart(key)) return 'start_backoff';
    const taken = this.#places.take({ upstream, caller: upstream.share === 'all' ? '' : caller });
    if (!taken.ok) return taken.limit;
    const tenancy = this.#tenancy(key, upstream, taken.place);
    this.#tenancies.set(key, tenancy);
    const { shared, lease, began } = tenancy;
    const occupant: Occupant = {
      upstream,
      taker: shared,
      lease,
      wanted: () => !tenancy.over,
      began(process) {
        tenancy.process = process;
        shared.attach(process);
        began.resolve(undefined);
        if (tenancy.over) process.stop();
      },
      failed: (code) => {
        if (!tenancy.over) this.#backoff.failed(key);
        this.#end(tenancy, code);
      },
      ended: () => {
        if (shared.answered) this.#backoff.served(key);
        else if (!tenancy.over) this.#backoff.failed(key);
        this.#end(tenancy, 'child_exit');
      },
    };
    const running = occupy(occupant, taken.ready, this.#room);
    this.#running.add(running);
    void running.finally(() => this.#running.delete(running));
    return tenancy;
  }

  #tenancy(key: string, upstream: StdioUpstream, place: Place): Tenancy {
    const { limits, schedule, throttle } = this.#room;
    const lease = new Lease(place, {
      schedule,
      idleMs: limits.childIdleMs,
      end: (why) => this.#end(tenancy, why),
    });
    const shared = new SharedProcess({
      name: upstream.name,
      limits,
      throttle,
      listed: (answer) => void this.#server(upstream).tools.learn(answer),
      used: (open) => lease.used(open),
    });
    const began = Promise.withResolvers<string | undefined>();
    const tenancy: Tenancy = { key, upstream, shared, lease, began, process: undefined, over: false };
    return tenancy;
  }

  #end(tenancy: Tenancy, code: string): void {
    if (tenancy.over) return;
    tenancy.over = true;
    this.#tenancies.delete(tenancy.key);
    tenancy.lease.leave();
    tenancy.began.resolve(code);
    tenancy.shared.finish(code);
    tenancy.process?.stop();
  }
}

/**
 * Whose requests share a process. A connection over a pipe has one revision, that of its first request: the official
 * SDK's servers look at no later one. So each revision has a process, which refuses it or not.
 */
function keyOf(
  { number }: Server,
  { share }: StdioUpstream,
  { caller, version = '' }: { readonly caller: string; readonly version: string | undefined },
): string {
  return JSON.stringify([number, version, ...(share === 'all' ? [] : [caller])]);
}
