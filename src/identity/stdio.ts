/**
 * Identity of a stdio client: whoever started us. The operating system vouches for the user; the agent's name
 * comes from our own command line, not from the wire (MCP authorization: stdio takes credentials from the
 * environment). This is the weakest source there is, and its records say so.
 */
import { hostname, userInfo } from 'node:os';
import type { Identity } from './identity.ts';

/** @param agent the name given with `--agent`, where there is one */
export function stdioIdentity(agent: string | undefined): Identity {
  return Object.freeze({
    source: 'stdio' as const,
    user: userName(),
    issuer: hostname(),
    ...(agent === undefined ? {} : { agent: { id: agent, name: agent } }),
  });
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run with a uid that has no passwd entry.
    return String(process.getuid?.() ?? 'unknown');
  }
}
