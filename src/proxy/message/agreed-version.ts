/** What an answer to `initialize` agrees on (MCP 2025-11-25, lifecycle, version negotiation). Pure. */

/** `result.protocolVersion`, where there is one. */
export function agreedVersion(answer: Uint8Array): string | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(answer));
    const result = member(value, 'result');
    const version = member(result, 'protocolVersion');
    return typeof version === 'string' ? version : undefined;
  } catch {
    return undefined;
  }
}

function member(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.getOwnPropertyDescriptor(value, key)?.value;
}
