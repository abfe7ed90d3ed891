/** Connections to upstreams. */
import * as http from 'node:http';
import * as https from 'node:https';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { urlToHttpOptions } from 'node:url';
import type { Origin } from '../gate.ts';
import type { Message } from '../message/message.ts';
import type { ChildCommand } from '../stdio/child.ts';
import type { UpstreamTokens } from './upstream-token.ts';

/** One MCP server behind us. */
export type Upstream = HttpUpstream | StdioUpstream;

export interface HttpUpstream {
  readonly kind: 'http';
  /** Its key in verdict.yaml. */
  readonly name: string;
  /** Its MCP endpoint, http or https. */
  readonly url: URL;
  /** Sent with every request, over what the client sends; may hold credentials. */
  readonly headers: Readonly<Record<string, string>>;
  /** Where its bearer tokens come from, if it is to have any. */
  readonly tokens?: UpstreamTokens | undefined;
}

/** A server that speaks over the pipes of a process, which the bridge starts for its callers. */
export interface StdioUpstream {
  readonly kind: 'stdio';
  readonly name: string;
  readonly command: ChildCommand;
  /** Whose requests of the modern era go to one process. A session of the legacy era always has its own. */
  readonly share: 'caller' | 'all';
  /** None: a pipe has no headers. */
  readonly headers: Readonly<Record<string, never>>;
}

/** A server over stdio has no address, and no port. */
export function serverFacts(upstream: Upstream): Origin['server'] {
  const { name } = upstream;
  if (upstream.kind === 'stdio') return { name };
  const { url } = upstream;
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return { name, address: url.hostname.replace(/^\[|\]$/g, ''), port };
}

export interface UpstreamRequest<U extends Upstream = Upstream> {
  readonly upstream: U;
  readonly method: 'POST' | 'GET' | 'DELETE';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
  /** What `body` was parsed from; undefined for a message of our own. */
  readonly message?: Message | undefined;
  /** On whose behalf. */
  readonly origin: Origin;
  /** Ends the exchange at any moment, also while the answer is being read. */
  readonly signal: AbortSignal;
  /** Called when the last byte of the request has been handed to the system. */
  readonly sent?: (() => void) | undefined;
}

/** The answer, as it comes in; http.IncomingMessage is one. */
export interface UpstreamAnswer extends Readable {
  readonly statusCode?: number | undefined;
  readonly headers: http.IncomingHttpHeaders;
}

export type UpstreamResult =
  | { readonly ok: true; readonly response: UpstreamAnswer }
  /** `code` is Node's (`ECONNREFUSED`), OpenSSL's or the HTTP parser's; `connected`: bytes may have gone out. */
  | { readonly ok: false; readonly code: string; readonly connected: boolean };

export interface UpstreamClient<U extends Upstream = Upstream> {
  /** Sends one request, once. Never rejects. Redirects are given back like any answer. */
  send(request: UpstreamRequest<U>): Promise<UpstreamResult>;
  /** Ends all connections, and whatever was started for them. Resolves when that has been done. */
  close(): Promise<void>;
}

/**
 * How long an unused connection is kept. Servers end idle ones after 5 s (Node's default) or more, so ours go
 * first. That matters because a request written to a connection that the server is just closing fails with
 * ECONNRESET, and nobody can tell whether it ran: it is never sent again by us, for a tool call that ran twice is
 * worse than one that failed. A shorter `Keep-Alive: timeout=` from the server is honoured by the agent.
 */
const IDLE_SOCKET_MS = 4_000;

export function createUpstreamClient(options: {
  readonly connectTimeoutMs: number;
}): UpstreamClient<HttpUpstream> {
  const agents = {
    http: new http.Agent({ keepAlive: true, timeout: IDLE_SOCKET_MS }),
    https: new https.Agent({ keepAlive: true, timeout: IDLE_SOCKET_MS }),
  };
  return {
    send: (request) => send(request, agents, options.connectTimeoutMs),
    async close() {
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}

/** Ours and not the client's: with a charset, the upstream would read another text than we did. */
const JSON_BODY = { 'content-type': 'application/json' };

interface Agents {
  readonly http: http.Agent;
  readonly https: https.Agent;
}

/** Where requests to an upstream go, read from its URL once: node:http would do so for each of them. */
const targets = new WeakMap<HttpUpstream, http.RequestOptions>();

function targetOf(upstream: HttpUpstream): http.RequestOptions {
  const known = targets.get(upstream);
  if (known !== undefined) return known;
  const { protocol, hostname, port, path, auth } = urlToHttpOptions(upstream.url);
  const target = { protocol, hostname, port, path, auth };
  targets.set(upstream, target);
  return target;
}

function send(
  request: UpstreamRequest<HttpUpstream>,
  agents: Agents,
  connectTimeoutMs: number,
): Promise<UpstreamResult> {
  const { upstream, method, headers, body, signal } = request;
  const secure = upstream.url.protocol === 'https:';
  return new Promise((resolve) => {
    const connection = { connected: false };
    const failed = (error: unknown): void => {
      resolve({ ok: false, code: errorCode(error), connected: connection.connected });
    };
    try {
      if (signal.aborted) throw abortError(signal);
      const options: https.RequestOptions = {
        ...targetOf(upstream),
        method,
        headers: body === undefined ? headers : { ...headers, ...JSON_BODY, 'content-length': body.length },
        agent: secure ? agents.https : agents.http,
      };
      const outgoing = (secure ? https : http).request(options);
      // The option of that name would do the same, at a cost that shows on each call: it watches for the end of the
      // request to stop listening.
      let answer: http.IncomingMessage | undefined;
      // Of a request whose answer has come whole, and has not been read, the connection would be given back to the
      // agent and then fail, with nobody there any more to hear of it.
      const abort = (): void => void (answer ?? outgoing).destroy(abortError(signal));
      signal.addEventListener('abort', abort, { once: true });
      // The signal may serve for many requests, one after the other.
      outgoing.on('close', () => signal.removeEventListener('abort', abort));
      // Stays for good: after the answer has begun, a broken connection is reported there and here.
      outgoing.on('error', failed);
      outgoing.on('response', (response) => {
        answer = response;
        resolve({ ok: true, response });
      });
      // Nothing was asked for that an upstream could switch to.
      outgoing.on('upgrade', (_, socket) => {
        socket.destroy();
        resolve({ ok: false, code: 'upgrade', connected: true });
      });
      outgoing.on('close', () => failed(undefined));
      if (request.sent !== undefined) outgoing.on('finish', request.sent);
      outgoing.on('socket', (socket) => {
        // Fires also for a kept connection, which stands already.
        watchConnect(socket, { secure, connectTimeoutMs, onConnect: () => (connection.connected = true) });
      });
      outgoing.end(body);
    } catch (error) {
      // node:http throws at once on a header value that it will not send.
      failed(error);
    }
  });
}

function abortError({ reason }: AbortSignal): Error {
  return Object.assign(new Error('given up', { cause: reason }), { code: 'ABORT_ERR' });
}

interface ConnectWatch {
  readonly secure: boolean;
  readonly connectTimeoutMs: number;
  readonly onConnect: () => void;
}

/** Ends a connection that does not come to stand in time; DNS, TCP and TLS share the time. */
function watchConnect(socket: Socket, { secure, connectTimeoutMs, onConnect }: ConnectWatch): void {
  const standing = !socket.connecting && !(secure && 'secureConnecting' in socket && socket.secureConnecting);
  if (standing) {
    onConnect();
    return;
  }
  const timer = setTimeout(() => {
    socket.destroy(Object.assign(new Error('no connection in time'), { code: 'ETIMEDOUT' }));
  }, connectTimeoutMs);
  socket.once(secure ? 'secureConnect' : 'connect', () => {
    clearTimeout(timer);
    onConnect();
  });
  socket.once('close', () => clearTimeout(timer));
}

/** The `code` of a Node error, or its name. */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}

/** The status of an answer, which node:http always sets on one. */
export function statusOf(response: UpstreamAnswer): number {
  return response.statusCode ?? 502;
}

export function isSuccess(response: UpstreamAnswer): boolean {
  return statusOf(response) < 300;
}
