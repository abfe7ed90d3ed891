/**
 * The HTTP side of the proxy: serves Streamable HTTP (MCP 2025-11-25 and 2026-07-28, transports) at `/SERVER/mcp`
 * and relays what the gate lets through. It owns no session: what the upstream says of one goes through.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { VerdictError } from '../../errors.ts';
import type { HttpAuthenticator } from '../../identity/authenticate.ts';
import type { Diagnostics } from '../../telemetry/diagnostics.ts';
import { createThrottle } from '../../telemetry/throttle.ts';
import { createBridge } from '../bridge/bridge.ts';
import type { Gate } from '../gate.ts';
import { withTokens } from './authorized-upstream.ts';
import { createBulletin } from './bulletin.ts';
import { serve } from './desk.ts';
import type { GiveUp } from './exchange.ts';
import { endKilled } from './kill.ts';
import { httpLimits, type HttpLimits } from './limits.ts';
import { byKind } from './upstream-kinds.ts';
import {
  createUpstreamClient,
  errorCode,
  type StdioUpstream,
  type Upstream,
  type UpstreamClient,
} from './upstream.ts';
import type { MessageLimits } from '../message/message.ts';
import { createPending } from '../pending.ts';
import type { ProtectedResources } from './protected-resource.ts';
import { reviewStreams } from './review.ts';
import { createSessions } from './sessions.ts';
import { renewable, tlsOptions, type DoorTls } from './tls.ts';
import { giveUpVisit, type HttpDesk, type Terms } from './visit.ts';
import { watchWire } from './wire-fault.ts';

export interface HttpDoorOptions {
  readonly gate: Gate;
  /** What is in force now. It is asked often, and gives the same value until something else is in force. */
  readonly settings: () => DoorSettings;
  /** Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly limits?: Partial<HttpLimits> | undefined;
  /** The way to servers that speak over stdio; closed with the door. Default: one with the limits of its own. */
  readonly bridge?: UpstreamClient<StdioUpstream> | undefined;
  readonly diagnostics: Diagnostics;
}

/** What may change while the door is open. No request is served by two of these. */
export interface DoorSettings {
  /** By the name that stands in the path. An upstream that stays the same object has not changed. */
  readonly servers: ReadonlyMap<string, Upstream>;
  readonly authenticate: HttpAuthenticator;
  /** Where clients get tokens; undefined where none are accepted. */
  readonly resources?: ProtectedResources | undefined;
  /** Without it, callers come in the clear; whether there is any does not change. */
  readonly tls?: DoorTls | undefined;
  readonly messageLimits?: Partial<MessageLimits> | undefined;
  /** Further values of Host: `name` or `name:port`. Off loopback these are the only good ones. */
  readonly allowedHosts?: readonly string[] | undefined;
  /** Origins whose pages may call. */
  readonly allowedOrigins?: readonly string[] | undefined;
}

export interface HttpDoor {
  /** Throws `listen_failed`. */
  listen(): Promise<{ readonly host: string; readonly port: number }>;
  /**
   * Something else is in force: TLS takes it over, and streams without an end of their own end where they would not be
   * let in any more. Calls in flight finish.
   * @returns resolves when nothing is in flight to an upstream that has gone or is another one now, or after LEAVE_MS
   */
  settingsChanged(): Promise<void>;
  /**
   * Takes no new connections, refuses new requests, ends open streams, lets calls in flight finish until the
   * deadline, then gives them up. Resolves when nothing is open any more. Calls after the first wait for it.
   */
  close(deadlineMs: number): Promise<void>;
}

/** Throws `config_invalid` for a limit out of its range. */
export function createHttpDoor(options: HttpDoorOptions): HttpDoor {
  const { gate, diagnostics, listen, settings } = options;
  const limits = httpLimits(options.limits);
  const pending = createPending({
    entriesMax: limits.pendingMax,
    keepMs: limits.pendingMs,
    nowMs: () => performance.now(),
  });
  const expiry = setInterval(() => pending.expire(), EXPIRY_INTERVAL_MS).unref();
  const { bridge = createBridge({ diagnostics }) } = options;
  const upstreams = byKind(withTokens(createUpstreamClient(limits)), bridge);
  const sessions = createSessions(limits.sessionsMax);
  const tasks = createSessions(limits.tasksMax);
  const bulletin = createBulletin(gate.listChanges);
  const throttle = createThrottle(diagnostics);
  const desk: HttpDesk = {
    relay: { gate, upstreams, pending, sessions, tasks, bulletin, limits, throttle },
    terms: remembered(settings, (current) => termsOf(current, listen.host)),
    open: new Set(),
    callers: new Map(),
    closing: false,
  };
  const { server, renewTls } = createHttpServer(limits, settings().tls, (request, client) => {
    serve(desk, request, client);
  });
  watchWire(server, desk);
  const unkill = gate.killSwitch?.onKill(() => endKilled(desk));
  let reviewed = desk.terms();
  const shut = async (deadlineMs: number): Promise<void> => {
    desk.closing = true;
    bulletin.close();
    const stopped = new Promise<void>((resolve) => server.close(() => resolve()));
    await finish(desk, deadlineMs);
    unkill?.();
    server.closeAllConnections();
    await stopped;
    clearInterval(expiry);
    pending.close();
    await upstreams.close();
    throttle.flush();
  };
  let closed: Promise<void> | undefined;
  return {
    listen: () => startListening(server, listen),
    settingsChanged() {
      const { tls } = settings();
      if (tls !== undefined) renewTls(tls);
      // Where policy alone has changed, nobody's credentials have.
      if (reviewed === desk.terms()) return Promise.resolve();
      reviewed = desk.terms();
      return atMost(LEAVE_MS, leaveFormer(desk));
    },
    close: (deadlineMs) => (closed ??= shut(deadlineMs)),
  };
}

/** How often what nobody has come back for is looked for. */
const EXPIRY_INTERVAL_MS = 60_000;

/** @returns what `make` makes of the value that `read` gives, made anew when that is another one */
function remembered<From extends object, To>(read: () => From, make: (from: From) => To): () => To {
  let last = read();
  let made = make(last);
  return () => {
    const now = read();
    if (now !== last) [last, made] = [now, make(now)];
    return made;
  };
}

function termsOf(settings: DoorSettings, listenHost: string): Terms {
  const { servers, authenticate, resources, tls, messageLimits = {} } = settings;
  const { allowedHosts = [], allowedOrigins = [] } = settings;
  const guard = { secure: tls !== undefined, listenHost, allowedHosts, allowedOrigins };
  return Object.freeze({ admission: { servers, authenticate, resources, guard }, messageLimits });
}

function createHttpServer(
  limits: HttpLimits,
  tls: DoorTls | undefined,
  onRequest: (request: IncomingMessage, client: ServerResponse) => void,
): DoorServer {
  const options = {
    headersTimeout: limits.headersTimeoutMs,
    // Ends when the request is whole, so an answer may stream for days.
    requestTimeout: limits.bodyTimeoutMs,
    connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, limits.headersTimeoutMs),
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    maxHeaderSize: limits.headerBytesMax,
    insecureHTTPParser: false,
    // A request without Host gets our own refusal, which is recorded.
    requireHostHeader: false,
    noDelay: true,
  };
  const open = (): DoorServer => {
    if (tls === undefined) return { server: createServer(options, onRequest), renewTls: () => {} };
    const secure = { ...tlsOptions(tls), handshakeTimeout: limits.headersTimeoutMs };
    const server = createTlsServer({ ...options, ...secure }, onRequest);
    return { server, renewTls: renewable(server, tls) };
  };
  const opened = open();
  // Node would drop what comes after the 2,000th field in silence: a second Host could hide there. The size limit
  // bounds their number.
  opened.server.maxHeadersCount = 0;
  return opened;
}

interface DoorServer {
  readonly server: Server;
  readonly renewTls: (tls: DoorTls) => void;
}

/** How often node:http looks for connections that are too slow. */
const CHECK_INTERVAL_MS = 1_000;

function startListening(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<{ host: string; port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const details = { address: `${host}:${port}`, detail: errorCode(error) };
      reject(new VerdictError('listen_failed', details, { cause: error }));
    });
    server.listen(port, host, () => {
      const address = server.address();
      resolve({ host, port: typeof address === 'object' && address !== null ? address.port : port });
    });
  });
}

/** For calls in flight to an upstream that has gone: longer than clients wait for an answer (the SDK's 60 s). */
export const LEAVE_MS = 90_000;

/** Resolves when what was in flight to upstreams that are in force no more has ended. */
async function leaveFormer(desk: HttpDesk): Promise<void> {
  const former = [...desk.open].filter(({ upstream }) => {
    return upstream !== undefined && desk.terms().admission.servers.get(upstream.name) !== upstream;
  });
  await reviewStreams(desk);
  await Promise.all(former.map(({ done }) => done));
}

/** For what is given up to record its outcome. Bounded, since a decision may hang on a dead recorder. */
const GIVE_UP_MS = 1_000;

/** Waits for what is open, as far as it has an end of its own and the deadline allows. */
async function finish(desk: HttpDesk, deadlineMs: number): Promise<void> {
  const reason: GiveUp = 'shutdown';
  for (const visit of desk.open) if (visit.openEnded) giveUpVisit(visit, reason);
  await atMost(deadlineMs, allDone(desk));
  for (const visit of desk.open) giveUpVisit(visit, reason);
  await atMost(GIVE_UP_MS, allDone(desk));
}

async function allDone(desk: HttpDesk): Promise<void> {
  while (desk.open.size > 0) await Promise.all([...desk.open].map((visit) => visit.done));
}

async function atMost(timeMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeMs);
  });
  await Promise.race([work, over]);
  clearTimeout(timer);
}
