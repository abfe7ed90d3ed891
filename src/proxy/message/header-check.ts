/**
 * Whether the headers that repeat parts of the body agree with it (MCP 2026-07-28, standard request headers;
 * SEP-2243, SEP-2663). We decide by the body; the check is there because something between us and the tool may go
 * by the headers. `Mcp-Param-*` repeat arguments as a tool's schema says, which only its server can check.
 */
import { decodeHeaderValue } from './header-value.ts';
import type { Message, NotificationMessage, RequestMessage } from './message.ts';

export type HeaderCheck =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly header: CheckedHeader;
      /** no_envelope: the header names a revision whose requests carry it in their body too, and this one does not. */
      readonly why: 'mismatch' | 'no_envelope';
    };

export type CheckedHeader = 'Mcp-Method' | 'Mcp-Name' | 'MCP-Protocol-Version';

/** The first revision with an envelope in each message. Revisions are dates, so they sort as text. */
const MODERN_SINCE = '2026-07-28';
const REVISION = /^\d{4}-\d{2}-\d{2}$/;

const NAME_REQUIRED: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);
const NAME_SOURCES = ['name', 'uri', 'taskId'] as const;

/**
 * @param rawHeaders names and values in turn, as `IncomingMessage.rawHeaders`: Node's `headers` joins or drops
 *   duplicates, which are refused here
 * @returns the first header that is missing, double, or says something else than the body
 */
export function checkHeaders(rawHeaders: readonly string[], message: Message): HeaderCheck {
  const methods = valuesOf(rawHeaders, 'mcp-method');
  const names = valuesOf(rawHeaders, 'mcp-name');
  const versions = valuesOf(rawHeaders, 'mcp-protocol-version');
  if (versions.length > 1 || !versionAgrees(versions[0], message)) return mismatch('MCP-Protocol-Version');
  if (lacksEnvelope(versions[0], message)) {
    return { ok: false, header: 'MCP-Protocol-Version', why: 'no_envelope' };
  }
  if (methods.length > 1 || !methodAgrees(methods[0], message)) return mismatch('Mcp-Method');
  if (names.length > 1 || !nameAgrees(names[0], message)) return mismatch('Mcp-Name');
  return { ok: true };
}

function versionAgrees(header: string | undefined, message: Message): boolean {
  if (message.kind === 'response' || !message.call.modern) return true;
  return header === undefined ? message.kind === 'notification' : header === message.call.protocolVersion;
}

/** Such a request asks the server to read it in another way than we did. */
function lacksEnvelope(header: string | undefined, message: Message): boolean {
  return message.kind === 'request' && !message.call.modern && header !== undefined && isModern(header);
}

function methodAgrees(header: string | undefined, message: Message): boolean {
  if (header !== undefined) return message.kind !== 'response' && header === message.method;
  return !isModernRequest(message);
}

function nameAgrees(header: string | undefined, message: Message): boolean {
  if (header !== undefined)
    return message.kind !== 'response' && decodeHeaderValue(header) === nameOf(message);
  return !(isModernRequest(message) && NAME_REQUIRED.has(message.method));
}

function isModernRequest(message: Message): message is RequestMessage {
  return message.kind === 'request' && message.call.modern;
}

/** null where the body has nothing that the header could name. */
function nameOf(message: RequestMessage | NotificationMessage): string | null {
  for (const source of NAME_SOURCES) {
    const value = message.params.get(source);
    if (typeof value === 'string') return value;
  }
  return null;
}

function isModern(version: string): boolean {
  return REVISION.test(version) && version >= MODERN_SINCE;
}

function valuesOf(rawHeaders: readonly string[], name: string): readonly string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name);
}

function mismatch(header: CheckedHeader): HeaderCheck {
  return { ok: false, header, why: 'mismatch' };
}
