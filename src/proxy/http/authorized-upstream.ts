/** Sends to upstreams with the credentials that we hold for them. */
import type { HttpUpstream, UpstreamClient, UpstreamRequest, UpstreamResult } from './upstream.ts';

/** No token could be had; what came of asking for one has been told. */
export const NO_TOKEN = 'no_token';

/** A wrapper: what an upstream without tokens gets is not touched. */
export function withTokens(client: UpstreamClient<HttpUpstream>): UpstreamClient<HttpUpstream> {
  return {
    send: (request) => sendWithToken(client, request),
    close: () => client.close(),
  };
}

async function sendWithToken(
  client: UpstreamClient<HttpUpstream>,
  request: UpstreamRequest<HttpUpstream>,
): Promise<UpstreamResult> {
  const { tokens } = request.upstream;
  if (tokens === undefined) return client.send(request);
  let token: string;
  try {
    token = await tokens.current();
  } catch {
    return { ok: false, code: NO_TOKEN, connected: false };
  }
  const sent = await client.send(bearing(request, token));
  if (!sent.ok || sent.response.statusCode !== 401) return sent;
  // Refused for its token, so it was not served, and may be sent again: once.
  const other = await tokens.another(token);
  if (other === undefined) return sent;
  sent.response.on('error', () => {});
  sent.response.destroy();
  return client.send(bearing(request, other));
}

function bearing(request: UpstreamRequest<HttpUpstream>, token: string): UpstreamRequest<HttpUpstream> {
  return { ...request, headers: { ...request.headers, authorization: `Bearer ${token}` } };
}
