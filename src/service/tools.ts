/** Asks servers for their tools as every kind of client would see them, and makes pins of what they say. */
import { isPlainName } from '../proxy/message/call.ts';
import { toolDigest } from '../proxy/pins/digest.ts';
import { LOCK_TOOLS_MAX, type PinnedTool, type PinnedTools } from '../proxy/pins/lock.ts';
import { askServerInAll, type ServerCard } from './asking/ask-server.ts';
import type { Finding } from './doctor/finding.ts';
import type { Upstream } from './doctor/setup.ts';
import { reachUpstream, UPSTREAM_TIMEOUT_MS } from './doctor/upstreams.ts';

export interface ServerTools {
  readonly server: string;
  readonly tools: PinnedTools;
  /** Revisions of MCP that it was asked in. */
  readonly protocols: readonly string[];
  /** Names that no call can be made by, and that no client is shown. */
  readonly leftOut: readonly string[];
}

export interface ListToolsOptions {
  readonly upstreams: readonly Upstream[];
  /** Ours. */
  readonly version: string;
  readonly signal: AbortSignal;
}

export interface ListedTools {
  readonly servers: readonly ServerTools[];
  /** Why others could not be asked, or not be pinned. */
  readonly failures: readonly Finding[];
}

/** All at once; in the order given. */
export async function listTools({ upstreams, version, signal }: ListToolsOptions): Promise<ListedTools> {
  const options = { client: { name: 'mcp-verdict tools', version }, timeoutMs: UPSTREAM_TIMEOUT_MS, signal };
  const reached = await Promise.all(
    upstreams.map((upstream) =>
      reachUpstream(upstream, options, async (how) => toolsOf(upstream.name, await askServerInAll(how))),
    ),
  );
  return {
    servers: reached.flatMap((one) => (one.ok ? [one.value] : [])),
    failures: reached.flatMap((one) => (one.ok ? [] : [one.finding])),
  };
}

/** @throws Error where what it lists cannot be pinned */
export function toolsOf(server: string, cards: readonly ServerCard[]): ServerTools {
  const tools = new Map<string, readonly PinnedTool[]>();
  const leftOut = new Set<string>();
  for (const { tools: listed = [] } of cards) {
    const own = new Map<string, PinnedTool>();
    for (const definition of listed) {
      const name = definition.get('name');
      if (typeof name !== 'string' || !isPlainName(name)) {
        leftOut.add(typeof name === 'string' ? name : 'without a name');
        continue;
      }
      const pinned = { digest: toolDigest(definition), definition };
      const before = own.get(name);
      // Nobody can say which of the two a model would be shown, or which one its call would reach.
      if (before !== undefined && before.digest !== pinned.digest) {
        throw new Error(`it lists the tool ${name} twice, with different definitions`);
      }
      own.set(name, pinned);
    }
    for (const [name, pinned] of own) {
      const others = (tools.get(name) ?? []).filter(({ digest }) => digest !== pinned.digest);
      tools.set(name, [...others, pinned]);
    }
  }
  if (tools.size > LOCK_TOOLS_MAX) throw new Error(`it lists more than ${LOCK_TOOLS_MAX} tools`);
  return { server, tools, protocols: cards.map(({ protocol }) => protocol), leftOut: [...leftOut] };
}
