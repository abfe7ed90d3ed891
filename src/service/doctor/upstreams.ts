/** Whether the servers behind the proxy are there, and who they are. */
import { VerdictError } from '../../errors.ts';
import { hideSecrets } from '../../event/secrets.ts';
import { credentialsOf } from './credentials.ts';
import type { Finding } from './finding.ts';
import { askServer, type AskOptions, type ServerCard } from '../asking/ask-server.ts';
import { Refused } from '../asking/conversation.ts';
import { openHttpConversation } from '../asking/http-conversation.ts';
import { openStdioConversation, type StdioConversation } from '../asking/stdio-conversation.ts';
import { countText, timeText } from './quantities.ts';
import type { Upstream } from './setup.ts';

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
  const options = { client: { name: 'mcp-verdict doctor', version }, timeoutMs: UPSTREAM_TIMEOUT_MS, signal };
  return Promise.all(
    upstreams.map(async (upstream) => {
      const reached = await reachUpstream(upstream, options, askServer);
      return reached.ok ? good(upstream.name, reached.value) : reached.finding;
    }),
  );
}

export interface ReachOptions {
  /** What we are called. */
  readonly client: AskOptions['client'];
  /** For each answer. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export type Reached<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly finding: Finding };

/** Asks a server something; where it cannot be asked, says why, and what to do about it. */
export function reachUpstream<T>(
  upstream: Upstream,
  options: ReachOptions,
  ask: (how: AskOptions) => Promise<T>,
): Promise<Reached<T>> {
  return upstream.kind === 'http' ? reachHttp(upstream, options, ask) : reachStdio(upstream, options, ask);
}

function good(subject: string, card: ServerCard): Finding {
  const { protocol, tools, elapsedMs } = card;
  const [name, version] = [shown(card.name), shown(card.version)];
  const offers = tools === undefined ? 'no tools' : countText(tools.length, 'tool');
  return {
    check: 'upstream',
    subject,
    level: 'ok',
    found: `${name} ${version}, ${offers}, MCP ${protocol}, in ${timeText(elapsedMs)}`,
    facts: { name, version, protocol, tools: tools?.length ?? 0, elapsed_ms: Math.round(elapsedMs) },
  };
}

// --- over HTTP ---

async function reachHttp<T>(
  upstream: Upstream & { kind: 'http' },
  options: ReachOptions,
  ask: (how: AskOptions) => Promise<T>,
): Promise<Reached<T>> {
  const { name, url } = upstream;
  const credentials = await credentialsOf(upstream);
  if (!credentials.ok) return credentials;
  const { headers } = credentials;
  try {
    const open = () => openHttpConversation({ url, headers, ...options });
    return { ok: true, value: await ask({ open, client: options.client }) };
  } catch (error) {
    return unreached(name, explainHttp(error, url.origin));
  }
}

function unreached(subject: string, explained: Explained): { readonly ok: false; readonly finding: Finding } {
  return { ok: false, finding: { check: 'upstream', subject, level: 'fail', ...explained } };
}

type Explained = Pick<Finding, 'found' | 'advice' | 'exit' | 'facts'>;

/** @param url without its path, which is a credential in some services */
function explainHttp(error: unknown, url: string): Explained {
  const status = error instanceof Refused ? error.status : undefined;
  if (status === undefined) return explainSilence(error, url);
  const facts = { status };
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
  return { found: `${url} is no MCP endpoint (HTTP ${status})`, advice: PATH_ADVICE, facts };
}

const PATH_ADVICE = 'Check the path: many servers have theirs at /mcp';

/** Nothing came that could be read, or nothing at all. */
function explainSilence(error: unknown, url: string): Explained {
  if (isTimeout(error)) return { found: `${url} does not answer in time`, advice: 'Is it running?', exit: 4 };
  const code = causeOf(error);
  if (code === undefined) {
    return { found: `${url} does not answer as MCP: ${firstLine(error)}`, advice: PATH_ADVICE };
  }
  const found = `${url} cannot be reached (${code})`;
  // Fetch goes to no port that belongs to another protocol; the proxy does.
  if (code === 'bad port')
    return { found: `${url} is on a port that doctor cannot ask`, advice: 'Try it by hand' };
  const tls = /CERT|SSL|TLS|SIGNED|ALTNAME|VERIFY/.test(code);
  const advice = tls
    ? 'Its certificate is not trusted: NODE_EXTRA_CA_CERTS names further authorities'
    : 'Is it running?';
  return { found, advice, exit: tls ? 1 : 4 };
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError';
}

/** `fetch` hides the system's code in the cause; undefined where it is none of its errors. */
function causeOf(error: unknown): string | undefined {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof AggregateError) return causeOf(new Error('several', { cause: cause.errors[0] }));
  if (!(cause instanceof Error)) return undefined;
  return causeOf(cause) ?? ('code' in cause ? String(cause.code) : cause.message);
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

async function reachStdio<T>(
  upstream: Upstream & { kind: 'stdio' },
  options: ReachOptions,
  ask: (how: AskOptions) => Promise<T>,
): Promise<Reached<T>> {
  const opened: StdioConversation[] = [];
  const open = async (): Promise<StdioConversation> => {
    const conversation = await openStdioConversation(upstream, options);
    opened.push(conversation);
    return conversation;
  };
  try {
    return { ok: true, value: await ask({ open, client: options.client }) };
  } catch (error) {
    return unreached(upstream.name, explainStdio(error, upstream, opened[0]));
  }
}

function explainStdio(
  error: unknown,
  { command }: Upstream & { kind: 'stdio' },
  conversation: StdioConversation | undefined,
): Explained {
  if (error instanceof VerdictError) {
    const found = `the command ${command} cannot be started: ${error.details['detail'] ?? ''}`;
    return { found, advice: 'Is it installed, and on the PATH of whoever starts mcp-verdict?', exit: 4 };
  }
  const said = conversation?.lastWords() ?? '';
  const words = said === '' ? '' : `; it said: ${shown(said)}`;
  const end = conversation?.end();
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
