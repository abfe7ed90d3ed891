/** The HTTP status of a modern answer that came over a pipe, which has none (MCP 2026-07-28, Streamable HTTP). Pure. */
import { isObject, type Json } from '../../event/json.ts';
import type { RequestMessage } from '../message/message.ts';

const STATUSES: ReadonlyMap<string, number> = new Map([
  // Method not found.
  ['-32601', 404],
  // HeaderMismatch, MissingRequiredClientCapability, UnsupportedProtocolVersion.
  ['-32020', 400],
  ['-32021', 400],
  ['-32022', 400],
]);

const INVALID_PARAMS = '-32602';
const META_CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';

/** @param rpcCode of an error; undefined for a result */
export function modernStatus(rpcCode: string | undefined, { params }: RequestMessage): number {
  if (rpcCode === undefined) return 200;
  // Invalid params stay in a 200, unless it is the envelope that they lack (basic, _meta).
  if (rpcCode === INVALID_PARAMS) return hasEnvelope(params.get('_meta')) ? 200 : 400;
  return STATUSES.get(rpcCode) ?? 200;
}

function hasEnvelope(meta: Json | undefined): boolean {
  return isObject(meta) && meta.has(META_CAPABILITIES);
}
