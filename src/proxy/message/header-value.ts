/** Text of a message as the value of an HTTP field (MCP 2026-07-28, Streamable HTTP, value encoding). Pure. */

const SENTINEL_START = '=?base64?';
const SENTINEL_END = '?=';
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
/** A blank at either end would be taken for none of the value (RFC 9110, section 5.5). */
const PLAIN = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** As it is where it is plain ASCII, else wrapped as base64; what looks wrapped is wrapped again. */
export function encodeHeaderValue(text: string): string {
  if (PLAIN.test(text) && !isWrapped(text)) return text;
  return `${SENTINEL_START}${Buffer.from(text).toString('base64')}${SENTINEL_END}`;
}

/** The text that a value stands for; undefined where it is wrapped as base64 and is none. */
export function decodeHeaderValue(value: string): string | undefined {
  if (!isWrapped(value)) return value;
  const encoded = value.slice(SENTINEL_START.length, -SENTINEL_END.length);
  if (!BASE64.test(encoded)) return undefined;
  try {
    return utf8.decode(Buffer.from(encoded, 'base64'));
  } catch {
    return undefined;
  }
}

function isWrapped(value: string): boolean {
  return value.startsWith(SENTINEL_START) && value.endsWith(SENTINEL_END);
}
