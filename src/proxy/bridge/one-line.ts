/** A message as one line (MCP, transports, stdio: messages hold no line ends). Pure. */

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;

/**
 * The message with a space for each CR and LF, which JSON has between tokens only; nothing else changes.
 * @param message one JSON text
 */
export function oneLine(message: Uint8Array): Uint8Array {
  if (message.indexOf(LF) === -1 && message.indexOf(CR) === -1) return message;
  return message.map((byte) => (byte === LF || byte === CR ? SPACE : byte));
}
