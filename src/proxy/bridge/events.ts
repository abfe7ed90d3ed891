/** Server-sent events as the bridge writes them (WHATWG HTML, server-sent events). Pure. */

const CR = 0x0d;
const SPACE = 0x20;
const END = Buffer.from('\n\n');

/**
 * @param message one JSON text without LF; a CR in it, which would end the line of data, becomes a space
 * @param id where the stream can be resumed
 */
export function messageEvent(message: Uint8Array, id?: string): Uint8Array {
  const line = message.indexOf(CR) === -1 ? message : message.map((byte) => (byte === CR ? SPACE : byte));
  return Buffer.concat([Buffer.from(id === undefined ? 'data: ' : `id: ${id}\ndata: `), line, END]);
}

/** Gives a client an id to resume from before there is anything to send (MCP 2025-11-25, transports, SEP-1699). */
export function primingEvent(id: string): Uint8Array {
  return Buffer.from(`id: ${id}\ndata: \n\n`);
}

/** A comment: no client sees an event. */
export function keepAliveEvent(): Uint8Array {
  return Buffer.from(': keep-alive\n\n');
}
