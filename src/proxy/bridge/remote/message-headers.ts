/** The header fields that go with a message, out of the message and the session it belongs to. Pure. */
import type { NotificationMessage, RequestMessage } from '../../message/message.ts';
import { encodeHeaderValue } from '../../message/header-value.ts';

type Sendable = RequestMessage | NotificationMessage;

/** Which member of `params` Mcp-Name repeats (MCP 2026-07-28, standard request headers; SEP-2663 for tasks). */
const NAME_SOURCES: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
]);

/** Of 2026-07-28: all of it stands in the message. The method is in the method table, so it is plain ASCII. */
export function modernHeaders({ method, params, call }: Sendable): Record<string, string> {
  const headers: Record<string, string> = { 'mcp-method': method };
  // Any text of a client's: what no field can hold must not end one.
  if (call.protocolVersion !== undefined)
    headers['mcp-protocol-version'] = encodeHeaderValue(call.protocolVersion);
  const name = params.get(NAME_SOURCES.get(method) ?? '');
  if (typeof name === 'string' && NAME_SOURCES.has(method)) headers['mcp-name'] = encodeHeaderValue(name);
  return headers;
}

/** Of the revisions before: what `initialize` agreed on. */
export function sessionHeaders(session: {
  readonly id: string | undefined;
  readonly version: string | undefined;
}): Record<string, string> {
  const headers: Record<string, string> = {};
  if (session.id !== undefined) headers['mcp-session-id'] = session.id;
  // A server's own text, and one that no field can hold is none that a server would check.
  if (session.version !== undefined) headers['mcp-protocol-version'] = encodeHeaderValue(session.version);
  return headers;
}
