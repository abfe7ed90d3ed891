/** Gets tokens for upstreams by the client credentials grant (RFC 6749, section 4.4; RFC 8707). */
import type { ServerConfig } from '../config.ts';
import type { OAuthClient } from '../config/oauth-client.ts';
import type { Upstream } from '../proxy/http/upstream.ts';
import { createUpstreamTokens, type IssuedToken } from '../proxy/http/upstream-token.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import { fetchJson, shownUrl } from './fetch-json.ts';

/** So long a call may wait for a token. */
export const TOKEN_TIMEOUT_MS = 5_000;
/** Bytes of the answer with the token. */
export const TOKEN_BYTES_MAX = 65_536;

/** The servers of the configuration, each with the tokens that it is to have. */
export function upstreamsOf(
  servers: ReadonlyMap<string, ServerConfig>,
  diagnostics: Diagnostics,
): ReadonlyMap<string, Upstream> {
  const upstreams = [...servers.values()].map((server): Upstream => {
    if (server.kind === 'stdio') return { ...server, headers: {} };
    const { oauth, ...upstream } = server;
    if (oauth === undefined) return upstream;
    const tokens = createUpstreamTokens({
      fetchToken: () => fetchToken(oauth),
      nowMs: Date.now,
      failed: (message) => diagnostics.warn(`no token for the server ${server.name}: ${message}`),
    });
    return { ...upstream, tokens };
  });
  return new Map(upstreams.map((upstream) => [upstream.name, upstream]));
}

/** Rejects with an Error whose message says why, and holds no secret. */
export async function fetchToken(client: OAuthClient, timeoutMs = TOKEN_TIMEOUT_MS): Promise<IssuedToken> {
  const { tokenUrl, clientId, clientSecret, scope, resource } = client;
  const form = new URLSearchParams({ grant_type: 'client_credentials' });
  if (scope !== undefined) form.set('scope', scope);
  if (resource !== undefined) form.set('resource', resource);
  const { status, value } = await fetchJson(tokenUrl, {
    bytesMax: TOKEN_BYTES_MAX,
    signal: AbortSignal.timeout(timeoutMs),
    form,
    headers: { authorization: basic(clientId, clientSecret) },
  });
  const members = (typeof value === 'object' && value !== null ? value : {}) as TokenAnswer;
  const token = status === 200 ? tokenOf(members) : undefined;
  if (token !== undefined) return token;
  throw new Error(
    `${status === 200 ? 'the answer holds no bearer token' : refusal(status, members)} (${shownUrl(tokenUrl)})`,
  );
}

/** Of RFC 6749, section 5; nothing of it is believed yet. */
interface TokenAnswer {
  readonly access_token?: unknown;
  readonly token_type?: unknown;
  readonly expires_in?: unknown;
  readonly error?: unknown;
}

function tokenOf(answer: TokenAnswer): IssuedToken | undefined {
  const { access_token: token, token_type: type, expires_in: expires } = answer;
  // RFC 6750, section 2.1: what is of another form could end the header that it is put in.
  if (typeof token !== 'string' || !/^[A-Za-z0-9._~+/-]+=*$/.test(token)) return undefined;
  if (typeof type !== 'string' || type.toLowerCase() !== 'bearer') return undefined;
  const lifetimeMs = typeof expires === 'number' && expires > 0 ? expires * 1000 : undefined;
  return { token, lifetimeMs };
}

function refusal(status: number, { error }: TokenAnswer): string {
  return typeof error === 'string' && /^[a-z_]{1,40}$/.test(error)
    ? `status ${status}, ${error}`
    : `status ${status}`;
}

/** RFC 6749, section 2.3.1: each part is encoded as in a form before the two are joined. */
function basic(id: string, secret: string): string {
  const encode = (text: string): string => new URLSearchParams({ x: text }).toString().slice('x='.length);
  return `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`).toString('base64')}`;
}
