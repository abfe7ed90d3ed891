/** Whether the servers behind the proxy are there, and who they are. */
import { VerdictError } from '../../errors.ts';
import { hideSecrets } from '../../event/secrets.ts';
import { credentialsOf } from './credentials.ts';
import type { Finding } from './finding.ts';
import { askServer, type Connection, type ServerCard } from './mcp-client.ts';
import { countText, timeText } from './quantities.ts';
import type { Upstream } from './setup.ts';
import { createStdioTransport, type StdioTransport } from './stdio-transport.ts';

export interface UpstreamOptions {
  readonly upstreams: readonly Upstream[];
  /** Ours. */
  readonly version: string;
  /** Aborted, servers that were started are ended, and nobody is asked any more. */
  readonly signal: AbortSignal;
}

/** `npx` may have to download the server first. */
export const UPSTREAM_TIMEOUT_MS = 30_000;

/** All at once; in the order of the set-up. */
export function findUpstreams({ upstreams, version, signal }: UpstreamOptions): Promise<Finding[]> {
  const options = { version, timeoutMs: UPSTREAM_TIMEOUT_MS, signal };
  return Promise.all(
    upstreams.map((upstream) =>
      upstream.kind === 'http' ? findHttp(upstream, options) : findStdio(upstream, options),
    ),
  );
}

interface Asking {
  readonly version: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

function good(subject: string, card: ServerCard): Finding {
  const { protocol, tools, elapsedMs } = card;
  const [name, version] = [shown(card.name), shown(card.version)];
  const offers = tools === undefined ? 'no tools' : countText(tools, 'tool');
  return {
    check: 'upstream',
    subject,
    level: 'ok',
    found: `${name} ${version}, ${offers}, MCP ${protocol}, in ${timeText(elapsedMs)}`,
    facts: { name, version, protocol, tools: tools ?? 0, elapsed_ms: Math.round(elapsedMs) },
  };
}

// --- over HTTP ---

/** What came back last, which the SDK's errors leave out. */
interface LastAnswer {
  status: number | undefined;
}

async function findHttp(upstream: Upstream & { kind: 'http' }, options: Asking): Promise<Finding> {
  const { name, url } = upstream;
  const credentials = await credentialsOf(upstream);
  if (!credentials.ok) return credentials.finding;
  const last: LastAnswer = { status: undefined };
  try {
    const { headers } = credentials;
    const card = await askServer(httpConnection({ ...upstream, headers }, last, options), options);
    return good(name, card);
  } catch (error) {
    return {
      check: 'upstream',
      subject: name,
      level: 'fail',
      ...explainHttp(error, last.status, url.origin),
    };
  }
}

function httpConnection(
  { url, headers }: Upstream & { kind: 'http' },
  last: LastAnswer,
  { timeoutMs, signal }: Asking,
): Connection {
  const ask = async (target: string | URL, init: RequestInit = {}): Promise<Response> => {
    const sent = new Headers(init.headers);
    const method = init.method === 'POST' ? methodOf(init.body) : undefined;
    // The newer protocol wants the method outside too (MCP 2026-07-28, Streamable HTTP).
    if (method !== undefined && sent.get('mcp-protocol-version') === '2026-07-28')
      sent.set('mcp-method', method);
    const signals = [signal, AbortSignal.timeout(timeoutMs), ...(init.signal ? [init.signal] : [])];
    // The proxy follows no redirect either: what is configured is asked, and nobody else.
    const request = { ...init, headers: sent, redirect: 'manual', signal: AbortSignal.any(signals) } as const;
    const response = await fetch(target, request);
    if (method !== undefined) last.status = response.status;
    return response;
  };
  return {
    async open() {
      const { StreamableHTTPClientTransport } =
        await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
      return new StreamableHTTPClientTransport(url, { requestInit: { headers }, fetch: ask });
    },
    async leave(transport) {
      if ('terminateSession' in transport && typeof transport.terminateSession === 'function') {
        await transport.terminateSession();
      }
    },
  };
}

function methodOf(body: unknown): string | undefined {
  if (typeof body !== 'string') return undefined;
  const [, method] = /"method":"([^"]+)"/.exec(body) ?? [];
  return method;
}

type Explained = Pick<Finding, 'found' | 'advice' | 'exit' | 'facts'> & Partial<Pick<Finding, 'level'>>;

/** @param url without its path, which is a credential in some services */
function explainHttp(error: unknown, status: number | undefined, url: string): Explained {
  const facts = status === undefined ? {} : { status };
  if (status === undefined || isTimeout(error)) {
    const code = codeOf(error);
    const found = isTimeout(error) ? `${url} does not answer in time` : `${url} cannot be reached (${code})`;
    // Fetch goes to no port that belongs to another protocol; the proxy does.
    if (code === 'bad port')
      return { found: `${url} is on a port that doctor cannot ask`, advice: 'Try it by hand' };
    const tls = /CERT|SSL|TLS|SIGNED|ALTNAME|VERIFY/.test(code);
    const advice = tls
      ? 'Its certificate is not trusted: NODE_EXTRA_CA_CERTS names further authorities'
      : 'Is it running?';
    return { found, advice, exit: tls ? 1 : 4, facts };
  }
  if (status === 401 || status === 403) {
    const advice =
      'Give its credentials as headers or oauth of this server; those of callers are never passed on';
    return { found: `${url} refuses us (HTTP ${status})`, advice, facts };
  }
  if (status >= 300 && status < 400) {
    return {
      found: `${url} redirects (HTTP ${status}), which is not followed`,
      advice: 'Name the final URL',
      facts,
    };
  }
  if (status >= 500)
    return { found: `${url} fails (HTTP ${status})`, advice: 'See its own log', exit: 4, facts };
  const found =
    status >= 400
      ? `${url} is no MCP endpoint (HTTP ${status})`
      : `${url} does not answer as MCP: ${firstLine(error)}`;
  return { found, advice: 'Check the path: many servers have theirs at /mcp', facts };
}

function isTimeout(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === 'TimeoutError' || ('code' in error && error.code === -32001);
}

/** `fetch` hides the system's code in the cause. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause instanceof AggregateError) return codeOf(error.cause.errors[0]);
  if (error.cause instanceof Error) return codeOf(error.cause);
  return 'code' in error ? String(error.code) : firstLine(error);
}

const TEXT_CHARS_MAX = 200;

/** What a server says of itself or of its troubles: it may hold what it was given. */
function shown(text: string): string {
  return hideSecrets(text).slice(0, TEXT_CHARS_MAX);
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return shown(text.split('\n')[0] ?? '');
}

// --- over stdio ---

async function findStdio(upstream: Upstream & { kind: 'stdio' }, options: Asking): Promise<Finding> {
  const { name } = upstream;
  const opened: StdioTransport[] = [];
  const connection: Connection = {
    async open() {
      const transport = await createStdioTransport(upstream, options.signal);
      opened.push(transport);
      return transport;
    },
  };
  try {
    return good(name, await askServer(connection, options));
  } catch (error) {
    return { check: 'upstream', subject: name, level: 'fail', ...explainStdio(error, upstream, opened[0]) };
  }
}

function explainStdio(
  error: unknown,
  { command }: Upstream & { kind: 'stdio' },
  transport: StdioTransport | undefined,
): Explained {
  if (error instanceof VerdictError) {
    const found = `the command ${command} cannot be started: ${error.details['detail'] ?? ''}`;
    return { found, advice: 'Is it installed, and on the PATH of whoever starts mcp-verdict?', exit: 4 };
  }
  const said = transport?.lastWords() ?? '';
  const words = said === '' ? '' : `; it said: ${shown(said)}`;
  const end = transport?.end();
  // What was told to end by us has not ended by itself.
  if (end !== undefined && end.signal === undefined && !isTimeout(error)) {
    return {
      found: `${command} ended with ${end.code ?? 'no code'} before it answered${words}`,
      advice: 'Run it by hand',
    };
  }
  const found = isTimeout(error)
    ? `${command} does not answer in time${words}`
    : `${command} does not answer as MCP: ${firstLine(error)}${words}`;
  return { found, advice: 'Is it an MCP server that speaks over stdio?' };
}
