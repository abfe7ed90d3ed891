/**
 * What credentials are limited to, whatever rules say: a key or a token for one server is good for no other, and no
 * rule of a policy can make it more. Pure.
 */
import { matchesGlob, parseToolGlob } from './glob.ts';
import type { PolicyRequest } from './verdict.ts';

/** A tool must be granted; for anything else it takes a grant on its server. */
export function isGranted({ identity, server, method, tool }: PolicyRequest): boolean {
  const { grants } = identity;
  if (grants === undefined) return true;
  return grants.some((grant) => {
    const glob = parseToolGlob(grant);
    if (glob === undefined || !matchesGlob(glob.server, server)) return false;
    return method !== 'tools/call' || (tool !== undefined && matchesGlob(glob.tool, tool));
  });
}

/** Why, to the agent. */
export function ungrantedText({ server, tool }: PolicyRequest): string {
  return `These credentials are not for ${tool === undefined ? server : `${server}/${tool}`}.`;
}
