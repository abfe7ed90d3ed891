/** One client for upstreams of both kinds: a wrapper around those of each. */
import type { HttpUpstream, StdioUpstream, UpstreamClient } from './upstream.ts';

export function byKind(
  http: UpstreamClient<HttpUpstream>,
  stdio: UpstreamClient<StdioUpstream>,
): UpstreamClient {
  return {
    send(request) {
      const { upstream } = request;
      return upstream.kind === 'http'
        ? http.send({ ...request, upstream })
        : stdio.send({ ...request, upstream });
    },
    async close() {
      await Promise.all([http.close(), stdio.close()]);
    },
  };
}
