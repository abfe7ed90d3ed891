/** What stands for a tool's definition in decisions and in tools.lock.json. Pure. */
import { createHash } from 'node:crypto';
import { canonicalJson } from '../../event/canonical.ts';
import type { Json } from '../../event/json.ts';

/**
 * `sha256:HEX` of a definition as canonical JSON (RFC 8785): the order of members, spacing and escapes do not count,
 * all else does. That is the whole object as it stands in a tools/list answer, with members that no revision of MCP
 * knows, because any of them can reach a model: a schema's `x-mcp-header`, `icons`, and `_meta` too, from which hosts
 * take texts and pages that they show. A server that puts something into `_meta` that changes by itself cannot be
 * pinned strictly; what it changes is told, by its pointer.
 */
export function toolDigest(definition: Json): string {
  return `sha256:${createHash('sha256').update(canonicalJson(definition)).digest('hex')}`;
}
