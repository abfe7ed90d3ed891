/**
 * Who may address us by which name, and from which web pages (MCP transports, "Security Warning": DNS rebinding).
 * Pure; runs before anything else of a request is looked at.
 */
import { headerValues } from './headers.ts';

export interface GuardOptions {
  /** Whether callers come by TLS. Default: no. */
  readonly secure?: boolean | undefined;
  /** The address that is listened on. On loopback its names are good without being listed. */
  readonly listenHost: string;
  /** Further good values of Host: `name` for any port, or `name:port`. */
  readonly allowedHosts: readonly string[];
  /** Origins whose pages may call, as browsers write them: `https://app.example`. */
  readonly allowedOrigins: readonly string[];
}

export type GuardResult =
  /** `origin` is the request's Origin, where it has one. */
  | { readonly ok: true; readonly origin: string | undefined }
  | { readonly ok: false; readonly header: 'Host' | 'Origin'; readonly value: string };

/** Characters of a refused header value that go into records and answers. */
const SHOWN_MAX = 256;

/**
 * Checks Host and Origin, each by itself. Two of either are refused, since the next server could read the other.
 * @param rawHeaders names and values in turn, as node:http gives them
 * @param port the local port that the request came to
 */
export function checkGuard(rawHeaders: readonly string[], port: number, options: GuardOptions): GuardResult {
  const hosts = headerValues(rawHeaders, 'host');
  const [host = ''] = hosts;
  if (hosts.length !== 1 || !isGoodHost(host.toLowerCase(), port, options)) return refused('Host', hosts);

  const origins = headerValues(rawHeaders, 'origin');
  const [origin] = origins;
  if (origins.length > 1) return refused('Origin', origins);
  if (origin !== undefined && !isGoodOrigin(origin, host, options)) return refused('Origin', origins);
  return { ok: true, origin };
}

/** Whether the address can only be reached from this machine: `localhost`, 127.0.0.0/8, `::1`. */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

function isGoodHost(host: string, port: number, options: GuardOptions): boolean {
  const { listenHost, allowedHosts, secure = false } = options;
  const parts = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?$/.exec(host);
  const name = parts?.[1];
  if (name === undefined) return false;
  const portText = parts?.[2] ?? (secure ? '443' : '80');
  const listed = allowedHosts.some((allowed) => {
    const wanted = allowed.toLowerCase();
    return wanted === name || wanted === `${name}:${portText}`;
  });
  if (listed) return true;
  // A page that rebinds its own name to 127.0.0.1 still sends that name here, never a loopback one.
  const bare = name.startsWith('[') ? name.slice(1, -1) : name;
  return isLoopbackHost(listenHost) && isLoopbackHost(bare) && Number(portText) === port;
}

/** `null`, which sandboxed frames and local files send, is never good: anybody can make one. */
function isGoodOrigin(origin: string, host: string, options: GuardOptions): boolean {
  const { listenHost, allowedOrigins, secure = false } = options;
  if (origin === 'null') return false;
  if (allowedOrigins.includes(origin)) return true;
  // Our own origin: nothing but us answers there, and what we answer cannot run as a page (http-headers.ts).
  return (
    isLoopbackHost(listenHost) &&
    origin.toLowerCase() === `${secure ? 'https' : 'http'}://${host.toLowerCase()}`
  );
}

function refused(header: 'Host' | 'Origin', values: readonly string[]): GuardResult {
  const value = values.length === 0 ? '(none)' : values.join(', ');
  return { ok: false, header, value: value.slice(0, SHOWN_MAX) };
}
