/**
 * Our own voice. Everything goes to stderr: in stdio mode stdout is the wire, and one stray line there breaks
 * the client (MCP 2025-11-25, transports, stdio).
 */
export const LEVELS = ['none', 'error', 'warn', 'info', 'debug'] as const;

export type Level = (typeof LEVELS)[number];

export interface Diagnostics {
  error(text: string): void;
  warn(text: string): void;
  info(text: string): void;
  debug(text: string): void;
}

/** Writes one line a message: `mcp-verdict LEVEL text`. Control characters are shown, never sent to a terminal. */
export function stderrDiagnostics(level: Level, write: (line: string) => void): Diagnostics {
  const at = (own: Level) => (text: string) => {
    if (LEVELS.indexOf(own) <= LEVELS.indexOf(level)) write(`mcp-verdict ${own} ${printable(text)}\n`);
  };
  return { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') };
}

/** Makes text safe to print: C0, C1 and bidirectional control characters become `\u{..}` escapes; newlines stay. */
export function printable(text: string): string {
  return text.replace(
    /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (char) => `\\u{${char.charCodeAt(0).toString(16)}}`,
  );
}
