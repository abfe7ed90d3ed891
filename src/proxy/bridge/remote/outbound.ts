/**
 * What the client says, on its way to the server: one POST each, in the order in which it came. A request is past
 * when it has been sent, so that many can wait for their answers at once; what has no answer when it has been taken.
 */
import type { Outcome } from '../../gate.ts';
import { errorAnswer } from '../../message/answer.ts';
import { idOf, type NotificationMessage, type RequestMessage } from '../../message/message.ts';
import type { Sent } from '../../stdio/peer.ts';
import { type Fault, faultText } from './fault.ts';
import { handOver } from './hand-over.ts';
import { modernHeaders, sessionHeaders } from './message-headers.ts';
import { listenToServer } from './own-stream.ts';
import type { Remote } from './remote.ts';
import { serveRequest } from './request.ts';

/** A request that is being served: until its answer is with the client, and its connection free. */
interface Serving {
  readonly message: RequestMessage;
  readonly controller: AbortController;
  state: 'open' | 'answered' | 'given_up';
  /** Whether the client has taken it back. */
  cancelled: boolean;
  /** Calls off what would end it. */
  callOff: (() => void) | undefined;
}

type Trace = Sent['trace'];

export class Outbound {
  readonly #remote: Remote;
  readonly #serving = new Set<Serving>();
  /** Those of them that have no answer, by id. */
  readonly #open = new Map<string, Serving>();
  readonly #handing = new Set<AbortController>();
  #listeningIn: AbortSignal | undefined;
  #state: 'open' | 'ended' | 'closed' = 'open';
  readonly #idle = Promise.withResolvers<void>();

  constructor(remote: Remote) {
    this.#remote = remote;
  }

  /** Resolves once `end` was called and all that was sent is done with; or at `close`. */
  get idle(): Promise<void> {
    return this.#idle.promise;
  }

  /** As Outlet has it. */
  async write(framed: Uint8Array, sent?: Sent): Promise<boolean> {
    const { session } = this.#remote;
    if (sent === undefined) {
      // At once: the server may want it before it answers `initialize`.
      if (this.#state === 'closed') return false;
      await this.#hand(framed.subarray(0, -1), 'a response', sessionHeaders(session));
      return true;
    }
    const { message, trace } = sent;
    // Before that the server has not said how it is to be addressed.
    if (!message.call.modern && message.method !== 'initialize') await session.settled();
    if (this.#state === 'closed') return false;
    if (message.kind === 'notification') await this.#notify(message, trace);
    else await this.#request(message, trace);
    return true;
  }

  /** Nothing more will be written. Answers are still waited for, but none that may never come. */
  end(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ended';
    for (const serving of this.#serving) {
      const endless = serving.cancelled || serving.message.method === 'subscriptions/listen';
      if (endless) this.#takeBack(serving);
      else if (serving.state !== 'open') serving.controller.abort();
    }
    this.#settle();
  }

  /** Gives up whatever is not done with. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    const { intake, session } = this.#remote;
    for (const serving of this.#open.values()) {
      const { id } = serving.message;
      const [outcome, body] = this.#ending(serving, this.#stopped(serving));
      serving.state = 'given_up';
      intake.giveUp(id, outcome, body);
    }
    this.#open.clear();
    for (const { controller, callOff } of this.#serving) {
      callOff?.();
      controller.abort();
    }
    for (const controller of this.#handing) controller.abort();
    session.agree(undefined);
    this.#idle.resolve();
  }

  async #request(message: RequestMessage, trace: Trace): Promise<void> {
    const { limits, session, intake } = this.#remote;
    const { openMax: max } = limits;
    if (this.#open.size >= max) {
      const body = errorAnswer(message.id, 'busy', { max });
      await intake.unanswered(message.id, { status: 'transport_error', errorType: 'busy' }, body);
      return;
    }
    if (message.method === 'initialize') session.open();
    const controller = new AbortController();
    const serving: Serving = { message, controller, state: 'open', cancelled: false, callOff: undefined };
    this.#serving.add(serving);
    this.#open.set(message.id.json, serving);
    const { promise, resolve } = Promise.withResolvers<void>();
    void this.#serve(serving, trace, resolve).then(resolve);
    await promise;
  }

  async #serve(serving: Serving, trace: Trace, sent: () => void): Promise<void> {
    const { message, controller } = serving;
    const remote = this.#remote;
    const fault = await serveRequest({
      remote,
      message,
      trace,
      sent,
      answered: () => this.#answered(serving),
      signal: controller.signal,
    });
    serving.callOff?.();
    if (fault !== undefined && serving.state === 'open') {
      this.#closeRequest(serving);
      if (message.method === 'initialize') remote.session.agree(undefined);
      const [outcome, body] = this.#ending(serving, fault);
      if (!serving.cancelled) {
        const text = faultText(fault);
        remote.throttle.say('warn', `${fault.code} ${fault.errorType}`, text);
      }
      await remote.intake.unanswered(message.id, outcome, body);
    }
    this.#serving.delete(serving);
    this.#settle();
  }

  /** What is recorded and told of a request without an answer. */
  #ending(serving: Serving, fault: Fault): [Outcome, Uint8Array | undefined] {
    const { code, details, errorType, httpStatus } = fault;
    // Who has taken it back waits for nothing.
    if (serving.cancelled) return [{ status: 'cancelled', httpStatus }, undefined];
    const status = errorType === STOPPED ? 'cancelled' : 'transport_error';
    return [{ status, errorType, httpStatus }, errorAnswer(serving.message.id, code, details)];
  }

  #stopped({ message }: Serving): Fault {
    const { name: server } = this.#remote.upstream;
    const detail = `${message.method} had none yet when mcp-verdict was told to stop`;
    return { code: 'upstream_broken', details: { server, detail }, errorType: STOPPED };
  }

  #answered(serving: Serving): void {
    const { schedule, limits } = this.#remote;
    const { controller } = serving;
    serving.state = 'answered';
    this.#closeRequest(serving);
    serving.callOff?.();
    // What else the stream may bring is not waited for without end.
    if (this.#state === 'open') serving.callOff = schedule(limits.afterAnswerMs, () => controller.abort());
    else controller.abort();
  }

  #closeRequest({ message }: Serving): void {
    this.#open.delete(message.id.json);
  }

  async #notify(message: NotificationMessage, trace: Trace): Promise<void> {
    const { session, schedule, limits } = this.#remote;
    const { method, bytes, call } = message;
    const serving = method === 'notifications/cancelled' ? this.#cancelled(message) : undefined;
    // Without either, a request was never open or is answered, and the connection's own era tells.
    const modern = serving?.message.call.modern ?? (call.modern || session.version === undefined);
    if (modern && method === 'notifications/cancelled') {
      // In 2026-07-28 the end of the connection says it, and nothing else does.
      if (serving !== undefined) this.#takeBack(serving);
      return;
    }
    const headers = call.modern ? modernHeaders(message) : sessionHeaders(session);
    const taken = await this.#hand(bytes, method, headers, trace);
    if (serving?.state === 'open') {
      serving.cancelled = true;
      // Most servers answer nothing now, and some of them never end the stream.
      serving.callOff = schedule(limits.cancelGraceMs, () => serving.controller.abort());
    }
    if (taken && method === 'notifications/initialized') this.#listen();
  }

  #cancelled({ params }: NotificationMessage): Serving | undefined {
    return this.#open.get(idOf(params.get('requestId'))?.json ?? '');
  }

  #takeBack(serving: Serving): void {
    serving.cancelled = true;
    serving.controller.abort();
  }

  /** Opens the server's own stream, once a session. */
  #listen(): void {
    const { over } = this.#remote.session;
    if (this.#listeningIn === over) return;
    this.#listeningIn = over;
    void listenToServer(this.#remote);
  }

  async #hand(
    body: Uint8Array,
    title: string,
    headers: Record<string, string>,
    trace?: Trace,
  ): Promise<boolean> {
    const controller = new AbortController();
    this.#handing.add(controller);
    const taken = await handOver(this.#remote, { body, title, headers, trace, controller });
    this.#handing.delete(controller);
    return taken;
  }

  #settle(): void {
    if (this.#state === 'ended' && this.#serving.size === 0) this.#idle.resolve();
  }
}

/** `error.type` of what was open when we were told to stop. */
const STOPPED = 'shutdown';
